"""What Airflow 3's API server does with the requests of a task about XCom and connections.

It answers the requests of the Task SDK's own client, inside this process: from the metadata
database, as the server's routes do, but within a session that is given, so that nothing has to be
committed. The server itself is not imported: it would take half a second, and commits each request.
"""

from __future__ import annotations

import importlib
import json
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from xcom_probe.airflow.taskrow import TaskRow
from xcom_probe.airflow.versions import airflow_series

# The first version whose routes take a key that holds a slash.
_SLASHES_SINCE = (3, 1)
# The first version that takes a request without content, which is how the client sends None.
_NONE_SINCE = (3, 1)
# What the path of a request for the values of all map indexes ends with.
_ALL = "/slice"


class _Answer(NamedTuple):
    status: int
    body: Any


_NOT_FOUND = _Answer(404, {"detail": {"reason": "not_found", "message": "not found"}})
_NO_CONTENT = _Answer(
    422,
    {"detail": [{"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}]},
)


class ExecutionApi:
    """A transport of httpx: the only end of the client's requests.

    Attributes:
        session: where XCom rows are written and read; None if there is no run for them.
    """

    def __init__(self) -> None:
        self.session: Any = None

    def handle_request(self, request: Any) -> Any:
        """Answer one request. What the database raises is raised on, with its own words."""
        answer = self._route(request)
        # Encoded as the server does it: without NaN and infinity.
        return importlib.import_module("httpx").Response(
            answer.status, json=answer.body, request=request
        )

    def close(self) -> None:
        """Part of a transport; there is nothing to close."""

    def _route(self, request: Any) -> _Answer:
        # The path as the server sees it: without the percent signs, and without the query.
        collection, _, rest = request.url.path.lstrip("/").partition("/")
        if collection == "xcoms":
            return self._xcom(request, rest)
        if request.method == "GET" and collection == "connections":
            return _connection(rest)
        if request.method == "GET" and collection == "variables":
            return _variable(rest)
        return _NOT_FOUND

    def _xcom(self, request: Any, rest: str) -> _Answer:
        names = rest.split("/", 3)
        if len(names) < 4 or not names[3] or self.session is None:
            return _NOT_FOUND
        dag_id, run_id, task_id, key = names
        wants_all = request.method == "GET" and key.endswith(_ALL)
        if wants_all:
            key = key[: -len(_ALL)]
        if "/" in key and airflow_series() < _SLASHES_SINCE:
            return _NOT_FOUND
        query = parse_qs(request.url.query.decode("ascii"))
        row = TaskRow(dag_id, task_id, run_id, int(query.get("map_index", ["-1"])[0]))
        if wants_all:
            return self._get_all(row, key)
        if request.method == "GET":
            return self._get(row, key)
        if request.method == "POST":
            return self._set(row, key, request.read())
        if request.method == "DELETE":
            self._delete(row, key)
            return _Answer(200, {})
        return _NOT_FOUND

    def _get(self, row: TaskRow, key: str) -> _Answer:
        found = self._values(key=key, **row._asdict())
        return _Answer(200, {"key": key, "value": found[0]}) if found else _NOT_FOUND

    def _get_all(self, row: TaskRow, key: str) -> _Answer:
        names = row._asdict()
        del names["map_index"]
        return _Answer(200, self._values(key=key, **names))

    def _values(self, **names: Any) -> list[Any]:
        """The values of the rows with these names, by map index."""
        model = _xcom_model()
        # The columns and not the model: the session would give back the object it was given. And
        # not sorted there: MySQL would want memory for sorting the values with them.
        query = importlib.import_module("sqlalchemy").select(model.map_index, model.value)
        rows = self.session.execute(query.filter_by(**names)).all()
        return [row[1] for row in sorted(rows, key=lambda row: int(row[0]))]

    def _set(self, row: TaskRow, key: str, content: bytes) -> _Answer:
        if not content and airflow_series() < _NONE_SINCE:
            return _NO_CONTENT
        run = importlib.import_module("airflow.models.dagrun").DagRun
        sqlalchemy: Any = importlib.import_module("sqlalchemy")
        found = self.session.execute(
            sqlalchemy.select(run.id).filter_by(dag_id=row.dag_id, run_id=row.run_id)
        ).first()
        if found is None:
            return _NOT_FOUND
        self._delete(row, key)
        value = json.loads(content.decode("utf-8")) if content else None
        self.session.add(_xcom_model()(dag_run_id=found[0], key=key, value=value, **row._asdict()))
        self.session.flush()
        return _Answer(201, {"message": "XCom successfully set"})

    def _delete(self, row: TaskRow, key: str) -> None:
        table = _xcom_model().__table__
        names = {**row._asdict(), "key": key}
        condition = [table.c[name] == value for name, value in names.items()]
        self.session.execute(table.delete().where(*condition))


def _xcom_model() -> Any:
    return importlib.import_module("airflow.models.xcom").XComModel


def _metastore() -> Any:
    return importlib.import_module("airflow.secrets.metastore").MetastoreBackend()


def database_connection(conn_id: str) -> Any:
    """The connection of this name in the metadata database, None if there is none."""
    return _metastore().get_connection(conn_id=conn_id)


def _connection(conn_id: str) -> _Answer:
    found = database_connection(conn_id)
    if found is None:
        return _NOT_FOUND
    names = ("conn_id", "conn_type", "host", "schema", "login", "password", "port", "extra")
    return _Answer(200, {name: getattr(found, name) for name in names})


def _variable(key: str) -> _Answer:
    value = _metastore().get_variable(key=key)
    return _NOT_FOUND if value is None else _Answer(200, {"key": key, "value": value})
