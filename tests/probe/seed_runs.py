"""Run inside the Airflow environment: DAG runs and XCom rows as Airflow itself writes them.

Reads a JSON list of {"dag", "run", "state", "values": [[task, map_index, key, value], ...]} from
standard input; `XCom.set` of the loaded backend writes each value, so offloaded rows are real.
"""

import json
import sys

from airflow import settings
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XCom  # first: see docs/probe.md
from airflow.utils import timezone

session = settings.Session()
for run in json.load(sys.stdin):
    now = timezone.utcnow()
    session.execute(
        DagRun.__table__.insert().values(
            dag_id=run["dag"],
            run_id=run["run"],
            execution_date=now,
            start_date=None if run["state"] == "queued" else now,
            state=run["state"],
            run_type="manual",
            clear_number=0,
        )
    )
    for task, map_index in sorted({(value[0], value[1]) for value in run["values"]}):
        session.execute(
            TaskInstance.__table__.insert().values(
                dag_id=run["dag"],
                run_id=run["run"],
                task_id=task,
                map_index=map_index,
                state="success",
                pool="default_pool",
                pool_slots=1,
            )
        )
    for task, map_index, key, value in run["values"]:
        XCom.set(
            key=key,
            value=value,
            task_id=task,
            dag_id=run["dag"],
            run_id=run["run"],
            map_index=map_index,
            session=session,
        )
session.commit()
