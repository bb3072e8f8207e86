"""XCL005: a write to a place that looks shared."""

from collections.abc import Iterator

from xcom_lint.config import Settings
from xcom_lint.dagfile import DagFile
from xcom_lint.model import Level, Problem, Rule
from xcom_lint.storage import is_temporary, looks_shared, writes


def check(file: DagFile, _: Settings) -> Iterator[Problem]:
    """Find writes to such a place that `bespoke-storage` does not find already."""
    for write in writes(file):
        access = write.access
        if not write.handed_on and looks_shared(access) and not is_temporary(file, access):
            yield Problem(
                access.call,
                f"{write.task.function.name} writes to a fixed path; in the pod of another task "
                "that reads it, the file does not exist",
            )


RULE = Rule(
    code="XCL005",
    name="shared-path",
    level=Level.WARN,
    why="The path is the same in every run and every pod, but the file exists in only one of them.",
    fix="Use tempfile for files that stay within the task; return what another task needs, or "
    "store it with xcom_dags.blobs.",
    bad="""\
from airflow.decorators import dag, task


@dag()
def report():
    @task
    def render():
        with open("/tmp/report.txt", "w") as file:
            file.write("done")

    render()
""",
    good="""\
import tempfile
from airflow.decorators import dag, task


@dag()
def report():
    @task
    def render():
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("done")

    render()
""",
    check=check,
)
