"""DAG `wb_gone`: its file goes away while a run of it is in flight."""

from __future__ import annotations

from typing import Any

from airflow.decorators import dag, task
from way_back_common import DAG, big, check, stay


@dag(**DAG)
def wb_gone() -> None:
    @task
    def produce(**context: Any) -> list[str]:
        return big(context)

    @task
    def hold(**context: Any) -> None:
        stay(context)

    @task
    def consume(value: Any, **context: Any) -> None:
        check(context, value=(value, big(context)))

    value = produce()
    value >> hold() >> consume(value)


wb_gone()
