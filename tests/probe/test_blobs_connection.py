"""The example DAG runs on every Airflow: through its connection, its metrics reaching StatsD."""

from __future__ import annotations

import io
import json
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from harness.paths import IMAGES, REPO
from harness.shell import run
from probe_world import Environment, ObjectStore, Pod, Postgres, connection

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.every_airflow,
    pytest.mark.usefixtures("database_as_before"),
]

DAG = REPO / "docs" / "examples" / "dags" / "s43_predictions.py"
BUCKET = "predictions"
ASSETS = ("ADA", "BTC", "ETH", "SOL", "XRP")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image of the end-to-end tests has on top of Airflow, as a folder."""
    folder = tmp_path_factory.mktemp("packages")
    shutil.copytree(REPO / "operator" / "xcom_dags", folder / "xcom_dags")
    pins = (IMAGES / "airflow-dags" / "requirements.txt").read_text().splitlines()
    (statsd,) = [pin for pin in pins if pin.startswith("statsd==")]
    uv = Path(sys.executable).with_name("uv")
    run(uv, "pip", "install", "--quiet", "--no-deps", "--target", folder, statsd)
    return folder


@pytest.fixture
def bucket(store: ObjectStore) -> Iterator[str]:
    """The bucket of the DAG; it is removed with its content."""
    store.client().create_bucket(Bucket=BUCKET)
    yield BUCKET
    for key in store.all_keys(BUCKET):
        store.client().delete_object(Bucket=BUCKET, Key=key)
    store.client().delete_bucket(Bucket=BUCKET)


@pytest.fixture
def database_as_before(database: Postgres) -> Iterator[None]:
    """Without the run of the DAG in the end; other tests count rows."""
    yield
    with database.connect() as connection:
        # Task instances and their XCom go with it.
        gone = connection.execute("DELETE FROM dag_run WHERE dag_id = 's43_predictions'")
        assert gone.rowcount == 1


@pytest.fixture
def statsd() -> Iterator[socket.socket]:
    """What a StatsD server listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        server.bind(("127.0.0.1", 0))
        yield server


def test_the_family_runs_through_the_connection_and_its_metrics_arrive(
    pod: Pod,
    store: ObjectStore,
    airflow: Environment,
    packages: Path,
    bucket: str,
    statsd: socket.socket,
    tmp_path: Path,
) -> None:
    shutil.copy(DAG, tmp_path)
    here = pod.with_env(
        {
            "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
            "AIRFLOW__CORE__XCOM_BACKEND": None,
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(statsd.getsockname()[1]),
            "AIRFLOW__METRICS__METRICS_ALLOW_LIST": "xcom_blob",
            "AIRFLOW_CONN_PREDICTIONS_S3": connection(store.endpoint),
            "PYTHONPATH": str(packages),
        }
    )
    conf = json.dumps({"rows": 10})
    words = ("dags", "test", "s43_predictions", "2024-01-01", "--conf", conf)
    said = run(airflow.airflow, *words, env=here.env, cwd=tmp_path, timeout=300, check=False)

    stored = {key.rpartition("/")[2]: key for key in store.all_keys(bucket)}
    assert set(stored) == {*(f"{asset}.npz" for asset in ASSETS), "pool.npz"}, said[-4000:]
    (folder,) = {key.split("/")[1] for key in stored.values()}
    assert folder.startswith("manual__")
    assert ":" not in folder
    body = store.client().get_object(Bucket=bucket, Key=stored["pool.npz"])["Body"].read()
    assert np.load(io.BytesIO(body))["y"].shape == (50, 4)
    assert "event=s43_acquire_outcome severity=info" in said
    assert "verdict=COMPLETE cohort_count=5 cohort_expected=5" in said

    seen = received(statsd)
    assert {
        "airflow.xcom_blob.write.duration",
        "airflow.xcom_blob.read.duration",
        "airflow.xcom_blob.cohort_count",
        "airflow.xcom_blob.cohort_expected",
    } <= {line.split(":")[0] for line in seen}, said[-4000:]
    assert "airflow.xcom_blob.cohort_count:5|g" in seen


def received(server: socket.socket) -> list[str]:
    """Everything that has arrived."""
    lines = []
    server.setblocking(False)
    while True:
        try:
            lines += server.recv(65535).decode().splitlines()
        except BlockingIOError:
            return lines
