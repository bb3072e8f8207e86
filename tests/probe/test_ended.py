"""A round trip that is ended half-way: rows are never left, objects only by SIGKILL."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator

import pytest

from probe_world import BUCKET, Gate, ObjectStore, Pod, Postgres, connection

pytestmark = [pytest.mark.airflow, pytest.mark.every_airflow]


@pytest.fixture
def gate(store: ObjectStore) -> Iterator[Gate]:
    """The store behind a gate that holds back the second PUT of a value."""
    gate = Gate(store.endpoint.removeprefix("http://"), b"PUT /airflow-xcom/xcom/xcom_probe/")
    yield gate
    gate.close()


def started(pod: Pod, gate: Gate) -> subprocess.Popen[str]:
    """A round trip that offloads every value, held at its first PUT."""
    changed = pod.with_env(
        {
            "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "0",
            "AIRFLOW_CONN_XCOM_S3": connection(f"http://{gate.address}"),
        }
    )
    process = subprocess.Popen(
        [pod.python, pod.pyz, "roundtrip", "--expect-threshold", "0", "--json"],
        env=changed.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if not gate.seen.wait(60):
        process.kill()
        raise AssertionError(f"no PUT seen; the probe said: {process.communicate()}")
    return process


def rows(database: Postgres) -> int:
    """Rows of the probe that anybody can see."""
    with database.connect() as connection:
        found = connection.execute(
            "SELECT (SELECT count(*) FROM dag_run WHERE dag_id = 'xcom_probe')"
            " + (SELECT count(*) FROM xcom WHERE dag_id = 'xcom_probe')"
        ).fetchone()
    assert found is not None
    return int(found[0])


def test_sigterm_removes_objects_and_reports(
    pod: Pod, gate: Gate, store: ObjectStore, database: Postgres
) -> None:
    process = started(pod, gate)
    process.send_signal(signal.SIGTERM)
    # The PUT that is on its way arrives now: it must be found and removed all the same.
    gate.open()
    stdout, stderr = process.communicate(timeout=60)
    result = json.loads(stdout)
    assert process.returncode == 3, stderr
    assert result["verdict"] == "error"
    statuses = {check["name"]: check["status"] for check in result["checks"]}
    assert statuses["finish"] == "error"
    assert statuses["roundtrip-clean"] in ("pass", "warn")
    assert store.all_keys() == []
    assert rows(database) == 0


def test_sigkill_leaves_no_row(
    pod: Pod, gate: Gate, store: ObjectStore, database: Postgres
) -> None:
    process = started(pod, gate)
    process.kill()
    process.communicate(timeout=60)
    assert rows(database) == 0
    gate.open()
    for key in store.all_keys():
        # The one object that was on its way: below a name that is the probe's alone.
        assert key.startswith("xcom/xcom_probe/xcom_probe__")
        store.client().delete_object(Bucket=BUCKET, Key=key)
