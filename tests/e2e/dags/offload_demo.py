"""DAG `offload_demo`: a task returns a large value, the next one checks what it is handed."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.decorators import dag, task
from airflow.models.param import Param
from demo_payload import DEFAULT_BYTES, check_received, make_value


@dag(
    schedule=None,
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
    default_args={"retries": 0},
    params={"bytes": Param(DEFAULT_BYTES, type="integer", minimum=1)},
)
def offload_demo() -> None:
    @task
    def produce(**context: Any) -> list[str]:
        return make_value(context["run_id"], context["params"]["bytes"])

    @task
    def consume(value: Any, **context: Any) -> None:
        check_received(context, value, make_value(context["run_id"], context["params"]["bytes"]))

    consume(produce())


offload_demo()
