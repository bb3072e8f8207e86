"""`standby`: waits for commands, so that these need neither the start of a pod nor an import.

Importing SQLAlchemy and a driver takes longer than the command of a kill itself. It is done here
once, while nobody waits for it. Nothing else is kept from one command to the next: each runs in a
process of its own, which reads the configuration and connects as it would without `standby`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from argparse import ArgumentParser, Namespace

from xcom_probe import options, waiting
from xcom_probe.database.address import address
from xcom_probe.model import PASS, WARN, Finding
from xcom_probe.report import Report

HELP = "wait until SIGTERM, and answer other commands in this container"
_DAY = 86400


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `standby`."""
    parser.add_argument("--seconds", type=float, default=_DAY, help="stop after this time")


def run(args: Namespace, report: Report) -> None:
    """Wait, and answer.

    Raises:
        Interrupted: SIGTERM came.
    """
    with contextlib.suppress(Exception):  # a command that needs it reports what is missing
        _import_ahead()
    report.facts["answered"] = 0
    end = time.monotonic() + args.seconds
    try:
        for answered in waiting.serve(args.seconds):
            report.facts["answered"] = answered
    except OSError as problem:
        # In a sandbox without such sockets or such a /proc. Other commands run beside it then.
        report.findings.append(Finding("standby", WARN, str(problem), "questions are answered"))
        time.sleep(max(0.0, end - time.monotonic()))
    report.findings.append(
        Finding("standby", PASS, "its time limit was reached", "nothing is done")
    )


def _import_ahead() -> None:
    """Import what the commands of a kill need."""
    for name in waiting.ANSWERED:
        importlib.import_module(f"xcom_probe.commands.{name}")
    found = address(os.environ, options.read_config(os.environ))
    if found is not None:
        # Makes no connection.
        importlib.import_module("sqlalchemy").create_engine(found.url).dispose()
