"""Runs whose tasks are in workers when a kill begins; those of the queue `fragile` lose theirs."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.decorators import dag, task
from way_back_common import DAG, big, check, consume, deaf, hold, produce, stay

QUEUE = "fragile"
SMALL = [1, 2, 3]


@dag(**DAG)
def wk_next() -> None:
    """Has offloaded, and is in its next task."""
    value = produce()
    value >> hold() >> consume(value)


@dag(**DAG)
def wk_returns() -> None:
    """Its first task ends when a test makes `/tmp/late` in its pod."""

    @task(queue="late")
    def late(**context: Any) -> list[str]:
        while context["ti"].try_number <= 1 and not Path("/tmp/late").exists():
            time.sleep(1)
        return big(context)

    value = late()
    value >> hold() >> consume(value)


@dag(**DAG)
def wk_deaf() -> None:
    value = produce()
    value >> deaf() >> consume(value)


@dag(**DAG)
def wk_many() -> None:
    """Has offloaded, and has more tasks next than there are slots."""

    @task
    def each(number: int, **context: Any) -> int:
        stay(context)
        return number

    value = produce()
    value >> each.expand(number=[1, 2, 3, 4, 5]) >> consume(value)


@dag(**DAG)
def wk_waits() -> None:
    """Its first task is sent when no slot is free."""
    consume(produce())


@dag(**DAG)
def wk_lost() -> None:
    """Has offloaded; its worker is lost before the kill, and its row says that it runs."""
    value = produce()
    holding = hold.override(queue=QUEUE, retries=1, retry_delay=timedelta(hours=1))()
    value >> holding >> consume(value)


@dag(**DAG)
def wk_deaf_lost() -> None:
    """Has offloaded; its worker is lost after the run was stopped, before the task has ended."""
    value = produce()
    value >> deaf.override(queue=QUEUE)() >> consume(value)


@dag(**DAG)
def wk_beside() -> None:
    """Small values only; its worker is lost in the kill, and Airflow itself tries it again."""

    @task
    def begin() -> list[int]:
        return SMALL

    @task
    def consume(value: Any, **context: Any) -> None:
        check(context, value=(value, SMALL))

    value = begin()
    holding = hold.override(queue=QUEUE, retries=1, retry_delay=timedelta(seconds=1))()
    value >> holding >> consume(value)


wk_next()
wk_returns()
wk_deaf()
wk_many()
wk_waits()
wk_lost()
wk_deaf_lost()
wk_beside()
