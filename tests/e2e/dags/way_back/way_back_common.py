"""What the DAGs of the way back share: tasks, values, how long a first try stays, what arrived.

A first try stays in flight until the time `until` of the run's conf (seconds since the epoch); a
later one ends at once, so that a re-run shows its outcome soon.
"""

from __future__ import annotations

import signal
import time
from importlib.metadata import version
from typing import Any

import pendulum
from airflow.decorators import task
from airflow.exceptions import AirflowFailException
from airflow.models.param import Param
from demo_payload import describe, make_value

BYTES = 1_200_000
"""Size of a value that is offloaded: above the threshold of the demo (1 MiB)."""

IS_3 = int(version("apache-airflow").split(".")[0]) >= 3

DAG = {
    "schedule": None,
    "start_date": pendulum.datetime(2024, 1, 1, tz="UTC"),
    "catchup": False,
    "is_paused_upon_creation": False,
    "default_args": {"retries": 0},
    "params": {"until": Param(0, type="number")},
}


def big(context: Any, name: str = "") -> list[str]:
    """Return a value that is offloaded and that every task of the run can make again."""
    return make_value(f"{context['run_id']} {name}", BYTES)


def states(context: Any) -> dict[str, str | None]:
    """Return the state of each task of the run, of those that have one by now."""
    run = context["dag_run"]
    if hasattr(run, "get_task_instances"):  # Airflow 2
        return {ti.task_id: ti.state for ti in run.get_task_instances()}
    found = context["ti"].get_task_states(dag_id=run.dag_id, run_ids=[run.run_id])
    return dict(found[run.run_id])


def is_over(context: Any) -> bool:
    """Whether a task that keeps its run in flight may end."""
    return context["ti"].try_number > 1 or time.time() >= float(context["params"]["until"])


def stay(context: Any) -> None:
    """Keep the run in flight."""
    while not is_over(context):
        time.sleep(1)


def check(context: Any, **handed: tuple[Any, Any]) -> None:
    """Push what arrived, each as XCom `received <name>`; fail the task if one is not as expected.

    Args:
        handed: by name, what the task was handed and what it should have been.

    Raises:
        AirflowFailException: type or content differ; says what arrived.
    """
    wrong = []
    for name, (value, expected) in handed.items():
        seen = {**describe(value), "right": value == expected}
        print(f"{name}: received {seen}")
        context["ti"].xcom_push(key=f"received {name}", value=seen)
        if type(value) is not type(expected) or value != expected:
            wrong.append(f"{name}: expected {describe(expected)}, handed {seen}")
    if wrong:
        raise AirflowFailException("; ".join(wrong))


@task
def produce(**context: Any) -> list[str]:
    """Offloads."""
    return big(context)


@task
def hold(**context: Any) -> None:
    """Keeps its run in flight."""
    stay(context)


@task
def deaf(**context: Any) -> None:
    """On its first try nothing but SIGKILL ends it."""
    if context["ti"].try_number <= 1:
        signal.signal(signal.SIGTERM, lambda *_: print("SIGTERM: the task goes on", flush=True))
    stay(context)


@task
def consume(value: Any, **context: Any) -> None:
    """Is handed what `produce` returned."""
    check(context, value=(value, big(context)))
