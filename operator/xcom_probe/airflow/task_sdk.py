"""XCom as a task of Airflow 3 does it: by messages to its supervisor, which writes the rows."""

from __future__ import annotations

import importlib
from typing import Any

from xcom_probe.airflow.backend import Row
from xcom_probe.airflow.taskrow import TaskRow


class SdkTask:
    """One task instance: what it pushes, and what others pull from it."""

    def __init__(self, xcom: Any, session: Any, row: TaskRow) -> None:
        self.xcom = xcom
        self._session = session
        self._row = row

    def write(self, key: str, value: Any) -> None:
        """Push a value as a task does. A failing write leaves the others untouched."""
        with self._session.begin_nested():
            self.xcom.set(key=key, value=value, **self._row._asdict())

    def stored(self, key: str) -> bytes:
        """The JSON of the row in UTF-8, as the database writes it out."""
        sqlalchemy: Any = importlib.import_module("sqlalchemy")
        model = importlib.import_module("airflow.models.xcom").XComModel
        query = sqlalchemy.select(sqlalchemy.cast(model.value, sqlalchemy.Text))
        found = self._session.execute(query.filter_by(key=key, **self._row._asdict())).one()
        return str(found[0]).encode("utf-8")

    def read(self, key: str) -> Any:
        """Pull the value as `xcom_pull` does: with a map index by `get_one`, else by `get_all`."""
        names = self._row._asdict()
        if self._row.map_index >= 0:
            return self.xcom.get_one(key=key, **names)
        del names["map_index"]
        values = self.xcom.get_all(key=key, **names)
        return values[0] if values else None

    def purge(self, path: str) -> None:
        """Remove the object of a value as Airflow does before a task runs again."""
        self.xcom.purge(Row(path))
