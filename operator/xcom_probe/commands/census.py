"""`census`: runs in flight that hold offloaded values, or the rows of exactly the runs given.

One read-only transaction. The cost follows the rows of the runs looked at, not the table: from
`dag_run` by state, then `xcom` by its primary key.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from xcom_probe import options, runtime
from xcom_probe.commands.census_objects import verified
from xcom_probe.commands.which import RUNS_FILE, base_argument, read_runs
from xcom_probe.database.snapshot import snapshot
from xcom_probe.model import PASS, WARN, Finding, rfc3339
from xcom_probe.report import Report
from xcom_probe.table.census import Census, Finished
from xcom_probe.table.paths import asked_bases
from xcom_probe.table.scan import positive

HELP = "list the runs in flight that hold offloaded values"


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `census`."""
    base_argument(parser)
    parser.add_argument(
        "--runs-file",
        metavar="FILE",
        help=f"check exactly these runs, in any state: {RUNS_FILE}",
    )
    parser.add_argument(
        "--verify-objects",
        action="store_true",
        help="check the objects in the store, and leave out strings that only look like a path",
    )
    parser.add_argument(
        "--verify-limit",
        metavar="N",
        type=positive,
        default=10_000,
        help="most objects to check; further rows are counted unchecked (default: 10000)",
    )
    parser.add_argument(
        "--finished",
        action="store_true",
        help="also count the rows of runs that are not in flight; this reads the whole table",
    )


def run(args: Namespace, report: Report) -> None:
    """Take the census.

    Raises:
        CannotLook: the database is out of reach or not one that is known.
        UsageError: there is no base, it is not a URL, or the file is not such a list.
    """
    cfg = options.read_config(os.environ)
    bases = asked_bases(args.base, os.environ, cfg)
    asked = None if args.runs_file is None else read_runs(args.runs_file)
    report.facts.update(runtime.facts())
    with snapshot(os.environ, cfg) as database:
        report.findings.append(
            Finding("database-reachable", PASS, database.description, "the metadata database")
        )
        census = Census(database, bases)
        report.members["databaseTime"] = rfc3339(database.time)
        runs = census.in_flight() if asked is None else census.exactly(asked)
        if args.verify_objects:
            runs = verified(census, runs, args.verify_limit, asked is not None, report)
        report.members["runs"] = [item.as_json() for item in runs]
        report.members["counts"] = {
            "runs": len(runs),
            "runsWithRows": sum(1 for item in runs if item.rows),
            "rows": sum(item.rows for item in runs),
            "inFlight": census.count_in_flight(),
        }
        report.findings.append(_readable(census.count_pickled()))
        if args.finished:
            # Last, because it ends the transaction.
            finished = Finished()
            for run in census.finished():
                finished.add(run.dag_id, run.rows)
            report.members["finished"] = finished.as_json()


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
        "Set AIRFLOW__CORE__ENABLE_XCOM_PICKLING=False and check these runs manually.",
    )
