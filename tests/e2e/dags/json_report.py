"""DAG `json_report`: a task returns JSON as a string, which some providers hand on as a dict.

The audits of the demo find it. Its reader takes both, so the demo accepts it.
"""

from __future__ import annotations

import json
from typing import Any

import pendulum
from airflow.decorators import dag, task
from demo_payload import check_received


@dag(
    schedule=None,
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
    default_args={"retries": 0},
)
def json_report() -> None:
    @task
    def summarise(**context: Any) -> str:
        return json.dumps({"run": context["run_id"], "rows": 3})

    @task
    def read(value: Any, **context: Any) -> None:
        report = json.loads(value) if isinstance(value, str) else value
        check_received(context, report, {"run": context["run_id"], "rows": 3})

    read(summarise())


json_report()
