"""Runs with tasks in workers and in pods of their own when a kill begins."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from airflow.configuration import conf
from airflow.decorators import dag, task
from way_back_common import DAG, IS_3, big, consume, deaf, hold, produce


def own_pod() -> dict[str, Any]:
    """Return how a task asks for a pod of its own: on Airflow 2 by its queue, on 3 by its executor.

    That pod is configured for LocalExecutor, by its template, and accepts no other name.
    """
    if not IS_3:
        return {"queue": "kubernetes"}
    several = "," in str(conf.get("core", "executor"))
    return {"executor": "KubernetesExecutor"} if several else {}


IN_POD = own_pod()


@dag(**DAG)
def bo_to_pod() -> None:
    """Has offloaded in a worker, and is in a task that has a pod."""
    value = produce()
    value >> hold.override(**IN_POD)() >> consume(value)


@dag(**DAG)
def bo_to_worker() -> None:
    """Has offloaded in a pod of its own, and is in a worker."""
    value = produce.override(**IN_POD)()
    value >> deaf() >> consume.override(**IN_POD)(value)


@dag(**DAG)
def bo_both() -> None:
    """Is in a task in either at once."""
    value = produce()
    value >> [hold.override(**IN_POD)(), deaf()] >> consume(value)


@dag(**DAG)
def bo_returns() -> None:
    """Its first task ends when a test makes `/tmp/late` in its pod."""

    @task(**IN_POD)
    def late(**context: Any) -> list[str]:
        while context["ti"].try_number <= 1 and not Path("/tmp/late").exists():
            time.sleep(1)
        return big(context)

    value = late()
    value >> hold() >> consume(value)


bo_to_pod()
bo_to_worker()
bo_both()
bo_returns()
