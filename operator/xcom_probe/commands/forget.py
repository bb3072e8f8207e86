"""`forget`: deletes the rows of finished runs that hold the path of an offloaded value.

A clear of a run deletes no row: a re-run that skips what its first try ran leaves the old path
there, and whoever reads it with Airflow's own class gets the path as data. Without the row it gets
None, as from a task that never ran. Objects are not touched.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from xcom_probe import options, runtime
from xcom_probe.commands.which import RUNS_FILE, base_argument, read_runs
from xcom_probe.database.writing import writer
from xcom_probe.model import FAIL, PASS, WARN, Finding
from xcom_probe.report import Report
from xcom_probe.table.forgetting import Forgetting, Forgotten
from xcom_probe.table.paths import asked_bases

HELP = "delete the rows of given runs that hold the path of an offloaded value"
_SHOWN = 3


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `forget`."""
    base_argument(parser)
    parser.add_argument(
        "--runs-file",
        metavar="FILE",
        required=True,
        help=f"the runs: {RUNS_FILE}. A run that is queued or running is rejected",
    )
    parser.add_argument("--dry-run", action="store_true", help="count, and delete nothing")


def run(args: Namespace, report: Report) -> None:
    """Delete the rows.

    Raises:
        CannotLook: the database is out of reach, or a lock was not obtained; what was committed
            before that is in the report.
        UsageError: there is no base, it is not a URL, or the file is not such a list.
    """
    cfg = options.read_config(os.environ)
    bases = asked_bases(args.base, os.environ, cfg)
    runs = read_runs(args.runs_file)
    report.facts.update(runtime.facts())
    with writer(os.environ, cfg) as database:
        report.findings.append(
            Finding("database-reachable", PASS, database.description, "the metadata database")
        )
        done: list[Forgotten] = []
        report.members["dryRun"] = args.dry_run
        try:
            done.extend(Forgetting(database, bases, args.dry_run).forget(runs))
        finally:
            # Whenever this ends, the report has what was committed.
            report.members["runs"] = [item.as_json() for item in done]
            report.members["counts"] = _counts(done)
    report.findings.append(_readable(sum(item.pickled for item in done)))
    report.findings.append(_forgotten(done))


def _counts(done: list[Forgotten]) -> dict[str, int]:
    return {
        "runs": len(done),
        "rows": sum(item.rows for item in done),
        "left": sum(item.left for item in done),
        "skipped": sum(1 for item in done if item.skipped),
    }


def _forgotten(done: list[Forgotten]) -> Finding:
    expected = "no such row remains in the given runs"
    left = [item for item in done if item.skipped or item.left]
    if not left:
        return Finding("rows-forgotten", PASS, expected, expected)
    names = ", ".join(
        "{} {} ({})".format(item.dag_id, item.run_id, item.skipped or f"{item.left} rows left")
        for item in left[:_SHOWN]
    )
    more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
    return Finding(
        "rows-forgotten",
        FAIL,
        f"{len(left)} of {len(done)} runs: {names}{more}",
        expected,
        "A task of a run in flight may read such a row at any moment, and would get None for it.",
        "Wait until these runs end, or set them to failed, and run this again.",
    )


def _readable(pickled: int) -> Finding:
    expected = "no pickled value in the given runs"
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
