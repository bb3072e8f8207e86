"""A DAG whose task takes as long as its run asks, and shows that it lives.

Parsed by Airflow 2 and 3 in their own environments; see measure_executors.py.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from datetime import UTC, datetime, timedelta

try:
    from airflow.sdk import dag, get_current_context, task
except ImportError:
    from airflow.decorators import dag, task
    from airflow.operators.python import get_current_context

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


def live(run_id, try_number, conf):
    """Print who this attempt is and what it loaded, then touch a file until the time is over."""
    try:
        from airflow.sdk.configuration import conf as configuration
        from airflow.sdk.execution_time.xcom import XCom
    except ImportError:
        from airflow.configuration import conf as configuration
        from airflow.models.xcom import XCom
    here = os.path.join(os.environ["SEEN"], f"{run_id}.{try_number}.{socket.gethostname()}")
    with open(f"{here}.json", "w") as file:
        threshold = configuration.get("common.io", "xcom_objectstorage_threshold", fallback=None)
        seen = {"try": try_number, "host": socket.gethostname(), "threshold": threshold}
        json.dump({**seen, "class": XCom.__name__}, file)
    if conf.get("deaf"):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
    end = time.time() + conf["seconds"]
    while time.time() < end:
        open(f"{here}.alive", "w").close()
        time.sleep(0.2)
    return "v" * 300


def make(dag_id, retries):
    """One DAG with one task."""
    more = {"retries": retries, "retry_delay": timedelta(seconds=5)}

    @dag(
        dag_id=dag_id, schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC), default_args=more
    )
    def slow():
        @task
        def sleep():
            context = get_current_context()
            run = context["dag_run"]
            return live(run.run_id, context["ti"].try_number, run.conf)

        sleep()

    slow()


make("slow", 0)
make("slow_again", 1)
