"""A DAG whose one task pushes a large value and whose other one wants exactly that back.

Parsed by Airflow 2 and 3 in their own environments; see test_stores.py.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any

if os.environ["AIRFLOW_SERIES"].startswith("2."):
    from airflow.decorators import dag, task
else:
    from airflow.sdk import dag, task

VALUE = {"text": "é\u2028🚀" * 400_000, "numbers": list(range(1000))}


@dag(schedule=None, start_date=datetime(2024, 1, 1, tzinfo=timezone.utc))  # noqa: UP017 - Python 3.9
def through_a_store() -> None:
    # Else Airflow pushes each member separately as well, by the return type.
    @task(multiple_outputs=False)
    def push() -> dict[str, Any]:
        return VALUE

    @task
    def pull(value: dict[str, Any]) -> str:
        if value != VALUE:
            raise ValueError(f"{type(value)} of {len(value)}, and not what was pushed")
        return "the same"

    pull(push())


through_a_store()
