"""A task instance to write and read values in, which is never there for anybody else."""

from __future__ import annotations

import importlib
from typing import Any

from xcom_probe import place, redact
from xcom_probe.airflow.backend import Row
from xcom_probe.airflow.versions import airflow_series
from xcom_probe.model import CannotLook


class ThrowAwayRun:
    """One finished DAG run with one task instance, inside a transaction that is never committed.

    Values are written by `XCom.set` and read by `XCom.get_value`, as tasks do, against the real
    tables and constraints; nobody else ever sees the rows, and no end of this process, SIGKILL
    included, can leave one behind. Only objects in storage outlive the transaction.
    """

    DAG_ID = "xcom_probe"
    TASK_ID = "roundtrip"

    def __init__(self, xcom: Any, run_id: str) -> None:
        self.xcom = xcom
        self.run_id = run_id
        self._session: Any = None

    def __enter__(self) -> ThrowAwayRun:
        """Open the transaction and insert the run.

        Raises:
            CannotLook: the database is out of reach or refuses the rows.
        """
        if airflow_series() >= (3, 0):
            raise CannotLook(
                "the round trip through the database is written for Airflow 2; "
                f"this is {place.airflow_version()}"
            )
        try:
            self._session = importlib.import_module("airflow.settings").Session()
            self._insert_run()
        except Exception as problem:
            self.close()
            raise CannotLook(f"metadata database: {redact.error(problem)}") from problem
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Roll everything back."""
        if self._session is not None:
            try:
                self._session.rollback()
            finally:
                self._session.close()

    def _insert_run(self) -> None:
        now = importlib.import_module("airflow.utils.timezone").utcnow()
        run = importlib.import_module("airflow.models.dagrun").DagRun.__table__
        task = importlib.import_module("airflow.models.taskinstance").TaskInstance.__table__
        self._session.execute(
            run.insert().values(
                dag_id=self.DAG_ID,
                run_id=self.run_id,
                execution_date=now,
                state="success",
                run_type="manual",
                clear_number=0,
            )
        )
        self._session.execute(
            task.insert().values(
                dag_id=self.DAG_ID,
                run_id=self.run_id,
                task_id=self.TASK_ID,
                map_index=-1,
                state="success",
                pool="default_pool",
                pool_slots=1,
            )
        )

    def write(self, key: str, value: Any) -> None:
        """Push a value as a task does. A failing write leaves the others untouched."""
        with self._session.begin_nested():
            self.xcom.set(
                key=key,
                value=value,
                dag_id=self.DAG_ID,
                task_id=self.TASK_ID,
                run_id=self.run_id,
                session=self._session,
            )

    def stored(self, key: str) -> bytes:
        """The bytes of the row, as the database returns them."""
        base = importlib.import_module("airflow.models.xcom").BaseXCom
        query = self._session.query(base.value).filter_by(
            dag_id=self.DAG_ID, task_id=self.TASK_ID, run_id=self.run_id, map_index=-1, key=key
        )
        return bytes(query.one()[0])

    def read(self, key: str) -> Any:
        """Pull the value as a task does."""
        ti_key = importlib.import_module("airflow.models.taskinstancekey").TaskInstanceKey(
            self.DAG_ID, self.TASK_ID, self.run_id, 1, -1
        )
        return self.xcom.get_value(ti_key=ti_key, key=key, session=self._session)

    def purge(self, path: str) -> None:
        """Remove the object of a value as Airflow does before a task runs again."""
        self.xcom.purge(Row(path), self._session)
