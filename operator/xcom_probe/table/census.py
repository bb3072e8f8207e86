"""The census: which runs hold rows with a path below one of the bases."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Iterable, Iterator, NamedTuple
from urllib.parse import unquote

from xcom_probe.database.snapshot import Database, in_utc
from xcom_probe.model import rfc3339
from xcom_probe.table.ask import ask
from xcom_probe.table.paths import parameters
from xcom_probe.table.scan import Limits, ranges
from xcom_probe.table.supported import holds_json, statements
from xcom_probe.table.waiting import RunKey, Waiter, triggered, waiters

_CHUNK = 500
_MOST_DAGS = 50


class Row(NamedTuple):
    """A row that holds a path below `base`."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    path: str
    base: str

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


class FinishedRun(NamedTuple):
    """A run that is not in flight, with the number of its rows that hold a path."""

    number: int
    dag_id: str
    run_id: str
    rows: int


class Finished:
    """Runs that are not in flight and hold such rows, by DAG."""

    def __init__(self) -> None:
        self._runs: Counter[str] = Counter()
        self._rows: Counter[str] = Counter()

    def add(self, dag_id: str, rows: int) -> None:
        """Count one run with this number of rows."""
        self._runs[dag_id] += 1
        self._rows[dag_id] += rows

    def as_json(self) -> dict[str, Any]:
        """With the names of the result document: the DAGs with most rows, and the totals."""
        worst = sorted(self._rows, key=lambda dag_id: (-self._rows[dag_id], dag_id))
        return {
            "runs": sum(self._runs.values()),
            "rows": sum(self._rows.values()),
            "dags": [
                {"dagId": dag_id, "runs": self._runs[dag_id], "rows": self._rows[dag_id]}
                for dag_id in worst[:_MOST_DAGS]
            ],
            "more": len(worst[_MOST_DAGS:]),
        }


class Run(NamedTuple):
    """One run of the answer.

    Attributes:
        state: None for a run that does not exist (any more), as its type.
        start_date: RFC 3339, None if it did not start.
        run_type: scheduled, manual, backfill, asset_triggered, ... as this Airflow has it.
        rows: rows that hold a path below one of the bases.
        tasks: theirs, sorted.
        waited_for_by: sorted.
    """

    dag_id: str
    run_id: str
    state: str | None
    start_date: str | None
    run_type: str | None
    rows: int
    tasks: list[str]
    waited_for_by: list[Waiter]

    def as_json(self) -> dict[str, Any]:
        """With the names of the result document."""
        return {
            "dagId": self.dag_id,
            "runId": self.run_id,
            "state": self.state,
            "startDate": self.start_date,
            "runType": self.run_type,
            "rows": self.rows,
            "tasks": self.tasks,
            "waitedForBy": [waiter.as_json() for waiter in self.waited_for_by],
        }


class Census:
    """The statements of a census, within one transaction.

    Each statement is asked once for each base; no row is below two of them.
    """

    def __init__(self, database: Database, bases: list[str]) -> None:
        """Prepare for paths below `bases`, none of which is below another.

        Raises:
            CannotLook: the table is not one of a supported Airflow.
            UsageError: a base is not a URL.
        """
        self._database = database
        self._statements = statements(database)
        self._is_json = holds_json(database)
        self._parameters = {base: parameters(base, self._is_json) for base in bases}

    def in_flight(self) -> list[Run]:
        """Runs in flight with at least one such row."""
        return self._with_waiters(_fold(self._for_each_base(self._statements.in_flight)))

    def exactly(self, asked: list[RunKey]) -> list[Run]:
        """The runs asked for, in any state, each with its number of such rows."""
        wanted = sorted(set(asked))
        found: dict[RunKey, Run] = {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            rows = self._for_each_base(self._statements.exactly, runs=chunk)
            found.update({(item.dag_id, item.run_id): item for item in _fold(rows)})
        missing = [Run(*key, None, None, None, 0, [], []) for key in wanted if key not in found]
        return self._with_waiters(sorted([*found.values(), *missing]))

    def count_in_flight(self) -> int:
        """Runs in flight, with or without such rows."""
        return int(ask(self._database, self._statements.count_in_flight, {}).scalar())

    def count_pickled(self) -> int:
        """Small pickled rows of runs in flight: SQL cannot see what they hold."""
        statement = self._statements.pickled
        if statement is None:
            return 0
        longest = max(self._parameters.values(), key=lambda given: int(given["longest"]))
        return int(ask(self._database, statement, longest).scalar())

    def paths(self, keys: list[RunKey], limit: int) -> list[Row]:
        """Up to `limit` such rows of these runs."""
        found: list[Row] = []
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            for base, given in self._parameters.items():
                left = limit - len(found)
                if left <= 0:
                    return found
                rows = ask(
                    self._database, self._statements.paths, {**given, "limit": left}, runs=chunk
                )
                for dag_id, run_id, task_id, map_index, key, value in rows:
                    path = value if self._is_json else json.loads(bytes(value).decode("utf-8"))
                    found.append(Row(dag_id, run_id, task_id, map_index, key, path, base))
        return found

    def finished(self) -> Iterator[FinishedRun]:
        """Go over the whole table, in bounded steps, newest first; this ends the transaction."""
        for part in ranges(self._database, Limits()):
            rows: Counter[tuple[int, str, str]] = Counter()
            for given in self._parameters.values():
                asked = {**given, **part._asdict()}
                found = ask(self._database, self._statements.finished, asked)
                for dag_id, run_id, number, count in found:
                    rows[(number, dag_id, run_id)] += int(count)
            for key in sorted(rows, reverse=True):
                yield FinishedRun(*key, rows[key])

    def _with_waiters(self, runs: list[Run]) -> list[Run]:
        if not runs:
            return runs
        rows = ask(self._database, self._statements.waiting, {})
        found = waiters(
            (
                (Waiter(dag_id, run_id, task_id), triggered(value, rendered, self._parameters))
                for dag_id, run_id, task_id, value, rendered in rows
            ),
            [(run.dag_id, run.run_id) for run in runs],
        )
        return [run._replace(waited_for_by=found.get((run.dag_id, run.run_id), [])) for run in runs]

    def _for_each_base(self, statement: str, **lists: Any) -> Iterable[Any]:
        for given in self._parameters.values():
            yield from ask(self._database, statement, given, **lists)


def _fold(rows: Iterable[Any]) -> list[Run]:
    """One Run of the rows of its tasks, sorted by DAG and run."""
    runs: dict[RunKey, Run] = {}
    for dag_id, run_id, state, start_date, run_type, task_id, count in rows:
        known = runs.get((dag_id, run_id))
        if known is None:
            started = start_date and rfc3339(in_utc(start_date))
            known = Run(dag_id, run_id, state, started, run_type, 0, [], [])
        tasks = set(known.tasks) | ({task_id} if task_id is not None else set())
        runs[(dag_id, run_id)] = known._replace(rows=known.rows + int(count), tasks=sorted(tasks))
    return [runs[key] for key in sorted(runs)]
