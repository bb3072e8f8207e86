"""`preflight`: would the object storage backend work in this pod, as it is configured now?"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from xcom_probe import checks
from xcom_probe.airflow import versions
from xcom_probe.commands import inspect
from xcom_probe.model import ERROR, Finding
from xcom_probe.report import Report

HELP = "check backend, options, provider, connection and bucket; creates nothing"


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `preflight`."""
    parser.add_argument(
        "--expect-path", metavar="URL", help="the expected path; default: what the pod has"
    )
    parser.add_argument(
        "--expect-threshold", metavar="BYTES", type=int, help="the expected threshold"
    )
    parser.add_argument("--expect-compression", metavar="CODEC", help="the expected compression")
    parser.add_argument(
        "--functional-s3",
        action="store_true",
        help="also put, get, list and delete one object with a unique name under the prefix",
    )


def run(args: Namespace, report: Report) -> Any:
    """Run all checks; return what was loaded, for a command that goes on from here."""
    from xcom_probe.checks import configuration, storage
    from xcom_probe.checks.s3 import Storage

    loaded = inspect.load(
        report,
        versions.OBJECT_STORAGE,
        args.expect_path,
        args.expect_threshold,
        args.expect_compression,
    )
    checks.run(configuration.TABLE, loaded, report.findings)
    blocked = "" if loaded.xcom else "Airflow's XCom class cannot be imported"
    store = Storage(loaded.path(), args.functional_s3, blocked)
    try:
        checks.run(storage.TABLE, store, report.findings)
    finally:
        problem = store.close()
        if problem:
            report.findings.append(
                Finding(
                    "s3-cleanup",
                    ERROR,
                    f"the probe object {store.key} could not be removed: {problem}",
                    "the probe object is removed",
                    "It stays in the bucket.",
                    "Remove it manually.",
                )
            )
    return loaded
