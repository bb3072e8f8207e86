"""Run inside the Airflow environment: DAG runs and XCom rows as Airflow itself writes them.

Reads a JSON list of {"dag", "run", "state", "values": [[task, map_index, key, value], ...]} from
standard input; a value {"python": "expression"} stands for what the expression gives. The loaded
backend stores each value, so offloaded rows are real: through `XCom.set` on Airflow 2, through the
class that a task process loads and the row that the execution API makes of its message on 3.

Optional members of a run: "type" (of the run), "tasks" ({task: columns of its task instances}) and
"rendered" ({task: template fields as Airflow keeps them}).
"""

import datetime
import json
import sys
from typing import Any

from airflow import __version__, settings
from airflow.models.dagrun import DagRun
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XCom  # first: see docs/probe.md
from airflow.utils import timezone

AIRFLOW_3 = not __version__.startswith("2.")


def write_2(session: Any, coordinates: dict[str, Any], value: Any) -> None:
    XCom.set(value=value, session=session, **coordinates)


def write_3(session: Any, coordinates: dict[str, Any], value: Any) -> None:
    from airflow.models.xcom import XComModel
    from airflow.sdk.execution_time.xcom import XCom as TaskXCom

    message = json.dumps(TaskXCom.serialize_value(value, **coordinates))
    run = (DagRun.dag_id == coordinates["dag_id"]) & (DagRun.run_id == coordinates["run_id"])
    (run_number,) = session.query(DagRun.id).filter(run).one()
    session.add(XComModel(dag_run_id=run_number, value=json.loads(message), **coordinates))
    session.flush()


def meant(value: Any) -> Any:
    """The value itself, or what a test could not write as JSON."""
    if isinstance(value, dict) and set(value) == {"python"}:
        return eval(value["python"], {"datetime": datetime})  # noqa: S307 - written in the tests
    return value


session = settings.Session()
for run in json.load(sys.stdin):
    now = timezone.utcnow()
    times = {"logical_date": now, "run_after": now} if AIRFLOW_3 else {"execution_date": now}
    session.execute(
        DagRun.__table__.insert().values(
            dag_id=run["dag"],
            run_id=run["run"],
            start_date=None if run["state"] == "queued" else now,
            state=run["state"],
            run_type=run.get("type", "manual"),
            clear_number=0,
            **times,
        )
    )
    for task, map_index in sorted({(value[0], value[1]) for value in run["values"]}):
        identity = {"max_tries": 0, "try_number": 1} if AIRFLOW_3 else {}
        session.execute(
            TaskInstance.__table__.insert().values(
                dag_id=run["dag"],
                run_id=run["run"],
                task_id=task,
                map_index=map_index,
                **{
                    "state": "success",
                    "pool": "default_pool",
                    "pool_slots": 1,
                    **identity,
                    **run.get("tasks", {}).get(task, {}),
                },
            )
        )
        if task in run.get("rendered", {}):
            session.execute(
                RenderedTaskInstanceFields.__table__.insert().values(
                    dag_id=run["dag"],
                    run_id=run["run"],
                    task_id=task,
                    map_index=map_index,
                    rendered_fields=run["rendered"][task],
                )
            )
    for task, map_index, key, value in run["values"]:
        coordinates = {
            "key": key,
            "task_id": task,
            "dag_id": run["dag"],
            "run_id": run["run"],
            "map_index": map_index,
        }
        (write_3 if AIRFLOW_3 else write_2)(session, coordinates, meant(value))
session.commit()
