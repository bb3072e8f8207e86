"""Airflow whose tasks run in workers, and what tests of a kill do to these."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from harness.cluster import Cluster
from harness.flights import Flights, asleep, wait_for_dags
from harness.operator import OperatorInstall
from harness.shell import HarnessError
from harness.stack import AIRFLOW_2, AIRFLOW_3, AirflowStack, Instance
from harness.waiting import NotYetError, wait_for


class Clock:
    """Prints what happened when."""

    def __init__(self) -> None:
        self.begin = time.monotonic()

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.begin:5.0f} s  {text}", flush=True)


@contextlib.contextmanager
def alone(
    cluster: Cluster, instance: Instance, folders: Sequence[Path], dags: Collection[str]
) -> Iterator[AirflowStack]:
    """Install an Airflow with workers, on the database backend; alone, because two slow each other.

    Args:
        folders: of DAG files.
        dags: those that have to be there.
    """
    with (
        asleep(cluster, AIRFLOW_2),
        asleep(cluster, AIRFLOW_3),
        AirflowStack(cluster, instance) as stack,
    ):
        stack.install(more_dags=folders)
        OperatorInstall(cluster).install()
        wait_for_dags(stack, dags, unpause=dags)
        yield stack
        stack.uninstall(storage=False)
    OperatorInstall(cluster).install()


def lose_worker(stack: AirflowStack, pod: str) -> None:
    """End a worker at once, with all that runs in it.

    Its processes first, and for certain: of a pod that is deleted by force the kubelet may see no
    more than that it is gone, and then leaves its processes their whole grace period (600 s, seen).
    A kubelet that is busy refuses to execute anything (seen, too).
    """
    inside = ("exec", pod, "-c", "worker", "--", "bash", "-c", "kill -KILL -1")
    alive = _container(stack, pod)

    def ended() -> bool:
        with contextlib.suppress(HarnessError):  # It ends with its own connection.
            stack.cluster.kubectl("-n", stack.namespace, *inside)
        if _container(stack, pod) == alive:
            raise NotYetError(f"{alive} runs")
        return True

    wait_for(f"the processes of {pod} are killed", ended, 60, interval=0.5)
    stack.cluster.kubectl(
        *("-n", stack.namespace, "delete", "pod", pod),
        *("--grace-period=0", "--force", "--ignore-not-found"),
    )


def _container(stack: AirflowStack, pod: str) -> str:
    """Return which container of a worker runs; empty where none does."""
    words = ("-n", stack.namespace, "get", "pods", f"--field-selector=metadata.name={pod}")
    return "".join(
        str(status["containerID"])
        for found in stack.cluster.kubectl_json(*words)["items"]
        for status in found["status"].get("containerStatuses", [])
        if status["name"] == "worker" and "running" in status["state"]
    )


def run_is(flights: Flights, dag: str, run: str, state: str) -> bool:
    """Whether a run is in a state; `NotYetError` where it is not."""
    seen = flights.api.run_state(dag, run)
    if seen != state:
        raise NotYetError(f"{dag}/{run} is {seen}")
    return True


def highest_tries(flights: Flights) -> dict[str, int]:
    """Return the highest try of any task by DAG."""
    found: dict[str, int] = {}
    for dag, run in flights.runs:
        tries = [task.try_number for task in flights.api.tasks(dag, run)]
        found[dag] = max(found.get(dag, 0), *tries)
    return found
