"""XCL002: the log of a run says which build ran."""

from collections.abc import Iterator

from xcom_lint.config import Settings
from xcom_lint.dagfile import DagFile
from xcom_lint.model import Level, Problem, Rule
from xcom_lint.order import first_tasks


def check(file: DagFile, settings: Settings) -> Iterator[Problem]:
    """Find DAGs with Python tasks of which no first one logs the build.

    DAGs without Python tasks have no logger: their image says which build it is.
    """
    for dag in file.dags:
        tasks = file.tasks_of(dag)
        if not tasks:
            continue
        first = first_tasks(file, tasks)
        if not any(
            file.calls_helper(task.function, task.scope, settings.event_helpers) for task in first
        ):
            helper = settings.event_helpers[0] if settings.event_helpers else "the event's helper"
            yield Problem(
                first[0].function,
                f"{first[0].function.name}, the first Python task of DAG {dag.dag_id or '?'}, "
                f"does not call {helper}()",
            )


RULE = Rule(
    code="XCL002",
    name="build-event",
    level=Level.BLOCK,
    why="The log does not show which build a run had.",
    fix="Call dag_loaded_event(logger, dag_id) at the start of the first Python task.",
    bad="""\
from airflow.decorators import dag, task


@dag()
def orders():
    @task
    def extract():
        return 1

    extract()
""",
    good="""\
import logging
from airflow.decorators import dag, task
from xcom_dags.provenance import dag_loaded_event


@dag()
def orders():
    @task
    def extract():
        dag_loaded_event(logging.getLogger("airflow.task"), "orders")
        return 1

    extract()
""",
    check=check,
)
