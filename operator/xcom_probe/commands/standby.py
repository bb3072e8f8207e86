"""`standby`: does nothing, so that other commands can be run beside it without a pod's start."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace

from xcom_probe.model import PASS, Finding
from xcom_probe.report import Report

HELP = "wait until SIGTERM, so that other commands can be run in this container"
_DAY = 86400


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `standby`."""
    parser.add_argument("--seconds", type=float, default=_DAY, help="end after that time by itself")


def run(args: Namespace, report: Report) -> None:
    """Wait.

    Raises:
        Interrupted: SIGTERM came.
    """
    time.sleep(args.seconds)
    report.findings.append(Finding("standby", PASS, "nothing was done", "nothing is done"))
