"""What the probe says of a value is what a real task sees.

The tasks are run by Airflow: on Airflow 3 by its executor and supervisor, against its API server.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.waiting import NotYetError, wait_for
from probe_world import BUCKET, Environment, ObjectStore, Pod, Postgres, free_port

pytestmark = [pytest.mark.airflow, pytest.mark.every_airflow]

DAG = Path(__file__).parent / "real_task" / "real_task.py"
# An error in the supervisor ends the whole task there, so one task cannot try the others after it.
ENDING_THE_TASK = (
    "not-finite-nan not-finite-infinity not-finite-minus-infinity not-finite-in-list "
    "scalars-float-huge xcom-keys-special"
)
LEFT_OUT = {"3.0.6": f"{ENDING_THE_TASK} text-unusual-nul", "3.1.8": ENDING_THE_TASK}
THRESHOLDS = {"inline": -1, "offloaded": 0}


@pytest.fixture(scope="session")
def tasks(
    pod: Pod, airflow: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pod]:
    """The pod with a folder of DAGs, and on Airflow 3 the API server that its tasks ask."""
    folder = tmp_path_factory.mktemp("dags")
    shutil.copy(DAG, folder)
    port = free_port()
    changed = pod.with_env(
        {
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            # As the probe has it: the classes are its own.
            "AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES": "airflow.* xcom_probe.*",
            # A value that the database refuses is refused again, so do not wait long for that.
            "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "3",
            "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MIN": "0.1",
            "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "0.5",
            # With several workers, LocalExecutor of 3.3 may wait for one that nobody asked to end.
            "AIRFLOW__CORE__PARALLELISM": "1",
            "AIRFLOW_SERIES": airflow.version,
            "LEFT_OUT": LEFT_OUT.get(airflow.version, ""),
            "PROBE": str(pod.pyz),
        }
    )
    with _api_server(changed, airflow, port, folder) if airflow.is_3 else contextlib.nullcontext():
        yield changed


@contextlib.contextmanager
def _api_server(pod: Pod, airflow: Environment, port: int, folder: Path) -> Iterator[None]:
    log = folder.parent / f"api-server-{airflow.version}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [airflow.airflow, "api-server", "--host", "127.0.0.1", "--port", str(port)],
            env={**pod.env, "AIRFLOW__API__WORKERS": "1"},
            stdout=file,
            stderr=file,
        )

    def answers() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"the API server ended: {log.read_text()[-2000:]}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/execution/health", timeout=5).close()
        except OSError as problem:
            raise NotYetError(str(problem)) from problem
        return True

    try:
        wait_for("Airflow's API server answers", answers, 120)
        yield
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def no_traces(database: Postgres, store: ObjectStore) -> Iterator[None]:
    """Removes the run, its rows and its objects."""
    yield
    with database.connect() as connection:
        connection.execute("DELETE FROM dag_run WHERE dag_id = 'real_task'")
    for key in store.all_keys():
        if key.startswith("xcom/real_task/"):
            store.client().delete_object(Bucket=BUCKET, Key=key)


@pytest.mark.usefixtures("no_traces")
@pytest.mark.parametrize("way", THRESHOLDS)
def test_probe_and_task_see_the_same(
    tasks: Pod, airflow: Environment, way: str, tmp_path: Path
) -> None:
    threshold = str(THRESHOLDS[way])
    here = tasks.with_env(
        {"AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": threshold, "SEEN": str(tmp_path)}
    )
    by_executor = ["--use-executor"] if airflow.is_3 else []
    done = subprocess.run(
        # 2.x wants a date; 3.x takes one.
        [airflow.airflow, "dags", "test", "real_task", "2024-01-01", *by_executor],
        env=here.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        cwd="/",
    )
    assert (tmp_path / "pulled.json").exists(), done.stdout[-3000:] + done.stderr[-3000:]
    by_task = json.loads((tmp_path / "pulled.json").read_text())
    answer = here.probe("roundtrip", "--expect-threshold", threshold, timeout=600)
    by_probe = {
        value["name"]: [trip["verdict"], trip["drift"]]
        for value in answer.result["values"]
        for trip in [value["trips"].get(way) or value["trips"].get("inline")]
        if trip and value["name"] in by_task
    }
    assert len(by_task) > 90
    assert by_probe == by_task
