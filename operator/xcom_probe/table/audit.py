"""The dynamic audit: the values that are in the table, read as the new backend would read them.

The database leaves out what needs no check: plain JSON other than strings is the same to every
backend. What is left (strings that may parse as JSON, encoded objects, what is not JSON) is fetched
and goes through Airflow's own code.
"""

from __future__ import annotations

import importlib
import json
import re
from typing import Any, NamedTuple

from xcom_probe import redact
from xcom_probe.airflow.reading import Reader
from xcom_probe.database.snapshot import Database
from xcom_probe.table.ask import ask
from xcom_probe.table.paths import parameters
from xcom_probe.table.scan import Limits, Runs, ranges
from xcom_probe.table.supported import holds_json, statements
from xcom_probe.table.tally import DRIFTS, FAILS, NONE, OFFLOADS, Kind, Tally, Where
from xcom_probe.values import drift
from xcom_probe.values.compare import differences

LARGEST = 16 * 1024 * 1024
"""Bytes. A larger value is not decoded, because that takes several times its size in memory."""
_SMALL = 8 * 1024
_FETCH_SMALL = 1000
# Ranges with values that are not JSON are halved to find these; where there are many of them,
# reading every row is quicker.
_HALVINGS = 200

_UNREADABLE = Kind("not-json", FAILS, FAILS)
_JSON_TEXT = " |\\\\|\\{|\\[|-|[0-9]|true|false|null|NaN|Infinity"


class Wanted(NamedTuple):
    """What is to be judged.

    Attributes:
        base: the base path; rows below it are offloaded values and not looked into.
        threshold: in bytes; None if offloading is not to be judged.
        pickling: whether the configuration here pickles, so that pickled rows can be read today.
        show_values: whether a detail may quote the beginning of a value.
    """

    base: str | None
    threshold: int | None
    pickling: bool
    show_values: bool


class Audit:
    """One scan of the table; the counts stand in its attributes."""

    def __init__(self, database: Database, reader: Reader, wanted: Wanted) -> None:
        """Prepare.

        Raises:
            CannotLook: the table is not one of a supported Airflow.
        """
        self.tally = Tally()
        self.rows = self.bytes = self.path_rows = self.too_large = 0
        self._database = database
        self._reader = reader
        self._wanted = wanted
        self._statements = statements(database)
        self._is_json = holds_json(database)
        self._checks = not self._is_json and database.dialect == "postgresql"
        self._halvings = 0
        self._parameters = {
            **parameters(wanted.base, self._is_json),
            "threshold": _never_if_negative(wanted.threshold),
            "strings": _pattern(reader),
            "most": LARGEST,
        }
        self._pickled = Kind("pickled", FAILS, NONE if wanted.pickling else FAILS)

    def scan(self, limit: Limits) -> None:
        """Go over the table."""
        for runs in ranges(self._database, limit, lambda: self.rows):
            self._look(runs)

    def _look(self, runs: Runs) -> None:
        if not self._checks:
            self._count(runs, every=False)
            return
        sqlalchemy: Any = importlib.import_module("sqlalchemy")
        try:
            with self._database.connection.begin_nested():
                found = self._tasks(runs, every=False)
        except sqlalchemy.exc.DataError:
            # Some value is not JSON; only reading shows which one.
            if runs.high - runs.low == 1 or self._halvings >= _HALVINGS:
                self._count(runs, every=True)
                return
            self._halvings += 1
            middle = (runs.low + runs.high) // 2
            self._look(Runs(middle, runs.high))
            self._look(Runs(runs.low, middle))
            return
        self._add(runs, found, every=False)

    def _count(self, runs: Runs, every: bool) -> None:
        self._add(runs, self._tasks(runs, every), every)

    def _tasks(self, runs: Runs, every: bool) -> list[Any]:
        given = {**self._parameters, **runs._asdict(), "every": every}
        return list(ask(self._database, self._statements.tasks, given))

    def _add(self, runs: Runs, found: list[Any], every: bool) -> None:
        suspects = most = 0
        for dag_id, task_id, key, *numbers in found:
            rows, size, largest, over, over_size, paths, pickled, suspect, large = map(
                int, numbers[:9]
            )
            where = Where(dag_id, task_id, key)
            self.rows += rows
            self.bytes += size
            self.path_rows += paths
            self.too_large += large
            suspects += suspect - large
            most = max(most, largest)
            if over:
                self.tally.add(where, Kind("size", OFFLOADS), over, over_size, largest)
            if pickled:
                self.tally.add(where, self._pickled, pickled, size, largest)
        if suspects:
            self._read(runs, every, 0, _SMALL - 1, _FETCH_SMALL)
        if suspects and most >= _SMALL:
            # One by one, so that memory holds one of them.
            self._read(runs, every, _SMALL, LARGEST, 1)

    def _read(self, runs: Runs, every: bool, least: int, most: int, fetched: int) -> None:
        given = {**self._parameters, **runs._asdict(), "every": every, "least": least, "most": most}
        rows = ask(self._database, self._statements.suspects, given, streamed=fetched)
        for dag_id, task_id, key, value in rows:
            raw = value if self._is_json else bytes(value)
            judged = self._judge(raw)
            if judged is not None:
                kind, detail = judged
                size = len(raw)
                self.tally.add(Where(dag_id, task_id, key), kind, 1, size, size, detail)

    def _judge(self, raw: Any) -> tuple[Kind, str] | None:
        """The kind of a value and what happens to it; None if nothing does."""
        try:
            text = json.loads(raw.decode("utf-8") if isinstance(raw, bytes) else raw)
        except (ValueError, RecursionError) as problem:
            return _UNREADABLE, type(problem).__name__
        if isinstance(text, str):
            return self._judge_string(raw, text)
        if b'"__' not in raw if isinstance(raw, bytes) else '"__' not in raw:
            return None
        try:
            value = self._reader.today(raw)
        except Exception as problem:  # noqa: BLE001 - a task gets it as well
            return Kind("not-decodable", FAILS, FAILS), _short(problem)
        return self._judge_object(raw, value)

    def _judge_string(self, raw: Any, text: str) -> tuple[Kind, str] | None:
        name = drift.JSON_STRINGS if self._reader.json_strings_change else "url-strings"
        try:
            if self._reader.json_strings_change and '"__' not in text:
                # What the backend does, without what it costs.
                value = _parsed(text)
            else:
                value = self._reader.then(raw)
        except Exception as problem:  # noqa: BLE001 - a task gets it as well
            return Kind(name, FAILS), self._quoted(_short(problem), text)
        if type(value) is str and value == text:
            return None
        return Kind(name, DRIFTS), self._quoted(f"str becomes {type(value).__name__}", text)

    def _judge_object(self, raw: Any, value: Any) -> tuple[Kind, str] | None:
        try:
            changes = differences(value, self._reader.then(raw))
            if not changes:
                encoded = self._reader.encode(value)
                threshold = self._wanted.threshold
                if threshold is not None and 0 <= threshold <= len(encoded):
                    changes = differences(value, self._reader.decode(encoded))
        except Exception as problem:  # noqa: BLE001 - a task gets it as well
            return Kind("not-encodable", FAILS), _short(problem)
        if not changes:
            return None
        return Kind(changes[0].drift, DRIFTS), drift.CLASSES.get(changes[0].drift, "")

    def _quoted(self, detail: str, text: str) -> str:
        return f"{detail}: {redact.text(text)[:60]!r}" if self._wanted.show_values else detail


def _never_if_negative(threshold: int | None) -> int | None:
    return threshold if threshold is not None and threshold >= 0 else None


def _pattern(reader: Reader) -> str | None:
    """A regular expression for JSON strings that the backend may read as something else."""
    parts = []
    if reader.json_strings_change:
        parts.append(_JSON_TEXT)
    if reader.refused_schemes:
        parts.append("({}):".format("|".join(map(re.escape, reader.refused_schemes))))
    return '^"({})'.format("|".join(parts)) if parts else None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _short(problem: BaseException) -> str:
    """The type of a problem alone: its message may quote the value."""
    return type(problem).__name__
