"""`census`: runs in flight that hold offloaded values, or the rows of exactly the runs given.

One read-only transaction. The cost follows the rows of the runs looked at, not the table: from
`dag_run` by state, then `xcom` by its primary key.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import zlib
from argparse import ArgumentParser, Namespace
from typing import Any

from xcom_probe import options, place
from xcom_probe.commands.census_objects import verified
from xcom_probe.database.snapshot import snapshot
from xcom_probe.model import PASS, WARN, Finding, UsageError, rfc3339
from xcom_probe.report import Report
from xcom_probe.table.census import Census, RunKey
from xcom_probe.table.paths import below, configured_base
from xcom_probe.table.scan import positive

HELP = "list the runs in flight that hold offloaded values"


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `census`."""
    parser.add_argument(
        "--base",
        metavar="URL",
        help="the base path, connection included: s3://conn@bucket/prefix; by default the one "
        "that is configured here",
    )
    parser.add_argument(
        "--runs-file",
        metavar="FILE",
        help='look at exactly these runs, in any state: a JSON list of {"dagId", "runId"}; '
        "- reads standard input, and a name that ends in .gz is decompressed",
    )
    parser.add_argument(
        "--verify-objects",
        action="store_true",
        help="ask the store for the objects, and leave out strings that only look like a path",
    )
    parser.add_argument(
        "--verify-limit",
        metavar="N",
        type=positive,
        default=10_000,
        help="objects to ask for; further rows are counted unasked (default: 10000)",
    )
    parser.add_argument(
        "--completed",
        action="store_true",
        help="count the rows of finished runs too; this goes over the whole table",
    )


def run(args: Namespace, report: Report) -> None:
    """Take the census.

    Raises:
        CannotLook: the database is out of reach or not one that is known.
        UsageError: there is no base, it is no URL, or the file is not such a list.
    """
    cfg = options.read_config(os.environ)
    base = args.base or configured_base(os.environ, cfg)
    if base is None:
        raise UsageError("no base path is configured here; give --base s3://conn@bucket/prefix")
    below(base)
    asked = None if args.runs_file is None else read_runs(args.runs_file)
    report.facts.update(place.facts())
    with snapshot(os.environ, cfg) as database:
        report.findings.append(
            Finding("database-reachable", PASS, database.description, "the metadata database")
        )
        census = Census(database, base)
        report.members["databaseTime"] = rfc3339(database.time)
        runs = census.in_flight() if asked is None else census.exactly(asked)
        if args.verify_objects:
            runs = verified(census, runs, base, args.verify_limit, asked is not None, report)
        report.members["runs"] = [item.as_json() for item in runs]
        report.members["counts"] = {
            "runs": len(runs),
            "runsWithRows": sum(1 for item in runs if item.rows),
            "rows": sum(item.rows for item in runs),
            "inFlight": census.count_in_flight(),
        }
        report.findings.append(_readable(census.count_pickled()))
        if args.completed:
            # Last, because it ends the transaction.
            report.members["completed"] = census.completed()._asdict()


def read_runs(path: str) -> list[RunKey]:
    """Read the list of runs to look at; `.gz` at the end of the name means gzip.

    Raises:
        UsageError: the file cannot be read, or is not such a list.
    """
    try:
        if path == "-":
            content = sys.stdin.buffer.read()
        elif path.endswith(".gz"):
            with gzip.open(path) as compressed:
                content = compressed.read()
        else:
            with open(path, "rb") as file:
                content = file.read()
        runs = json.loads(content.decode("utf-8"))
    except (EOFError, OSError, ValueError, zlib.error) as problem:
        raise UsageError(f"--runs-file {path}: {problem}") from problem
    if not isinstance(runs, list):
        raise UsageError(f"--runs-file {path}: not a JSON list")
    return [_run_key(path, index, item) for index, item in enumerate(runs)]


def _run_key(path: str, index: int, item: Any) -> RunKey:
    dag_id, run_id = (
        (item.get("dagId"), item.get("runId")) if isinstance(item, dict) else (None, None)
    )
    if not isinstance(dag_id, str) or not isinstance(run_id, str):
        raise UsageError(
            f"--runs-file {path}: item {index} is {json.dumps(item)}; "
            'expected {"dagId": "...", "runId": "..."}'
        )
    return dag_id, run_id


def _readable(pickled: int) -> Finding:
    expected = "no pickled value in a run in flight"
    if not pickled:
        return Finding("rows-readable", PASS, expected, expected)
    return Finding(
        "rows-readable",
        WARN,
        f"{pickled} pickled values in runs in flight",
        expected,
        "A pickled path is not found by the census: such a run is not listed.",
        "Set AIRFLOW__CORE__ENABLE_XCOM_PICKLING=False and look at these runs by hand.",
    )
