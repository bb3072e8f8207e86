"""XCL004: data goes from task to task through XCom, not through files that a task writes."""

from collections.abc import Iterator

from xcom_lint.config import Settings
from xcom_lint.dagfile import DagFile
from xcom_lint.model import Level, Problem, Rule
from xcom_lint.storage import Access, accesses, constants, hands_over, is_reference


def check(file: DagFile, _: Settings) -> Iterator[Problem]:
    """Find writes whose path another task gets, or reads by the same constant."""
    found = [(task, accesses(file, task)) for task in file.python_tasks]
    for task, own in found:
        for access in own:
            if not access.writes or is_reference(file, access):
                continue
            reader = next(
                (
                    other.function.name
                    for other, theirs in found
                    if other.function is not task.function
                    and any(_same(access, read) for read in theirs if not read.writes)
                ),
                None,
            )
            if hands_over(access, task.function):
                told = "and hands its path to other tasks"
            elif reader is not None:
                told = f"that {reader} reads"
            else:
                continue
            yield Problem(access.call, f"{task.function.name} writes a file or object {told}")


def _same(write: Access, read: Access) -> bool:
    return bool(constants(write) & constants(read))


RULE = Rule(
    code="XCL004",
    name="bespoke-storage",
    level=Level.BLOCK,
    why="Tasks run in different pods: a local path is not there, and a hand-made store has "
    "nobody who verifies, expires or retries it. A result is then empty, or of another run.",
    fix="Return the value, or put it with xcom_dags.blobs and return the reference.",
    bad="""\
import numpy as np
from airflow.decorators import dag, task


@dag()
def predictions():
    @task
    def predict():
        path = "/tmp/predictions.npz"
        np.savez(path, y=[1.0])
        return path

    predict()
""",
    good="""\
from airflow.decorators import dag, task
from xcom_dags.blobs import BlobStore


@dag()
def predictions():
    @task
    def predict(run_id=None):
        store = BlobStore("s3://aws_default@bucket/p", run_id, schema="p", version=1)
        return store.put("y", {"y": [1.0]})

    predict()
""",
    check=check,
)
