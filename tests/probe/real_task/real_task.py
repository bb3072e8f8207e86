"""A DAG that pushes the values of the round trip and pulls them again, and writes down what it saw.

Parsed by Airflow 2 and 3 in their own environments; see test_real_task.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from datetime import datetime, timezone
from typing import Any

if os.environ["AIRFLOW_SERIES"].startswith("2."):
    from airflow.decorators import dag, task
    from airflow.operators.python import get_current_context
else:
    from airflow.sdk import dag, get_current_context, task

sys.path.insert(0, os.environ["PROBE"])


def samples() -> list[Any]:
    """The values that one task can push, except those left out."""
    from xcom_probe.values import addressed, arrays, plain, typed
    from xcom_probe.values.sample import TASK_ID, NotHere

    found = [*plain.samples(), *typed.samples(), *addressed.samples()]
    for kind in (arrays.NUMPY, arrays.PANDAS):
        with contextlib.suppress(NotHere):
            found += arrays.samples(kind)
    left_out = os.environ["LEFT_OUT"].split()
    return [
        sample
        for sample in found
        if (sample.task_id, sample.map_index) == (TASK_ID, -1) and sample.name not in left_out
    ]


def write(name: str, seen: dict[str, Any]) -> None:
    """Keep what was seen so far: a task may be killed by a value."""
    with open(os.path.join(os.environ["SEEN"], name), "w") as file:
        json.dump(seen, file)


def pulled(value: Any, read: Any) -> list[Any]:
    """The verdict and the classes of drift, as the probe words them."""
    from xcom_probe.values.compare import differences

    base = os.environ["AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"]
    if isinstance(read, str) and read.startswith(base + "/real_task/"):
        return ["failure", []]
    drift = sorted({difference.drift for difference in differences(value, read)})
    return ["drift" if drift else "equal", drift]


@dag(start_date=datetime(2024, 1, 1, tzinfo=timezone.utc), schedule=None)  # noqa: UP017 - 3.9
def real_task() -> None:
    """Push, then pull in another task."""

    @task
    def push() -> None:
        instance = get_current_context()["ti"]
        seen = {}
        for sample in samples():
            try:
                value = sample.make()
            except Exception:  # noqa: BLE001, S112 - its package is missing, as the probe reports
                continue
            try:
                instance.xcom_push(key=sample.key or sample.name, value=value)
                seen[sample.name] = "pushed"
            except Exception as problem:  # noqa: BLE001 - this is what is asked
                seen[sample.name] = f"{type(problem).__name__}: {problem}"
            write("pushed.json", seen)

    @task
    def pull() -> None:
        instance = get_current_context()["ti"]
        with open(os.path.join(os.environ["SEEN"], "pushed.json")) as file:
            pushed = json.load(file)
        seen = {}
        for sample in samples():
            if sample.name not in pushed:
                continue
            seen[sample.name] = ["failure", []]
            if pushed[sample.name] == "pushed":
                # What fails stays a failure.
                with contextlib.suppress(Exception):
                    read = instance.xcom_pull(task_ids="push", key=sample.key or sample.name)
                    seen[sample.name] = pulled(sample.make(), read)
            write("pulled.json", seen)

    push() >> pull()


real_task()
