"""Runs and what is around them: another branch, a limit, a pause, a parent, a pull across DAGs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pendulum
from airflow.decorators import dag, task
from airflow.models.param import Param
from airflow.operators.trigger_dagrun import TriggerDagRunOperator
from demo_payload import DEFAULT_BYTES, make_value
from way_back_common import DAG, IS_3, big, check, consume, hold, is_over, produce, states

SMALL = [1, 2, 3]


@dag(**DAG)
def wb_branch() -> None:
    """The first try goes left and leaves an offloaded value there; a re-run goes right."""

    @task.branch
    def choose(**context: Any) -> str:
        return "left" if context["ti"].try_number <= 1 else "right"

    @task
    def left(**context: Any) -> list[str]:
        return big(context, "left")

    @task
    def right() -> str:
        return "right"

    @task(trigger_rule="all_done")
    def join(**context: Any) -> None:
        seen = states(context)
        for name, expected in (("left", big(context, "left")), ("right", "right")):
            value = context["ti"].xcom_pull(task_ids=name)
            check(context, **{name: (value, expected if seen.get(name) == "success" else None)})

    staying = hold.override(trigger_rule="all_done")()
    choose() >> [left(), right()] >> staying >> join()


@dag(**DAG, max_active_runs=1)
def wb_queued() -> None:
    value = produce()
    value >> hold() >> consume(value)


@dag(
    **{
        **DAG,
        "schedule": "@daily",
        "end_date": pendulum.datetime(2024, 1, 4, tz="UTC"),
        "catchup": True,
        "is_paused_upon_creation": True,
    },
    max_active_runs=2,
)
def wb_catchup() -> None:
    """Four days to catch up with, two at a time: the first two stay, the others wait for them."""

    @task
    def hold(**context: Any) -> None:
        if context["ti"].try_number <= 1 and context["logical_date"].day <= 2:
            time.sleep(1500)

    value = produce()
    value >> hold() >> consume(value)


@dag(**DAG)
def wb_paused() -> None:
    """A person pauses it while `produce` runs: nothing of the run is running after that."""

    @task
    def produce(**context: Any) -> list[str]:
        if context["ti"].try_number <= 1:
            time.sleep(15)
        return big(context)

    consume(produce())


@dag(**DAG)
def wb_parent() -> None:
    @task
    def after(**context: Any) -> None:
        check(context, child=("ended", "ended"))

    child = TriggerDagRunOperator(
        task_id="child",
        trigger_dag_id="wb_child",
        trigger_run_id="child-of-{{ run_id }}",
        wait_for_completion=True,
        poke_interval=5,
    )
    child >> after()


@dag(**DAG)
def wb_child() -> None:
    """Ends by itself, some time after its value was offloaded."""

    @task
    def linger(**context: Any) -> None:
        if context["ti"].try_number <= 1:
            time.sleep(180)

    value = produce()
    value >> linger() >> consume(value)


@dag(**{**DAG, "params": {"run": Param("", type="string")}})
def wb_pull() -> None:
    """Reads what a finished run of another DAG left."""

    @task
    def consume(**context: Any) -> None:
        # Runs without a logical date, as most of Airflow 3 are, come before no other.
        how = {"run_id": context["params"]["run"]} if IS_3 else {"include_prior_dates": True}
        pulled = context["ti"].xcom_pull(dag_id="offload_demo", task_ids="produce", **how)
        check(context, pulled=(pulled, make_value(context["params"]["run"], DEFAULT_BYTES)))

    consume()


@dag(**DAG)
def wb_steady() -> None:
    """Small values only, and one long task: it ends when a test makes `/tmp/over` in its pod."""

    @task
    def begin() -> list[int]:
        return SMALL

    @task
    def hold(**context: Any) -> None:
        while not is_over(context) and not Path("/tmp/over").exists():
            time.sleep(1)

    @task
    def consume(value: Any, **context: Any) -> None:
        check(context, value=(value, SMALL))

    value = begin()
    value >> hold() >> consume(value)


wb_branch()
wb_queued()
wb_catchup()
wb_paused()
wb_parent()
wb_child()
wb_pull()
wb_steady()
