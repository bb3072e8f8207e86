"""DAG `bare_revert`: what a task reads when its pod is back on BaseXCom and nothing was cleared.

`produce` runs with the backend of the instance and returns a large value; the pod of `consume` is
set to BaseXCom, as every pod would be after a bare revert. Nothing raises while it reads: `consume`
checks the value, and pushes what it was handed as XCom `received`.
"""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.decorators import dag, task
from airflow.models.param import Param
from demo_payload import DEFAULT_BYTES, check_received, make_value
from kubernetes.client import models as k8s

REVERTED_POD = k8s.V1Pod(
    spec=k8s.V1PodSpec(
        containers=[
            k8s.V1Container(
                name="base",
                env=[
                    k8s.V1EnvVar(
                        name="AIRFLOW__CORE__XCOM_BACKEND", value="airflow.models.xcom.BaseXCom"
                    )
                ],
            )
        ]
    )
)


@dag(
    schedule=None,
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
    default_args={"retries": 0},
    params={"bytes": Param(DEFAULT_BYTES, type="integer", minimum=1)},
)
def bare_revert() -> None:
    @task
    def produce(**context: Any) -> list[str]:
        return make_value(context["run_id"], context["params"]["bytes"])

    @task(executor_config={"pod_override": REVERTED_POD})
    def consume(value: Any, **context: Any) -> None:
        check_received(context, value, make_value(context["run_id"], context["params"]["bytes"]))

    consume(produce())


bare_revert()
