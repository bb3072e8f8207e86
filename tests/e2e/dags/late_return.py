"""DAG `late_return`: a task that is told to stop, does not, and returns its large value late.

`late` ignores SIGTERM on its first try and returns after `seconds` whatever happens to its run
meanwhile; only SIGKILL ends it sooner. Later tries take `rerun_seconds` and obey. `consume` checks
the value.
"""

from __future__ import annotations

import signal
import time
from typing import Any

import pendulum
from airflow.decorators import dag, task
from airflow.models.param import Param
from demo_payload import DEFAULT_BYTES, check_received, make_value, seconds_for_try


def _sleep_through(seconds: int) -> None:
    """Sleep for ``seconds``, going on when SIGTERM arrives."""
    signal.signal(
        signal.SIGTERM, lambda *_: print("SIGTERM received, the task goes on", flush=True)
    )
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(left)


@dag(
    schedule=None,
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
    default_args={"retries": 0},
    params={
        "bytes": Param(DEFAULT_BYTES, type="integer", minimum=1),
        "seconds": Param(40, type="integer", minimum=0),
        "rerun_seconds": Param(1, type="integer", minimum=0),
    },
)
def late_return() -> None:
    @task
    def late(**context: Any) -> list[str]:
        seconds = seconds_for_try(context)
        if context["ti"].try_number <= 1:
            _sleep_through(seconds)
        else:
            time.sleep(seconds)
        return make_value(context["run_id"], context["params"]["bytes"])

    @task
    def consume(value: Any, **context: Any) -> None:
        check_received(context, value, make_value(context["run_id"], context["params"]["bytes"]))

    consume(late())


late_return()
