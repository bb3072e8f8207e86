"""`audit --dynamic`: the values in the table, as the object storage backend would read them."""

from __future__ import annotations

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Any, Mapping

from xcom_probe import options, redact
from xcom_probe.database.snapshot import snapshot
from xcom_probe.model import FAIL, PASS, WARN, CannotLook, Finding
from xcom_probe.report import Report
from xcom_probe.table import scan
from xcom_probe.table.paths import below, configured_base

# Stands in for a base path where none is configured: nothing in a table is below it.
_NOWHERE = "file:///xcom-probe-has-no-base"
_SHOWN = 3
_EFFECTS = ("fails", "drifts", "offloads")


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the dynamic audit."""
    parser.add_argument(
        "--dynamic", action="store_true", help="read the values that are in the table"
    )
    parser.add_argument(
        "--threshold",
        metavar="BYTES",
        type=_threshold,
        help="dynamic: the threshold to audit for (default: the configured one, if there is one)",
    )
    parser.add_argument(
        "--base",
        metavar="URL",
        help="dynamic: the base path; what is below it is already offloaded (default: the "
        "configured one)",
    )
    parser.add_argument(
        "--tasks", metavar="N", type=int, default=1000, help="dynamic: number of tasks to list"
    )
    parser.add_argument(
        "--show-values",
        action="store_true",
        help="dynamic: quote the beginning of strings; they may be confidential",
    )
    scan.arguments(parser)


def dynamic(args: Namespace, report: Report, environ: Mapping[str, str]) -> None:
    """Read the table.

    Raises:
        CannotLook: the database is out of reach, or the backend cannot be loaded here.
        UsageError: the base is not a URL.
    """
    cfg = options.read_config(environ)
    base = configured_base(environ, cfg) if args.base is None else args.base
    if base is not None:
        below(base)
    threshold = _configured_threshold(environ, cfg) if args.threshold is None else args.threshold
    reader, pickling = _reader(base or _NOWHERE)
    from xcom_probe.table.audit import Audit, Wanted

    with snapshot(environ, cfg, args.statement_timeout) as database:
        report.findings.append(
            Finding("database-reachable", PASS, database.description, "the metadata database")
        )
        audit = Audit(database, reader, Wanted(base, threshold, pickling, args.show_values))
        try:
            audit.scan(scan.limits(args))
        finally:
            report.members["dynamic"] = _member(audit, args, base, threshold)
    report.findings.extend(_findings(audit))


def _reader(base: str) -> tuple[Any, bool]:
    os.environ[options.env_name(*options.PATH)] = base
    # Only here, because a static audit does not need Airflow.
    from xcom_probe.airflow.backend import ImportFailed, configuration, pickling
    from xcom_probe.airflow.reading import Reader

    try:
        return Reader(base), pickling(configuration())[0]
    except ImportFailed as problem:
        raise CannotLook(f"Airflow cannot be imported here: {problem}") from problem
    except ImportError as problem:
        raise CannotLook(
            f"the object storage backend cannot be imported here: {redact.error(problem)}"
        ) from problem


def _member(audit: Any, args: Namespace, base: str | None, threshold: int | None) -> dict[str, Any]:
    tasks = audit.tally.worst(args.tasks)
    return {
        "base": base,
        "threshold": threshold,
        "rows": audit.rows,
        "bytes": audit.bytes,
        "pathRows": audit.path_rows,
        "tooLargeRows": audit.too_large,
        "unreadableRows": audit.tally.unreadable(),
        "failsRows": audit.tally.rows("fails"),
        "driftsRows": audit.tally.rows("drifts"),
        "offloadsRows": audit.tally.rows("offloads"),
        "totals": {effect: audit.tally.places(effect) for effect in _EFFECTS},
        "tasks": tasks,
        "tasksLeftOut": audit.tally.count() - len(tasks),
    }


def _findings(audit: Any) -> list[Finding]:
    expected = "values that every backend reads unchanged"
    worst = [item for item in audit.tally.worst(1000) if _is_new(item)]
    found = [_verdict(audit, worst, expected)]
    if audit.tally.unreadable():
        found.append(
            Finding(
                "rows-decodable",
                WARN,
                f"{audit.tally.unreadable()} rows that no task can read today either",
                "every row can be decoded",
                "The change of backend does not affect them.",
                "See `not-json`, `not-decodable` and `pickled` in the list.",
            )
        )
    if audit.too_large:
        found.append(
            Finding(
                "rows-looked-into",
                WARN,
                f"{audit.too_large} values of more than 16 MiB were not decoded",
                "every value that must be decoded is decoded",
                "Decoding them would take several times their size in memory.",
                "Check the tasks that push them; such values belong in separate storage.",
            )
        )
    return found


def _is_new(item: Mapping[str, Any]) -> bool:
    return item["effect"] in ("fails", "drifts") and item["effect"] != item["today"]


def _verdict(audit: Any, worst: list[dict[str, Any]], expected: str) -> Finding:
    if not worst:
        return Finding(
            "audit-dynamic", PASS, f"nothing that fails or changes in {audit.rows} rows", expected
        )
    names = ", ".join(
        "{dagId}.{taskId} ({kind}, {rows} rows)".format(**item) for item in worst[:_SHOWN]
    )
    more = f" and {len(worst) - _SHOWN} more" if len(worst) > _SHOWN else ""
    return Finding(
        "audit-dynamic",
        FAIL,
        f"in {audit.rows} rows: {names}{more}",
        expected,
        "With the object storage backend these values cannot be read, or come back changed.",
        "Change what these tasks return (docs/probe.md says how for each kind), or accept the "
        "change.",
    )


def _configured_threshold(environ: Mapping[str, str], cfg: options.ConfigFile) -> int | None:
    section, option = options.THRESHOLD
    value = environ.get(
        options.env_name(section, option), cfg.sections.get(section, {}).get(option)
    )
    try:
        return None if value is None else int(value)
    except ValueError:
        # `preflight` reports that.
        return None


def _threshold(text: str) -> int:
    try:
        return max(-1, int(text))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number of bytes; -1 never offloads") from None
