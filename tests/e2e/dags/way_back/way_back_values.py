"""Many values of one run: mapped tasks, several outputs, several keys."""

from __future__ import annotations

from typing import Any

from airflow.decorators import dag, task
from way_back_common import DAG, IS_3, big, check, hold

ITEMS = ["a", "b", "c"]
# Airflow 3 refuses an odd key where values are offloaded: its path would not be the key's.
KEYS = ["first", "second" if IS_3 else "a key/with: odd ü"]


@dag(**DAG)
def wb_mapped() -> None:
    @task
    def produce(item: str, **context: Any) -> list[str]:
        return big(context, item)

    @task
    def consume_all(values: Any, **context: Any) -> None:
        handed = zip(ITEMS, values, strict=True)
        check(context, **{item: (value, big(context, item)) for item, value in handed})

    @task
    def consume_each(value: Any, **context: Any) -> None:
        item = ITEMS[context["ti"].map_index]
        check(context, **{item: (value, big(context, item))})

    values = produce.expand(item=ITEMS)
    values >> hold() >> [consume_all(values), consume_each.expand(value=values)]


@dag(**DAG)
def wb_keys() -> None:
    @task(multiple_outputs=True)
    def produce(**context: Any) -> dict[str, Any]:
        for key in KEYS:
            context["ti"].xcom_push(key=key, value=big(context, key))
        return {"left": big(context, "left"), "right": big(context, "right"), "small": "s"}

    @task
    def consume(left: Any, right: Any, **context: Any) -> None:
        pull = context["ti"].xcom_pull
        keys = {key: (pull(task_ids="produce", key=key), big(context, key)) for key in KEYS}
        both = {"left": big(context, "left"), "right": big(context, "right"), "small": "s"}
        check(
            context,
            left=(left, both["left"]),
            right=(right, both["right"]),
            whole=(pull(task_ids="produce"), both),
            **keys,
        )

    made = produce()
    made >> hold() >> consume(made["left"], made["right"])


wb_mapped()
wb_keys()
