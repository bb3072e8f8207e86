"""XCL004: data goes from task to task through XCom, not through files that a task writes."""

from collections.abc import Iterator

from xcom_lint.config import Settings
from xcom_lint.dagfile import DagFile
from xcom_lint.model import Level, Problem, Rule
from xcom_lint.storage import writes


def check(file: DagFile, _: Settings) -> Iterator[Problem]:
    """Find writes whose path another task gets, or reads by the same constant."""
    for write in writes(file):
        if write.handed_on:
            name = write.task.function.name
            yield Problem(write.access.call, f"{name} writes a file or object {write.handed_on}")


RULE = Rule(
    code="XCL004",
    name="bespoke-storage",
    level=Level.BLOCK,
    why="Tasks run in different pods: a local path does not exist in the next pod, and nothing "
    "verifies, expires or retries a hand-made store. A result is then empty, or from another "
    "run.",
    fix="Return the value, or store it with xcom_dags.blobs and return the reference.",
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
