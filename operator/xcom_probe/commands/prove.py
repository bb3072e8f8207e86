"""`prove`: preflight, then the round trip, in one process. What a proof Job runs."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace

from xcom_probe.commands import preflight, roundtrip
from xcom_probe.model import PASS, SKIP, Finding, verdict
from xcom_probe.report import Report

HELP = "preflight and, if it passes, roundtrip, with one start of Airflow"


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `prove`."""
    preflight.arguments(parser)
    roundtrip.trip_arguments(parser)


def run(args: Namespace, report: Report) -> None:
    """Preflight; the round trip only if nothing failed there."""
    given = roundtrip.user_samples(args)
    started = time.monotonic()
    loaded = preflight.run(args, report)
    report.members["timings"] = {"preflight": round(time.monotonic() - started, 3)}
    if verdict(report.findings) != PASS:
        blocked = [item.name for item in report.findings if item.status in ("fail", "error")]
        report.findings.append(
            Finding("roundtrip", SKIP, "not checked: {} did not pass".format(", ".join(blocked)))
        )
        return
    started = time.monotonic()
    roundtrip.trip(loaded, args, given, report)
    report.members["timings"]["roundtrip"] = round(time.monotonic() - started, 3)
