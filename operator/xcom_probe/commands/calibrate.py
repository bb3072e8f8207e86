"""`calibrate`: how large the inline values are, and the threshold that keeps them inline."""

from __future__ import annotations

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Any

from xcom_probe import options, runtime
from xcom_probe.database.snapshot import snapshot
from xcom_probe.model import PASS, WARN, Finding
from xcom_probe.report import Report
from xcom_probe.table import calibrate, scan
from xcom_probe.table.paths import below, configured_base

HELP = "measure the inline values in the table and recommend a threshold"

_QUANTILES = "0.5,0.9,0.99,0.999"
_EXPECTED = "a threshold above the values that control flow uses"


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `calibrate`."""
    parser.add_argument(
        "--quantiles",
        metavar="Q,...",
        type=_quantiles,
        default=_quantiles(_QUANTILES),
        help="shares of the values to report sizes for; the largest is the share that should stay "
        f"inline (default: {_QUANTILES})",
    )
    parser.add_argument(
        "--margin",
        metavar="FACTOR",
        type=_margin,
        default=2.0,
        help="factor between that size and the threshold (default: 2)",
    )
    parser.add_argument(
        "--tasks", metavar="N", type=int, default=20, help="number of tasks to list (default: 20)"
    )
    parser.add_argument(
        "--base",
        metavar="URL",
        help="the base path: rows that hold a path below it are counted separately (default: the "
        "configured one)",
    )
    scan.arguments(parser)


def run(args: Namespace, report: Report) -> None:
    """Measure.

    Raises:
        CannotLook: the database is out of reach or not one that is known.
        UsageError: the base is not a URL.
    """
    cfg = options.read_config(os.environ)
    base = configured_base(os.environ, cfg) if args.base is None else args.base
    if base is not None:
        below(base)
    report.facts.update(runtime.facts())
    with snapshot(os.environ, cfg, args.statement_timeout) as database:
        report.findings.append(
            Finding("database-reachable", PASS, database.description, "the metadata database")
        )
        sizes = calibrate.measure(database, base, scan.limits(args))
    report.members["calibration"] = _member(sizes, args, base)
    report.findings.append(_finding(sizes, report.members["calibration"]))


def _member(sizes: calibrate.Sizes, args: Namespace, base: str | None) -> dict[str, Any]:
    highest = args.quantiles[-1]
    wanted = calibrate.threshold(sizes.quantile(float(highest)), args.margin)
    tasks = sizes.largest_tasks(args.tasks)
    return {
        "base": base,
        "rows": sizes.rows,
        "bytes": sizes.bytes,
        "offloadedRows": sizes.offloaded_rows,
        "largestBytes": sizes.largest,
        "quantiles": {share: sizes.quantile(float(share)) for share in args.quantiles},
        "margin": args.margin,
        "recommendedThreshold": str(wanted) if sizes.rows else None,
        "rowsAbove": sizes.above(wanted),
        "tasks": [task.as_json() for task in tasks],
        "tasksLeftOut": sizes.count_tasks() - len(tasks),
    }


def _finding(sizes: calibrate.Sizes, member: dict[str, Any]) -> Finding:
    if not sizes.rows:
        return Finding(
            "threshold-recommended",
            WARN,
            "the table holds no inline values",
            _EXPECTED,
            "There is nothing to measure.",
            "Calibrate again after DAGs have run, or choose a threshold manually.",
        )
    highest, size = list(member["quantiles"].items())[-1]
    return Finding(
        "threshold-recommended",
        PASS,
        'set "{}": {} of {} inline values have up to {} bytes, times {:g}; larger: {}'.format(
            member["recommendedThreshold"],
            highest,
            sizes.rows,
            size,
            member["margin"],
            member["rowsAbove"],
        ),
        _EXPECTED,
    )


def _quantiles(text: str) -> list[str]:
    """The shares as they were written, in ascending order."""
    shares: dict[float, str] = {}
    for part in text.split(","):
        try:
            share = float(part)
        except ValueError:
            share = -1.0
        if not 0 < share <= 1:
            raise ArgumentTypeError(f"{part!r} is not a share above 0 and up to 1, such as 0.999")
        shares[share] = part.strip()
    return [shares[share] for share in sorted(shares)]


def _margin(text: str) -> float:
    try:
        margin = float(text)
    except ValueError:
        margin = 0.0
    if not 1 <= margin < 1000:
        raise ArgumentTypeError(f"{text!r} is not a factor of 1 or more, such as 2")
    return margin
