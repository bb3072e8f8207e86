"""The census: which runs hold rows with a path below the base."""

from __future__ import annotations

import importlib
import json
from typing import Any, Iterator, NamedTuple, Tuple
from urllib.parse import urlsplit

from xcom_probe.database.snapshot import Database, in_utc
from xcom_probe.model import UsageError, rfc3339
from xcom_probe.table.catalogue import holds_json, statements

_CHUNK = 500
# Behind the base: dag_id, run_id and task_id of up to 250 characters, each up to 12 bytes in JSON
# (two escaped halves of a character outside the BMP), a UUID, suffixes, slashes and the quote.
_LONGEST_REST = 3 * 250 * 12 + 100

RunKey = Tuple[str, str]


class Run(NamedTuple):
    """One run of the answer. `state` is None for a run that does not exist (any more)."""

    dag_id: str
    run_id: str
    state: str | None
    start_date: str | None
    rows: int
    tasks: list[str]

    def as_json(self) -> dict[str, Any]:
        """With the names of the result document."""
        return {
            "dagId": self.dag_id,
            "runId": self.run_id,
            "state": self.state,
            "startDate": self.start_date,
            "rows": self.rows,
            "tasks": self.tasks,
        }


def below(base: str) -> str:
    """What every path below `base` begins with.

    >>> below("s3://aws_default@bucket/xcom")
    's3://aws_default@bucket/xcom/'

    Raises:
        UsageError: `base` is no URL.
    """
    parts = urlsplit(base)
    if not parts.scheme or not (parts.netloc or parts.path):
        raise UsageError(f"--base {base!r} is no URL; write scheme://connection@bucket/prefix")
    return base.rstrip("/") + "/"


def row_prefix(base: str) -> bytes:
    """The first bytes of a row that holds a path below `base` as JSON: quoted and escaped.

    >>> row_prefix("s3://aws_default@bucket/xcom/")
    b'"s3://aws_default@bucket/xcom/'
    """
    return json.dumps(below(base))[:-1].encode("ascii")


class Census:
    """The statements of a census, within one transaction."""

    def __init__(self, database: Database, base: str) -> None:
        """Prepare for paths below `base`.

        Raises:
            CannotLook: the table is not one of a supported Airflow.
            UsageError: `base` is no URL.
        """
        self._sql: Any = importlib.import_module("sqlalchemy")
        self._connection = database.connection
        self._statements = statements(database)
        # JSON of the database's own has no quotes and escapes in what is compared.
        as_json = holds_json(database)
        encoded = below(base).encode("utf-8") if as_json else row_prefix(base)
        self._parameters: dict[str, Any] = {
            "prefix": below(base) if as_json else encoded,
            "length": len(encoded),
            # At least one character of a key, and the closing quote.
            "shortest": len(encoded) + (1 if as_json else 2),
            "longest": len(encoded) + _LONGEST_REST,
        }

    def in_flight(self) -> list[Run]:
        """Runs in flight with at least one such row."""
        return _fold(self._execute(self._statements.in_flight))

    def exactly(self, asked: list[RunKey]) -> list[Run]:
        """The runs asked for, in any state, each with its number of such rows."""
        wanted = sorted(set(asked))
        found: dict[RunKey, Run] = {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            rows = self._execute(self._statements.exactly, runs=chunk)
            found.update({(item.dag_id, item.run_id): item for item in _fold(rows)})
        return [found.get(key, Run(key[0], key[1], None, None, 0, [])) for key in wanted]

    def count_in_flight(self) -> int:
        """Runs in flight, with or without such rows."""
        return int(self._execute(self._statements.count_in_flight).scalar())

    def count_pickled(self) -> int:
        """Small pickled rows of runs in flight: what they hold, SQL cannot tell."""
        if self._statements.pickled is None:
            return 0
        return int(self._execute(self._statements.pickled).scalar())

    def _execute(self, statement: str, **lists: Any) -> Any:
        text = self._sql.text(statement)
        named = {name: value for name, value in self._parameters.items() if f":{name}" in statement}
        if lists:
            text = text.bindparams(*(self._sql.bindparam(name, expanding=True) for name in lists))
        return self._connection.execute(text, {**named, **lists})


def _fold(rows: Iterator[Any]) -> list[Run]:
    """One Run of the rows of its tasks, sorted by DAG and run."""
    runs: dict[RunKey, Run] = {}
    for dag_id, run_id, state, start_date, task_id, count in rows:
        known = runs.get((dag_id, run_id))
        if known is None:
            started = start_date and rfc3339(in_utc(start_date))
            known = Run(dag_id, run_id, state, started, 0, [])
        tasks = known.tasks + ([task_id] if task_id is not None else [])
        runs[(dag_id, run_id)] = known._replace(rows=known.rows + int(count), tasks=sorted(tasks))
    return [runs[key] for key in sorted(runs)]
