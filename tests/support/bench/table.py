"""Table: `calibrate` and the dynamic audit over millions of rows, against a plain COPY of them.

The COPY writes every value of the table to /dev/null, in the database's own process, in the same
run. That is the least that anybody can do who looks at every value.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench import page
from bench.setup import Instance, instance
from big_table import BASE, fill
from harness.say import say, step
from harness.shell import HarnessError
from probe_world import Postgres

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
ROWS = int(os.environ.get("BENCH_TABLE_ROWS", "5000000"))
FEWER = ROWS // 5
VERSIONS = ("2.11.2", "3.3.2")
IN_FLIGHT = 100
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "census": ("census", "--base", BASE),
    "calibrate": ("calibrate", "--base", BASE),
    "audit": ("audit", "--dynamic", "--base", BASE, "--threshold", "1048576"),
}
# Runs its arguments and prints what they print, what that took, and the most memory that was held.
TIMED = """
import json, resource, subprocess, sys, time
begin = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE)
seconds = time.monotonic() - begin
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps({"said": done.stdout.decode(), "seconds": seconds, "mib": peak}))
"""


@dataclass(frozen=True)
class Taken:
    """Seconds, and the peak of the resident memory in MiB."""

    seconds: float
    mib: float


def measure() -> str:
    """Measure on each Airflow; the results as Markdown.

    Raises:
        HarnessError: a part could not be set up, or the probe could not look.
    """
    rows: list[tuple[object, ...]] = []
    for version in VERSIONS:
        with instance(version) as here:
            rows += _measure(here)
    header = ("Airflow, command", "Rows", "Seconds", "Rows/s", "COPY, seconds", "Ratio", "Peak MiB")
    return page.table(header, rows)


def _measure(here: Instance) -> list[tuple[object, ...]]:
    airflow, server = here.airflow, here.server
    few: dict[str, float] = {}
    with step(f"{FEWER:,} rows of Airflow {airflow.version}"), server.connect() as connection:
        fill(connection, FEWER, IN_FLIGHT)
    for name in COMMANDS:
        few[name] = _probe(here, name).mib
    with step(f"{ROWS:,} rows of Airflow {airflow.version}"), server.connect() as connection:
        fill(connection, ROWS, IN_FLIGHT)
    taken: dict[str, list[Taken]] = {name: [] for name in ("copy", *COMMANDS)}
    for number in range(ROUNDS):
        taken["copy"].append(_copy(server))
        for name in COMMANDS:
            taken[name].append(_probe(here, name))
        say(f"round {number + 1} of {ROUNDS} on Airflow {airflow.version}")
    copy = statistics.median(item.seconds for item in taken["copy"])
    found: list[tuple[object, ...]] = []
    for name in COMMANDS:
        seconds = statistics.median(item.seconds for item in taken[name])
        most = max(item.mib for item in taken[name])
        whole = name != "census"
        found.append(
            (
                f"{airflow.version}, `{name}`",
                f"{ROWS:,}",
                f"{seconds:.1f}",
                f"{ROWS / seconds:,.0f}" if whole else "",
                f"{copy:.1f}",
                f"{copy / seconds:.2f}" if whole else "",
                f"{most:.0f} ({few[name]:.0f} at {FEWER:,})",
            )
        )
    return found


def _copy(server: Postgres) -> Taken:
    with server.connect() as connection:
        begin = time.monotonic()
        connection.execute("COPY (SELECT value FROM xcom) TO '/dev/null'")
        return Taken(time.monotonic() - begin, 0)


def _probe(here: Instance, name: str) -> Taken:
    done = subprocess.run(
        [sys.executable, "-c", TIMED, here.airflow.python, here.pyz, *COMMANDS[name], "--json"],
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(here.home),
            "AIRFLOW_HOME": str(here.home),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": here.server.url(),
        },
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
        verdict = json.loads(answer["said"])["verdict"]
    except ValueError as error:
        raise HarnessError(f"{name}: {done.stdout}{done.stderr}") from error
    # `fail` is an answer: the audit found what is in the table.
    if verdict == "error":
        raise HarnessError(f"{name} could not look: {answer['said']}")
    return Taken(answer["seconds"], answer["mib"])
