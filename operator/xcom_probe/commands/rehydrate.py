"""`rehydrate`: copies the content of objects back into the rows that hold their paths.

Airflow's own class then reads what the object storage backend read. Objects are not touched.
"""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from typing import Any

from xcom_probe import options, runtime
from xcom_probe.airflow.inline import InlineStrings
from xcom_probe.commands.which import RUNS_FILE, base_argument, read_runs
from xcom_probe.database.snapshot import snapshot
from xcom_probe.database.writing import Writer, writer
from xcom_probe.model import FAIL, PASS, SKIP, WARN, Finding
from xcom_probe.report import Report
from xcom_probe.table.ask import ask
from xcom_probe.table.census import Census
from xcom_probe.table.changes import changes
from xcom_probe.table.paths import asked_bases, parameters
from xcom_probe.table.rehydrating import Rehydration, Totals, Wanted
from xcom_probe.table.scan import positive
from xcom_probe.table.supported import holds_json
from xcom_probe.table.waiting import RunKey
from xcom_probe.values.drift import JSON_STRINGS

HELP = "copy offloaded values back into their rows"
_CHUNK = 500
_SHOWN = 3


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `rehydrate`."""
    base_argument(parser)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--runs-file", metavar="FILE", help=f"the runs, in any state: {RUNS_FILE}")
    which.add_argument(
        "--finished",
        action="store_true",
        help="all runs that are not in flight; this reads the whole table",
    )
    which.add_argument(
        "--all",
        action="store_true",
        help="all runs, in flight or not; only where no process offloads any longer",
    )
    parser.add_argument(
        "--limit-seconds",
        metavar="N",
        type=positive,
        help="stop after the batch in which this time ends; start it again to continue (default: "
        "until everything is copied)",
    )
    parser.add_argument(
        "--batch",
        metavar="N",
        type=positive,
        default=100,
        help="rows to write in one transaction (default: 100)",
    )
    parser.add_argument(
        "--accept-drift",
        metavar="CLASS",
        action="append",
        default=[],
        choices=[JSON_STRINGS],
        help="json-strings: also copy strings that parse as JSON, although the object storage "
        "backend here reads them from a row as the parsed value (Airflow's own class does "
        "not)",
    )


def run(args: Namespace, report: Report) -> None:
    """Copy.

    Raises:
        CannotLook: the database or the store is out of reach; what was committed before that is
            in the report.
        UsageError: there is no base, it is not a URL, or the file is not such a list.
    """
    until = time.monotonic() + args.limit_seconds if args.limit_seconds else float("inf")
    cfg = options.read_config(os.environ)
    bases = asked_bases(args.base, os.environ, cfg)
    asked = None if args.runs_file is None else read_runs(args.runs_file)
    report.facts.update(runtime.facts())
    runs: list[Wanted] = []
    in_flight: list[RunKey] = []
    if asked is None:
        with snapshot(os.environ, cfg) as database:
            census = Census(database, bases)
            if args.all:
                in_flight = [(found.dag_id, found.run_id) for found in census.in_flight()]
            runs = [Wanted(*found) for found in census.finished()]
    with writer(os.environ, cfg) as connection:
        report.findings.append(
            Finding("database-reachable", PASS, connection.description, "the metadata database")
        )
        runs = _numbered(connection, bases, in_flight if asked is None else asked) + runs
        report.findings.append(_readable(connection, bases, None if asked is None else runs))
        totals = Totals(sum(item.rows for item in runs))
        strings = InlineStrings(bases[0])

        def drift(text: str) -> str | None:
            found = strings.drift(text)
            return None if found is None or found[0] in args.accept_drift else found[1]

        try:
            Rehydration(connection, bases, drift).copy(runs, args.batch, until, totals)
        finally:
            # Whenever this ends, the report has what was committed.
            report.members["counts"] = totals.as_json()
            report.members["failed"] = totals.failures
        if asked is not None:
            report.members["runs"] = _left(connection, bases, asked)
    report.findings.extend(_findings(totals))


def _left(connection: Writer, bases: list[str], asked: list[RunKey]) -> list[dict[str, Any]]:
    """Each run asked for, with the number of its rows that still hold a path."""
    left = {(run.dag_id, run.run_id): run.rows for run in _numbered(connection, bases, asked)}
    return [
        {"dagId": dag_id, "runId": run_id, "left": left.get((dag_id, run_id), 0)}
        for dag_id, run_id in sorted(set(asked))
    ]


def _numbered(connection: Writer, bases: list[str], asked: list[RunKey]) -> list[Wanted]:
    """The runs asked for that exist, with the number of their rows that hold a path."""
    statements = changes(connection)
    given = [parameters(base, holds_json(connection)) for base in bases]
    wanted = sorted(set(asked))
    found = []
    for start in range(0, len(wanted), _CHUNK):
        with connection.transaction():
            runs = ask(connection, statements.named, {}, runs=wanted[start : start + _CHUNK]).all()
            for number, dag_id, run_id, _ in runs:
                rows = sum(
                    int(ask(connection, statements.remaining, {**each, "run": number}).scalar())
                    for each in given
                )
                found.append(Wanted(number, dag_id, run_id, rows))
    return found


def _readable(connection: Writer, bases: list[str], runs: list[Wanted] | None) -> Finding:
    expected = "no pickled value in the given runs"
    statement = changes(connection).pickled
    if statement is None:
        return Finding("rows-readable", PASS, "Airflow 3 pickles nothing", expected)
    if runs is None:
        return Finding("rows-readable", SKIP, "not checked in all finished runs", expected)
    longest = max(parameters(base, as_json=False)["longest"] for base in bases)
    with connection.transaction():
        pickled = sum(
            int(ask(connection, statement, {"run": run.number, "longest": longest}).scalar())
            for run in runs
        )
    if not pickled:
        return Finding("rows-readable", PASS, expected, expected)
    return Finding(
        "rows-readable",
        WARN,
        f"{pickled} pickled values in the given runs",
        expected,
        "A pickled path is not found, and stays.",
        "Set AIRFLOW__CORE__ENABLE_XCOM_PICKLING=False and check these runs manually.",
    )


def _findings(totals: Totals) -> list[Finding]:
    found = [_copied(totals)]
    if totals.other_numbers:
        found.append(
            Finding(
                "numbers-kept",
                WARN,
                f"{totals.other_numbers} rows whose numbers the database stores in another form",
                "numbers as in the objects",
                "A JSON column keeps 1e16 as an integer, as it does for Airflow's own class.",
                "No action is needed if readers do not depend on whether such a number is an int "
                "or a float.",
            )
        )
    return found


def _copied(totals: Totals) -> Finding:
    counts = totals.as_json()
    expected = "every value is in its row"
    seen = (
        "{copied} copied, {failed} failed, {changed} changed in the meantime, {remaining} remain"
    ).format(**counts)
    if counts["failed"]:
        names = "; ".join(
            "{dagId} {runId} {taskId}: {why}".format(**row) for row in totals.failures[:_SHOWN]
        )
        more = counts["failed"] - _SHOWN
        return Finding(
            "rows-rehydrated",
            FAIL,
            f"{seen}: {names}" + (f"; and {more} more" if more > 0 else ""),
            expected,
            "Such a row is left unchanged: Airflow's own class reads the path from it.",
            "Run these runs again, or delete their rows with `forget`, before you change the "
            "backend back.",
        )
    if counts["remaining"]:
        return Finding(
            "rows-rehydrated",
            WARN,
            seen,
            expected,
            "The time limit was reached. The remaining rows still hold a path.",
            "Run it again: it continues where it stopped.",
        )
    return Finding("rows-rehydrated", PASS, seen, expected)
