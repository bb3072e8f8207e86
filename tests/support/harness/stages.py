"""Runs make targets one after the other and closes with a table of what ran.

``python -m harness.stages lint unit e2e`` runs ``make lint``, ``make unit`` and ``make e2e``. A
failing stage does not stop the later ones: one run then shows all that is wrong. The exit status is
0 only if every stage passed and every stage that runs tests had at least one test that passed.

The last line is ``N passed, N failed`` over all test suites, also in build/reports/summary.txt.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPORTS = Path("build/reports")
# The JUnit report that each make target writes, without ".xml". A target not named here runs no
# tests.
SUITES = {
    "unit": "unit",
    "apiserver-test": "apiserver",
    "dags-test": "dags",
    "probe-test": "probe",
    "test-matrix": "matrix",
    "e2e": "e2e",
}


@dataclass(frozen=True)
class Counts:
    """Numbers of test cases. ``failed`` includes errors in fixtures and during collection."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped
        )


@dataclass(frozen=True)
class Stage:
    """One finished make target; ``counts`` is None where the target runs no tests."""

    name: str
    exit_status: int
    seconds: float
    counts: Counts | None

    @property
    def problem(self) -> str | None:
        """Why the stage does not count as passed, or None."""
        if self.exit_status != 0:
            return f"exit status {self.exit_status}"
        if self.counts is not None and self.counts.passed == 0:
            return "no test passed"
        return None


def read_counts(report: Path) -> Counts:
    """Counts the cases of a JUnit report written by pytest; a missing report counts nothing."""
    if not report.exists():
        return Counts()
    passed = failed = skipped = 0
    # The report was written by our own pytest a moment ago.
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314
        outcomes = {child.tag for child in case}
        if outcomes & {"failure", "error"}:
            failed += 1
        elif "skipped" in outcomes:
            skipped += 1
        else:
            passed += 1
    return Counts(passed, failed, skipped)


def table(stages: Sequence[Stage]) -> str:
    """The closing table: a row for each stage, then the sum."""
    rows = [("stage", "result", "passed", "failed", "skipped", "seconds")]
    for stage in stages:
        counts = stage.counts
        numbers = (
            ("-", "-", "-")
            if counts is None
            else (str(counts.passed), str(counts.failed), str(counts.skipped))
        )
        rows.append((stage.name, stage.problem or "ok", *numbers, f"{stage.seconds:.1f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [
                row[0].ljust(widths[0]),
                row[1].ljust(widths[1]),
                *(cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)),
            ]
        ).rstrip()
        for row in rows
    )


def summary(stages: Sequence[Stage]) -> str:
    """``N passed, N failed`` over all suites."""
    total = sum((stage.counts for stage in stages if stage.counts is not None), Counts())
    return f"{total.passed} passed, {total.failed} failed"


def run_stage(name: str) -> Stage:
    """Runs ``make NAME`` with this process's input and output."""
    suite = SUITES.get(name)
    report = REPORTS / f"{suite}.xml"
    if suite is not None:
        report.unlink(missing_ok=True)
    # Variables given on make's command line are in the environment too; the rest of MAKEFLAGS
    # (a job server's file descriptors) is of no use across this process.
    environment = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MAKELEVEL"}}
    print(f"\n===== make {name}", flush=True)
    started = time.monotonic()
    exit_status = subprocess.run(["make", name], env=environment, check=False).returncode
    seconds = time.monotonic() - started
    counts = None if suite is None else read_counts(report)
    return Stage(name, exit_status, seconds, counts)


def main(names: Sequence[str]) -> int:
    """Runs the named targets and prints the table. Returns the process's exit status."""
    if not names:
        print("harness.stages: name at least one make target", file=sys.stderr)
        return 2
    REPORTS.mkdir(parents=True, exist_ok=True)
    summary_file = REPORTS / "summary.txt"
    summary_file.unlink(missing_ok=True)
    stages = [run_stage(name) for name in names]
    line = summary(stages)
    summary_file.write_text(f"{line}\n", encoding="utf-8")
    print(f"\n{table(stages)}\n\n{line}", flush=True)
    return 1 if any(stage.problem for stage in stages) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
