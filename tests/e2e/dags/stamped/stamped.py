"""DAG `stamped`: its tag says of which build it is. `_common` is what `xbr vendor` wrote."""

from __future__ import annotations

import pendulum
from _common import dag_build_info, make_tags
from airflow.decorators import dag, task


@dag(
    schedule=None,
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    tags=make_tags(build=dag_build_info()["champollion_sha_short"]),
)
def stamped() -> None:
    @task
    def work() -> None:
        """It is only parsed."""

    work()


stamped()
