"""Task instances to write and read values in, which nobody else ever sees."""

from __future__ import annotations

import contextlib
import importlib
from datetime import datetime, timezone
from typing import Any, Union

from xcom_probe import redact
from xcom_probe.airflow import supervisor
from xcom_probe.airflow.task_models import ModelsTask
from xcom_probe.airflow.task_sdk import SdkTask
from xcom_probe.airflow.taskrow import TaskRow
from xcom_probe.airflow.versions import airflow_series
from xcom_probe.model import CannotLook

ThrowAwayTask = Union[ModelsTask, SdkTask]


class ThrowAwayRun:
    """One finished DAG run, inside a transaction that is never committed.

    Values are written and read through the XCom class as tasks do, against the real tables and
    constraints; nobody else ever sees the rows, and no end of this process, SIGKILL included, can
    leave one behind. Only objects in storage outlive the transaction.
    """

    DAG_ID = "xcom_probe"

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self._session: Any = None
        self._open = contextlib.ExitStack()

    def __enter__(self) -> ThrowAwayRun:
        """Open the transaction and insert the run.

        Raises:
            CannotLook: the database is out of reach or refuses the rows.
        """
        try:
            # Not `Session()`: that is one for the whole thread, and other users of it, such as the
            # lookup of a connection, commit.
            self._session = importlib.import_module("airflow.settings").Session.session_factory()
            self._insert_run()
            if airflow_series() >= (3, 0):
                self._open.enter_context(supervisor.current().serving(self._session))
        except CannotLook:
            self.close()
            raise
        except Exception as problem:
            self.close()
            raise CannotLook(f"metadata database: {redact.error(problem)}") from problem
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Roll everything back."""
        self._open.close()
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
        row = TaskRow(self.DAG_ID, task_id, self.run_id, map_index)
        try:
            self._session.execute(
                table.insert().values(
                    state="success", pool="default_pool", pool_slots=1, **row._asdict()
                )
            )
        except Exception as problem:
            raise CannotLook(f"metadata database: {redact.error(problem)}") from problem
        kind = ModelsTask if airflow_series() < (3, 0) else SdkTask
        return kind(xcom, self._session, row)

    def _insert_run(self) -> None:
        table = importlib.import_module("airflow.models.dagrun").DagRun.__table__
        # The moment that the run is for; Airflow 3 has runs that are for none.
        moment = "execution_date" if airflow_series() < (3, 0) else "run_after"
        self._session.execute(
            table.insert().values(
                dag_id=self.DAG_ID,
                run_id=self.run_id,
                state="success",
                run_type="manual",
                clear_number=0,
                **{moment: datetime.now(timezone.utc)},
            )
        )
