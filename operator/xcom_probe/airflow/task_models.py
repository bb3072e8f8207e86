"""XCom as a task of Airflow 2 does it: the class is a model, and the task writes its own rows."""

from __future__ import annotations

import importlib
from typing import Any

from xcom_probe.airflow.backend import Row, base_class
from xcom_probe.airflow.taskrow import TaskRow


class ModelsTask:
    """One task instance: what it pushes, and what others pull from it."""

    def __init__(self, xcom: Any, session: Any, row: TaskRow) -> None:
        self.xcom = xcom
        self._session = session
        self._row = row

    def write(self, key: str, value: Any) -> None:
        """Push a value as a task does. A failing write leaves the others untouched."""
        with self._session.begin_nested():
            self.xcom.set(key=key, value=value, session=self._session, **self._row._asdict())

    def stored(self, key: str) -> bytes:
        """The bytes of the row, as the database returns them."""
        query = self._session.query(base_class().value)
        return bytes(query.filter_by(key=key, **self._row._asdict()).one()[0])

    def read(self, key: str) -> Any:
        """Pull the value as a task does."""
        base = base_class()
        if self.xcom is base:
            # `get_value` always decodes with the class that is loaded; these are its other steps.
            row = base.get_many(
                key=key,
                task_ids=self._row.task_id,
                dag_ids=self._row.dag_id,
                run_id=self._row.run_id,
                map_indexes=self._row.map_index,
                limit=1,
                session=self._session,
            )
            return base.deserialize_value(row.with_entities(base.value).first())
        ti_key = importlib.import_module("airflow.models.taskinstancekey").TaskInstanceKey(
            self._row.dag_id, self._row.task_id, self._row.run_id, 1, self._row.map_index
        )
        return self.xcom.get_value(ti_key=ti_key, key=key, session=self._session)

    def purge(self, path: str) -> None:
        """Remove the object of a value as Airflow does before a task runs again."""
        self.xcom.purge(Row(path), self._session)
