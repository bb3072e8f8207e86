"""Going over the whole table in bounded steps, the newest runs first.

A step is a range of runs with a bounded number of rows, found by the primary key of `xcom`, in a
transaction of its own: a long scan holds no old snapshot that would keep the database from
cleaning up. A row is seen as it is when its range is read.
"""

from __future__ import annotations

import re
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Iterator, NamedTuple

from xcom_probe.database.snapshot import Database
from xcom_probe.table.ask import ask
from xcom_probe.table.statements import NEWEST, OLDEST_SINCE
from xcom_probe.table.supported import statements

STEP = 100_000
_PROGRESS_EVERY = 10.0
_DURATION = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Runs(NamedTuple):
    """A half-open range of `dag_run_id`."""

    low: int
    high: int


class Limits(NamedTuple):
    """Where a scan ends.

    Attributes:
        rows: it ends with the run that reaches this number of rows; None for no limit.
        since: runs that were queued before are left out; None for no limit.
        step: rows to ask for at a time.
    """

    rows: int | None = None
    since: datetime | None = None
    step: int = STEP


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments that bound a scan."""
    parser.add_argument(
        "--limit-rows",
        metavar="N",
        type=positive,
        help="read the newest N rows, to the end of a run (default: all)",
    )
    parser.add_argument(
        "--since",
        metavar="WHEN",
        type=moment,
        help="read runs queued since then: 24h, 7d, or 2026-01-31T00:00:00Z (default: all)",
    )
    parser.add_argument(
        "--statement-timeout",
        metavar="SECONDS",
        type=positive,
        default=60,
        help="cancel a statement that takes longer (default: 60)",
    )


def limits(args: Namespace) -> Limits:
    """The limits that were given."""
    return Limits(args.limit_rows, args.since)


def ranges(
    database: Database, limit: Limits, seen: Callable[[], int] = lambda: 0
) -> Iterator[Runs]:
    """Ranges of runs, the newest first, each in a fresh transaction; progress goes to stderr.

    Args:
        database: an open transaction, which is ended.
        limit: where to end.
        seen: gives the number of rows looked at so far, for a limit of rows.
    """
    statement = statements(database).boundary
    newest = ask(database, NEWEST, {}).scalar()
    oldest = 0
    if limit.since is not None:
        first = ask(database, OLDEST_SINCE, {"since": _naive_utc(database, limit.since)}).scalar()
        oldest = newest + 1 if first is None and newest is not None else first or 0
    started = reported = time.monotonic()
    high = 0 if newest is None else newest + 1
    while high > oldest:
        left = limit.step if limit.rows is None else min(limit.step, limit.rows - seen())
        if left <= 0:
            return
        database.renew()
        found = ask(database, statement, {"high": high, "rows": left}).scalar()
        # A run with more rows than a step has is a step of its own.
        low = oldest if found is None else max(oldest, min(found + 1, high - 1))
        yield Runs(low, high)
        high = low
        if time.monotonic() - reported > _PROGRESS_EVERY:
            reported = time.monotonic()
            part = (newest - low) / max(1, newest - oldest)
            sys.stderr.write(f"xcom_probe: {part:.0%} in {reported - started:.0f} s\n")
            sys.stderr.flush()


def moment(text: str) -> datetime:
    """A time given as such, with a zone, or as a duration up to now.

    Raises:
        ArgumentTypeError: it is neither.
    """
    duration = _DURATION.fullmatch(text)
    if duration:
        unit = _UNITS[duration.group(2)]
        return datetime.now(timezone.utc) - timedelta(**{unit: int(duration.group(1))})
    try:
        # `Z` is understood from Python 3.11 on.
        parsed = datetime.fromisoformat(re.sub("Z$", "+00:00", text))
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise ArgumentTypeError(f"{text!r} is neither 24h, 7d nor 2026-01-31T00:00:00Z")
    return parsed


def positive(text: str) -> int:
    """A whole number above 0.

    Raises:
        ArgumentTypeError: it is not.
    """
    if not text.isdigit() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _naive_utc(database: Database, since: datetime) -> Any:
    """MySQL's TIMESTAMP has no zone; the session's is UTC."""
    if database.dialect == "mysql":
        return since.astimezone(timezone.utc).replace(tzinfo=None)
    return since
