"""DAG `bystander`: a run in flight that holds only small values, which no kill may touch.

`produce` returns a small dict, `hold` takes `seconds`, `consume` checks the dict. A second try of
any task is itself the fault: the run was touched.
"""

from __future__ import annotations

import time
from typing import Any

import pendulum
from airflow.decorators import dag, task
from airflow.models.param import Param
from demo_payload import check_received


@dag(
    schedule=None,
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
    default_args={"retries": 0},
    params={"seconds": Param(60, type="integer", minimum=0)},
)
def bystander() -> None:
    # A dict return type would otherwise make Airflow push every key as a row of its own.
    @task(multiple_outputs=False)
    def produce(**context: Any) -> dict[str, Any]:
        return {"run": context["run_id"], "rows": 3}

    @task
    def hold(**context: Any) -> None:
        time.sleep(context["params"]["seconds"])

    @task
    def consume(value: Any, **context: Any) -> None:
        check_received(context, value, {"run": context["run_id"], "rows": 3})

    produced = produce()
    held = hold()
    produced >> held >> consume(produced)


bystander()
