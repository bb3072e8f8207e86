"""Copying the content of objects back into the rows that hold their paths.

Each batch is a transaction of its own. A row is written only if it still holds the path whose
object was read, so that a task that runs again meanwhile loses nothing. A copied row no longer
holds a path, so a new start continues where this ended.
"""

from __future__ import annotations

import importlib
import itertools
import json
import time
from typing import Any, Callable, Iterable, Iterator, NamedTuple

from xcom_probe import redact
from xcom_probe.airflow.objects import AT_ONCE, Content, Objects
from xcom_probe.database.writing import Writer
from xcom_probe.model import CannotLook
from xcom_probe.table.ask import ask
from xcom_probe.table.changes import changes
from xcom_probe.table.contents import Unfit, is_same, numbers_change, parsed
from xcom_probe.table.paths import below, parameters
from xcom_probe.table.supported import holds_json

# Bytes that wait for one transaction, beside those that are read at once.
_MOST_WAITING = 32 * 1024 * 1024
# So many answers in a row that say nothing about the object: the store is out of reach.
_MOST_SILENT = 2 * AT_ONCE
_LISTED = 100


class Wanted(NamedTuple):
    """A run whose rows are to be filled, with their number when it was counted."""

    number: int
    dag_id: str
    run_id: str
    rows: int


class Held(NamedTuple):
    """A row that holds a path."""

    run: Wanted
    task_id: str
    map_index: int
    key: str
    path: str
    stored: Any
    base: str


class Outcome(NamedTuple):
    """What became of a row.

    Attributes:
        data: what was copied; None if nothing was.
        why: it failed for this reason; empty if it did not.
        is_store: it failed because the store gave no answer.
        other_numbers: the database gives its numbers back in another form.
    """

    row: Held
    data: bytes | None = None
    why: str = ""
    is_store: bool = False
    other_numbers: bool = False


class Totals:
    """What was done so far."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._seen = 0
        self.copied = self.bytes = self.failed = self.changed = self.other_numbers = 0
        self.only_store = True
        self.failures: list[dict[str, Any]] = []

    def add(self, outcome: Outcome) -> None:
        """Count one row."""
        self._seen += 1
        self.only_store = self.only_store and outcome.is_store
        if outcome.data is not None:
            self.copied += 1
            self.bytes += len(outcome.data)
            self.other_numbers += outcome.other_numbers
        elif outcome.why:
            self.failed += 1
            if len(self.failures) < _LISTED:
                self.failures.append(_failure(outcome))
        else:
            self.changed += 1

    def as_json(self) -> dict[str, int]:
        """With the names of the result document."""
        return {
            "copied": self.copied,
            "bytes": self.bytes,
            "failed": self.failed,
            "changed": self.changed,
            "remaining": max(0, self._wanted - self._seen),
        }


def _failure(outcome: Outcome) -> dict[str, Any]:
    row = outcome.row
    return {
        "dagId": row.run.dag_id,
        "runId": row.run.run_id,
        "taskId": row.task_id,
        "mapIndex": row.map_index,
        "key": row.key,
        "path": row.path,
        "why": outcome.why,
    }


class Rehydration:
    """The copying."""

    def __init__(
        self,
        writer: Writer,
        bases: list[str],
        string_drift: Callable[[str], str | None],
    ) -> None:
        """Prepare for paths below `bases`, none of which is below another.

        Args:
            writer: a connection.
            bases: base paths.
            string_drift: says why a string must not be kept in a row; None if it may.
        """
        self._writer = writer
        self._changes = changes(writer)
        self._is_json = holds_json(writer)
        self._parameters = {base: parameters(base, self._is_json) for base in bases}
        self._string_drift = string_drift
        self._objects: dict[str, Objects] = {}
        self._silent = 0

    def copy(self, runs: Iterable[Wanted], batch: int, until: float, totals: Totals) -> None:
        """Copy until all is done or the time is over; at least one batch is tried.

        Args:
            runs: whose rows.
            batch: rows in one transaction.
            until: of `time.monotonic()`.
            totals: is added to after each commit.

        Raises:
            CannotLook: the store is out of reach.
        """
        rows = (row for run in runs for row in self._held(run))
        waiting: list[tuple[Held, bytes]] = []
        while True:
            some = list(itertools.islice(rows, min(AT_ONCE, batch)))
            for row, content in self._read(some):
                reason = content.why or self._unfit(content.data)
                if reason:
                    totals.add(Outcome(row, why=reason, is_store=content.is_store))
                else:
                    waiting.append((row, content.data))
            is_full = len(waiting) >= batch or _size(waiting) >= _MOST_WAITING
            is_over = not some or time.monotonic() >= until
            if waiting and (is_full or is_over):
                for outcome in self._write(waiting):
                    totals.add(outcome)
                waiting = []
            if is_over:
                break
        if totals.failed and totals.only_store:
            raise CannotLook(str(totals.failures[0]["why"]))

    def _held(self, run: Wanted) -> Iterator[Held]:
        found = []
        with self._writer.transaction():
            for base, given in self._parameters.items():
                asked = {**given, "run": run.number}
                for task_id, index, key, value in ask(self._writer, self._changes.held, asked):
                    stored = value if self._is_json else bytes(value)
                    path = str(stored if self._is_json else json.loads(stored.decode("utf-8")))
                    found.append(Held(run, task_id, index, key, path, stored, base))
        yield from found

    def _read(self, rows: list[Held]) -> Iterator[tuple[Held, Content]]:
        for base in sorted({row.base for row in rows}):
            if base not in self._objects:
                self._objects[base] = Objects(base)
            ours = [row for row in rows if row.base == base]
            contents = self._objects[base].read(row.path for row in ours)
            for row in ours:
                content = contents[row.path]
                self._silent = self._silent + 1 if content.is_store else 0
                if self._silent >= _MOST_SILENT:
                    raise CannotLook(f"{base}: {content.why}")
                yield row, content

    def _unfit(self, data: bytes) -> str:
        try:
            value = parsed(data, self._is_json)
        except Unfit as problem:
            return str(problem)
        if not isinstance(value, str):
            return ""
        if any(value.startswith(below(base)) for base in self._parameters):
            return "the value is itself a string below a base path: in a row it would be a path"
        return self._string_drift(value) or ""

    def _write(self, rows: list[tuple[Held, bytes]]) -> list[Outcome]:
        with self._writer.transaction():
            return [self._one(row, data) for row, data in rows]

    def _one(self, row: Held, data: bytes) -> Outcome:
        sqlalchemy: Any = importlib.import_module("sqlalchemy")
        names = {
            "run": row.run.number,
            "task": row.task_id,
            "index": row.map_index,
            "key": row.key,
        }
        new = data.decode("utf-8") if self._is_json else data
        try:
            with self._writer.connection.begin_nested():
                given = {**names, "new": new, "old": row.stored}
                if ask(self._writer, self._changes.replace, given).rowcount == 0:
                    return Outcome(row)
                found = ask(self._writer, self._changes.stored, names).scalar()
                stored = found.encode("utf-8") if self._is_json else bytes(found)
                if not is_same(stored, data, self._is_json):
                    raise Unfit("the database returns another value than was written")
        except Unfit as problem:
            return Outcome(row, why=str(problem))
        except sqlalchemy.exc.DBAPIError as problem:
            if problem.connection_invalidated:
                raise
            return Outcome(row, why=f"the database: {redact.error(problem.orig)}")
        other = self._is_json and numbers_change(stored, data)
        return Outcome(row, data=data, other_numbers=other)


def _size(waiting: list[tuple[Held, bytes]]) -> int:
    return sum(len(data) for _, data in waiting)
