"""Importing: the probe's commands against importing Airflow alone, on several versions.

Each is a process of its own, in turns. "Importing Airflow" is what any process in the pod pays that
looks at tables of Airflow and at the XCom class: the models, and on 3.x the task's side too.
"""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Sequence

from bench import page
from bench.setup import instance, run
from harness.say import say
from harness.shell import HarnessError
from probe_world import PATH, Environment, Pod, object_store, right_environment

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
    for version in VERSIONS:
        with instance(version) as here, object_store(here.home / "s3") as store:
            env = right_environment(here.airflow, here.home, here.server, store)
            rows += _measure(here.airflow, Pod(here.airflow.python, here.pyz, env))
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
    done = run(command, env)
    if done.code != 0:
        bad = re.findall(
            r'"name": "([^"]+)", "status": "(?:fail|error)", "observed": "[^"]*"', done.stdout
        )
        raise HarnessError(f"{' '.join(command)}: {', '.join(bad)} {done.stderr[-1000:]}")
    return done.seconds, done.processor
