"""DAG `offload_slow`: a run that stays in flight for a while after it has returned a large value.

`produce` returns it, `hold` takes `seconds` (later tries: `rerun_seconds`), `consume` checks it.
"""

from __future__ import annotations

import time
from typing import Any

import pendulum
from airflow.decorators import dag, task
from airflow.models.param import Param
from demo_payload import DEFAULT_BYTES, check_received, make_value, seconds_for_try


@dag(
    schedule=None,
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
    # Default 16 each: a benchmark has thirty in flight at once.
    max_active_runs=64,
    max_active_tasks=64,
    default_args={"retries": 0},
    params={
        "bytes": Param(DEFAULT_BYTES, type="integer", minimum=1),
        "seconds": Param(600, type="integer", minimum=0),
        "rerun_seconds": Param(1, type="integer", minimum=0),
    },
)
def offload_slow() -> None:
    @task
    def produce(**context: Any) -> list[str]:
        return make_value(context["run_id"], context["params"]["bytes"])

    @task
    def hold(**context: Any) -> None:
        time.sleep(seconds_for_try(context))

    @task
    def consume(value: Any, **context: Any) -> None:
        check_received(context, value, make_value(context["run_id"], context["params"]["bytes"]))

    produced = produce()
    held = hold()
    produced >> held >> consume(produced)


offload_slow()
