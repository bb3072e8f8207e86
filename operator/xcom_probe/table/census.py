"""The census: which runs hold rows with a path below the base."""

from __future__ import annotations

import json
from typing import Any, Iterator, NamedTuple, Tuple
from urllib.parse import unquote

from xcom_probe.database.snapshot import Database, in_utc
from xcom_probe.model import rfc3339
from xcom_probe.table.ask import ask
from xcom_probe.table.catalogue import holds_json, statements
from xcom_probe.table.paths import parameters
from xcom_probe.table.scan import Limits, ranges

_CHUNK = 500

RunKey = Tuple[str, str]


class Row(NamedTuple):
    """A row that holds a path below the base."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    path: str

    @property
    def is_own(self) -> bool:
        """Whether the path names this row's DAG, run and task, as one that was written for it."""
        parts = unquote(self.path).split("/")
        return all(unquote(name) in parts for name in (self.dag_id, self.run_id, self.task_id))

    def as_json(self) -> dict[str, Any]:
        """With the names of the result document."""
        return {
            "dagId": self.dag_id,
            "runId": self.run_id,
            "taskId": self.task_id,
            "mapIndex": self.map_index,
            "key": self.key,
        }


class Completed(NamedTuple):
    """Finished runs with such rows, and the number of the rows."""

    runs: int
    rows: int


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


class Census:
    """The statements of a census, within one transaction."""

    def __init__(self, database: Database, base: str) -> None:
        """Prepare for paths below `base`.

        Raises:
            CannotLook: the table is not one of a supported Airflow.
            UsageError: `base` is no URL.
        """
        self._database = database
        self._statements = statements(database)
        self._is_json = holds_json(database)
        self._parameters = parameters(base, self._is_json)

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

    def paths(self, keys: list[RunKey], limit: int) -> list[Row]:
        """Up to `limit` such rows of these runs."""
        found: list[Row] = []
        for start in range(0, len(keys), _CHUNK):
            left = limit - len(found)
            if left <= 0:
                break
            chunk = keys[start : start + _CHUNK]
            given = {**self._parameters, "limit": left}
            rows = ask(self._database, self._statements.paths, given, runs=chunk)
            for dag_id, run_id, task_id, map_index, key, value in rows:
                path = value if self._is_json else json.loads(bytes(value).decode("utf-8"))
                found.append(Row(dag_id, run_id, task_id, map_index, key, path))
        return found

    def completed(self) -> Completed:
        """Go over the whole table, in bounded steps; this ends the transaction."""
        runs = rows = 0
        for part in ranges(self._database, Limits()):
            given = {**self._parameters, **part._asdict()}
            more_runs, more_rows = ask(self._database, self._statements.completed, given).one()
            runs, rows = runs + int(more_runs), rows + int(more_rows)
        return Completed(runs, rows)

    def _execute(self, statement: str, **lists: Any) -> Any:
        return ask(self._database, statement, self._parameters, **lists)


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
