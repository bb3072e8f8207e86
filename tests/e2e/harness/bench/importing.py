"""Importing: the probe's commands against importing Airflow alone, on several versions.

Each is a process of its own, in turns. "Importing Airflow" is what any process in the pod pays that
looks at tables of Airflow and at the XCom class: the models, and on 3.x the task's side too.
"""

from __future__ import annotations

import os
import re
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from probe_world import (
    PATH,
    Environment,
    Pod,
    airflow_environment,
    migrate,
    object_store,
    postgres,
    right_environment,
)

from harness.bench import page
from harness.say import say
from harness.shell import HarnessError
from xcom_probe.build import build

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
VERSIONS = ("2.9.3", "2.11.2", "3.3.2")
_MODELS = "import airflow.models.dagrun, airflow.models.taskinstance, airflow.models.xcom"
_TASK = "import airflow.sdk.execution_time.task_runner, airflow.sdk.execution_time.xcom"
_THRESHOLD = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD"


def measure() -> str:
    """Measure on each Airflow; the results as Markdown.

    Raises:
        HarnessError: a part could not be set up, or a command failed.
    """
    rows: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory(prefix="bench-importing-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        pyz = folder / "xcom_probe.pyz"
        build(pyz)
        with object_store(folder / "s3") as store:
            for version in VERSIONS:
                airflow = airflow_environment(version)
                home = folder / version
                with postgres(home / "server") as server:
                    migrate(airflow, server, home)
                    pod = Pod(airflow.python, pyz, right_environment(airflow, home, server, store))
                    rows += _measure(airflow, pod)
    header = ("Airflow, command", "Seconds", "Of them processor", "To importing", "Processor")
    return page.table(header, rows)


def _measure(airflow: Environment, pod: Pod) -> list[tuple[object, ...]]:
    imports = f"{_MODELS}; {_TASK}" if airflow.is_3 else _MODELS
    python, pyz = str(pod.python), str(pod.pyz)
    expected = ("--expect-path", PATH, "--expect-threshold")
    readers = {_THRESHOLD: "-1"}
    commands: dict[str, tuple[Sequence[str], dict[str, str]]] = {
        "importing": ((python, "-c", imports), {}),
        "`airflow version`": ((str(airflow.airflow), "version"), {}),
        "`inspect`": ((python, pyz, "inspect", "--json"), {}),
        "`preflight`": ((python, pyz, "preflight", "--json", *expected, "1048576"), {}),
        "`prove`, threshold -1": ((python, pyz, "prove", "--json", *expected, "-1"), readers),
        "`prove --functional-s3`, 1 MiB": (
            (python, pyz, "prove", "--json", "--functional-s3", *expected, "1048576"),
            {},
        ),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for number in range(ROUNDS + 1):
        for name, (command, changes) in commands.items():
            measured = _run(command, {**pod.env, **changes})
            # The first round warms the caches of the file system.
            if number:
                taken[name].append(measured)
        say(f"round {number} of {ROUNDS} on Airflow {airflow.version}")
    wall, cpu = _medians(taken["importing"])
    found: list[tuple[object, ...]] = []
    for name, times in taken.items():
        seconds, processor = _medians(times)
        found.append(
            (
                f"{airflow.version}, {name}",
                f"{seconds:.2f}",
                f"{processor:.2f}",
                f"**{seconds / wall:.2f}**",
                f"{processor / cpu:.2f}",
            )
        )
    return found


def _medians(times: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(t[0] for t in times), statistics.median(t[1] for t in times)


def _run(command: Sequence[str], env: dict[str, str]) -> tuple[float, float]:
    """Seconds on the wall and of the processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.monotonic()
    done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        bad = re.findall(
            r'"name": "([^"]+)", "status": "(?:fail|error)", "observed": "[^"]*"', done.stdout
        )
        raise HarnessError(f"{' '.join(command)}: {', '.join(bad)} {done.stderr[-1000:]}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
