"""`inspect`: which XCom class a fresh process here loads, and from where its options come."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from typing import Any

from xcom_probe import checks, mounted, runtime, started
from xcom_probe.airflow import versions
from xcom_probe.airflow.backend import ImportFailed
from xcom_probe.model import CannotLook
from xcom_probe.report import Report

HELP = "report which XCom backend a new process loads here, its options and their sources"


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `inspect`."""
    parser.add_argument("--expect-backend", choices=sorted(versions.BACKEND_CLASSES))
    parser.add_argument("--expect-path", metavar="URL")
    parser.add_argument("--expect-threshold", metavar="BYTES", type=int)


def run(args: Namespace, report: Report) -> None:
    """Look; each expectation given becomes a check.

    What the processes here were started with, and whether airflow.cfg was changed beneath them, are
    two more where this process is not one of them.
    """
    for look in (started.check, mounted.check):
        finding = look(os.environ)
        if finding is not None:
            report.findings.append(finding)
    loaded = load(
        report,
        backend=args.expect_backend,
        path=args.expect_path,
        threshold=args.expect_threshold,
    )
    from xcom_probe.checks import configuration

    wanted = {
        "backend-loaded": args.expect_backend is not None,
        "option-path": args.expect_path is not None,
        "threshold-integer": args.expect_threshold is not None,
        "option-threshold": args.expect_threshold is not None,
    }
    table: list[Any] = [
        check._replace(needs=tuple(need for need in check.needs if wanted.get(need)))
        for check in configuration.TABLE
        if wanted.get(check.name)
    ]
    if loaded.xcom is None and not args.expect_backend:
        raise CannotLook(f"the XCom class cannot be imported: {loaded.problem}")
    checks.run(table, loaded, report.findings)


def load(
    report: Report,
    backend: str | None = None,
    path: str | None = None,
    threshold: int | None = None,
    compression: str | None = None,
) -> Any:
    """Import Airflow and its XCom class here, and put the facts into the report.

    Raises:
        CannotLook: Airflow itself cannot be imported.
    """
    report.facts.update(runtime.facts())
    from xcom_probe.checks.loaded import Expectation, Loaded

    expected = Expectation(backend, path, threshold, compression)
    try:
        loaded = Loaded(os.environ, expected)
    except ImportFailed as problem:
        raise CannotLook(f"Airflow cannot be imported here: {problem}") from problem
    report.facts.update(loaded.facts())
    return loaded
