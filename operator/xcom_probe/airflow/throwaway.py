"""Task instances to write and read values in, which are never there for anybody else."""

from __future__ import annotations

import importlib
from typing import Any

from xcom_probe import place, redact
from xcom_probe.airflow.backend import Row, base_class
from xcom_probe.airflow.versions import airflow_series
from xcom_probe.model import CannotLook


class ThrowAwayRun:
    """One finished DAG run, inside a transaction that is never committed.

    Values are written by `XCom.set` and read by `XCom.get_value`, as tasks do, against the real
    tables and constraints; nobody else ever sees the rows, and no end of this process, SIGKILL
    included, can leave one behind. Only objects in storage outlive the transaction.
    """

    DAG_ID = "xcom_probe"

    def __init__(self, run_id: str) -> None:
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

    def task(self, xcom: Any, task_id: str, map_index: int = -1) -> ThrowAwayTask:
        """A new task instance of the run, whose values go through the class `xcom`.

        Raises:
            CannotLook: the database refuses the row.
        """
        table = importlib.import_module("airflow.models.taskinstance").TaskInstance.__table__
        try:
            self._session.execute(
                table.insert().values(
                    dag_id=self.DAG_ID,
                    run_id=self.run_id,
                    task_id=task_id,
                    map_index=map_index,
                    state="success",
                    pool="default_pool",
                    pool_slots=1,
                )
            )
        except Exception as problem:
            raise CannotLook(f"metadata database: {redact.error(problem)}") from problem
        return ThrowAwayTask(xcom, self._session, self.DAG_ID, self.run_id, task_id, map_index)

    def _insert_run(self) -> None:
        now = importlib.import_module("airflow.utils.timezone").utcnow()
        table = importlib.import_module("airflow.models.dagrun").DagRun.__table__
        self._session.execute(
            table.insert().values(
                dag_id=self.DAG_ID,
                run_id=self.run_id,
                execution_date=now,
                state="success",
                run_type="manual",
                clear_number=0,
            )
        )


class ThrowAwayTask:
    """One task instance of a `ThrowAwayRun`: what it pushes, and what others pull from it."""

    def __init__(
        self, xcom: Any, session: Any, dag_id: str, run_id: str, task_id: str, map_index: int
    ) -> None:
        self.xcom = xcom
        self._session = session
        self._names = {"dag_id": dag_id, "task_id": task_id, "run_id": run_id}
        self._map_index = map_index

    def write(self, key: str, value: Any) -> None:
        """Push a value as a task does. A failing write leaves the others untouched."""
        with self._session.begin_nested():
            self.xcom.set(
                key=key,
                value=value,
                map_index=self._map_index,
                session=self._session,
                **self._names,
            )

    def stored(self, key: str) -> bytes:
        """The bytes of the row, as the database returns them."""
        value = base_class().value
        query = self._session.query(value).filter_by(
            **self._names, map_index=self._map_index, key=key
        )
        return bytes(query.one()[0])

    def read(self, key: str) -> Any:
        """Pull the value as a task does."""
        base = base_class()
        if self.xcom is base:
            # `get_value` always decodes with the class that is loaded; these are its other steps.
            row = base.get_many(
                key=key,
                task_ids=self._names["task_id"],
                dag_ids=self._names["dag_id"],
                run_id=self._names["run_id"],
                map_indexes=self._map_index,
                limit=1,
                session=self._session,
            )
            return base.deserialize_value(row.with_entities(base.value).first())
        ti_key = importlib.import_module("airflow.models.taskinstancekey").TaskInstanceKey(
            self._names["dag_id"],
            self._names["task_id"],
            self._names["run_id"],
            1,
            self._map_index,
        )
        return self.xcom.get_value(ti_key=ti_key, key=key, session=self._session)

    def purge(self, path: str) -> None:
        """Remove the object of a value as Airflow does before a task runs again."""
        self.xcom.purge(Row(path), self._session)
