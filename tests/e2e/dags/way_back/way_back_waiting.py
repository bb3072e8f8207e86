"""Runs that wait after a value was offloaded: for a retry, a sensor, the triggerer, a teardown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.decorators import dag, setup, task, teardown
from airflow.exceptions import AirflowException
from airflow.models.param import Param
from airflow.sensors.date_time import DateTimeSensorAsync
from way_back_common import DAG, big, check, consume, is_over, produce, stay


@dag(**DAG)
def wb_retry() -> None:
    @task(retries=1, retry_delay=timedelta(hours=1))
    def flaky(value: Any, **context: Any) -> list[str]:
        check(context, value=(value, big(context)))
        context["ti"].xcom_push(key="partial", value=big(context, "partial"))
        if not is_over(context):
            raise AirflowException("a first try fails")
        return big(context, "flaky")

    @task
    def consume(value: Any, **context: Any) -> None:
        partial = context["ti"].xcom_pull(task_ids="flaky", key="partial")
        check(
            context,
            flaky=(value, big(context, "flaky")),
            partial=(partial, big(context, "partial")),
        )

    consume(flaky(produce()))


@dag(**DAG)
def wb_sensor() -> None:
    @task.sensor(mode="reschedule", poke_interval=15, timeout=3600)
    def wait_long(**context: Any) -> bool:
        return is_over(context)

    value = produce()
    value >> wait_long() >> consume(value)


@dag(**{**DAG, "params": {**DAG["params"], "wake": Param("2024-01-01T00:00:00Z", type="string")}})
def wb_deferred() -> None:
    value = produce()
    alarm = DateTimeSensorAsync(task_id="alarm", target_time="{{ params.wake }}")
    value >> alarm >> consume(value)


@dag(**DAG)
def wb_teardown() -> None:
    @setup
    def bring_up(**context: Any) -> list[str]:
        return big(context)

    @task
    def work(**context: Any) -> None:
        stay(context)

    @teardown
    def take_down(value: Any, **context: Any) -> None:
        check(context, teardown=(value, big(context)))

    value = bring_up()
    working = work()
    value >> working >> take_down(value)
    working >> consume(value)


wb_retry()
wb_sensor()
wb_deferred()
wb_teardown()
