"""What the probe promises of S3 on MinIO, on a second S3 server, on gs:// and on abfs://.

The servers are real ones or the vendors' emulators; see `probe_world.stores`. Nothing here has seen
Google's or Microsoft's own service.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from probe_world import (
    Environment,
    ObjectStore,
    Pod,
    Postgres,
    airflow_environment,
    right_environment,
)
from probe_world.stores import BUCKET, STORES, Store
from table_world import Place

pytestmark = [pytest.mark.airflow, pytest.mark.stores]

DAG = Path(__file__).parent / "stores" / "through_a_store.py"
VERSIONS = ("2.11.2", "3.3.2")
LARGE = "é" * 3000
NO_S3 = ObjectStore("http://127.0.0.1:1")


@pytest.fixture(scope="session", params=VERSIONS)
def environment(request: pytest.FixtureRequest) -> Environment:
    """Airflow with the providers of all these stores."""
    return airflow_environment(request.param, stores=True)


@pytest.fixture(scope="session")
def elsewhere(
    environment: Environment,
    postgres_databases: Callable[[Environment], Postgres],
    tmp_path_factory: pytest.TempPathFactory,
    pyz: Path,
) -> Place:
    """A pod whose path and connection are still to be given, and its database."""
    home = tmp_path_factory.mktemp("home")
    (home / "airflow.cfg").write_text("[core]\nparallelism = 8\n")
    database = postgres_databases(environment)
    env = right_environment(environment, home, database, NO_S3)
    env["AIRFLOW_SERIES"] = environment.version
    return Place("postgresql", Pod(environment.python, pyz, env, environment.version), database)


@contextmanager
def _on(name: str, place: Place, folder: Path) -> Iterator[tuple[Store, Place]]:
    with STORES[name](folder / name) as store:
        path = f"{store.scheme}://xcom_store@{BUCKET}/xcom"
        changed = place.pod.with_env(
            {
                **store.env,
                "AIRFLOW_CONN_XCOM_STORE": store.connection,
                "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": path,
                "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "1000",
            }
        )
        yield store, replace(place, pod=changed)


@pytest.fixture(scope="module", params=STORES)
def there(
    request: pytest.FixtureRequest, elsewhere: Place, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Store, Place]]:
    """A store that runs, and a pod that is set up for it."""
    with _on(request.param, elsewhere, tmp_path_factory.mktemp("store")) as made:
        yield made


def _run(dag: str, run: str, *keys: str) -> list[dict[str, Any]]:
    values = [["t", -1, key, LARGE] for key in keys]
    return [{"dag": dag, "run": run, "state": "failed", "values": values}]


def _file(folder: Path, dag: str, run: str) -> tuple[str, str]:
    file = folder / "runs.json"
    file.write_text(json.dumps([{"dagId": dag, "runId": run}]))
    return "--runs-file", str(file)


def test_the_proof_is_green_and_leaves_nothing(there: tuple[Store, Place]) -> None:
    store, place = there
    proof = place.pod.probe("prove", "--functional-s3")
    assert proof.code == 0, proof.checks("fail", "error")
    checks = proof.checks()
    assert checks["roundtrip-above-threshold"]["status"] == "pass"
    if store.scheme == "s3":
        assert checks["s3-get"]["status"] == "pass"
    else:
        said = checks["s3-endpoint-reachable"]["observed"]
        assert f"{store.scheme!r}, not s3; the round trip" in said
        assert {check["status"] for name, check in checks.items() if name.startswith("s3-")} == {
            "skip"
        }
    assert store.objects() == []


def test_a_value_of_a_real_task_is_offloaded_found_and_copied_back(
    there: tuple[Store, Place], environment: Environment, tmp_path: Path
) -> None:
    store, place = there
    (tmp_path / "dags").mkdir()
    shutil.copy(DAG, tmp_path / "dags")
    pod = place.pod.with_env({"AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags")})
    done = subprocess.run(
        [environment.airflow, "dags", "test", "through_a_store", "2024-01-01"],
        env=pod.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd="/",
    )
    dag = "through_a_store"
    try:
        ((run, state),) = place.execute("SELECT run_id, state FROM dag_run WHERE dag_id = %s", dag)
        assert state == "success", done.stdout[-3000:] + done.stderr[-3000:]
        (key,) = store.objects()
        assert key.startswith(f"xcom/{dag}/{run}/push/")
        given = _file(tmp_path, dag, run)
        census = pod.probe("census", "--verify-objects", *given)
        assert census.code == 0, census.stdout
        assert [found["rows"] for found in census.result["runs"]] == [1]
        assert census.result["verified"]["missingObjects"] == 0
        copied = pod.probe("rehydrate", *given)
        assert copied.code == 0, copied.stdout
        assert copied.result["counts"]["copied"] == 1
        read = place.read(dag, run, {})
        assert read["own"] == read["backend"]
        assert read["own"]["return_value"].startswith("dict(")
        assert store.objects() == [key], "the object stays"
    finally:
        place.remove([{"dag": dag}])
        for key in store.objects():
            store.remove(key)


def test_an_object_that_is_gone_is_told_and_forget_takes_its_row(
    there: tuple[Store, Place], tmp_path: Path
) -> None:
    store, place = there
    runs = _run("gone", "r ü", "kept", "lost")
    place.seed(runs, {})
    try:
        rows = place.execute("SELECT value FROM xcom WHERE dag_id = 'gone' AND key = 'lost'")
        lost = str(rows[0][0] if isinstance(rows[0][0], str) else bytes(rows[0][0]).decode())
        (gone,) = (key for key in store.objects() if key.rpartition("/")[2] in lost)
        store.remove(gone)
        given = _file(tmp_path, "gone", "r ü")
        census = place.pod.probe("census", "--verify-objects", *given)
        assert census.code == 0
        assert [row["key"] for row in census.result["missingObjects"]] == ["lost"]
        copied = place.pod.probe("rehydrate", *given)
        assert copied.code == 1
        assert [(row["key"], row["why"]) for row in copied.result["failed"]] == [
            ("lost", "the object does not exist")
        ]
        forgotten = place.pod.probe("forget", *given)
        assert forgotten.code == 0
        assert forgotten.result["counts"] == {"runs": 1, "rows": 1, "left": 0, "skipped": 0}
        assert place.read("gone", "r ü", {})["own"] == {"kept": f"str {LARGE!r}"}
    finally:
        place.remove(runs)
        for key in store.objects():
            store.remove(key)


def test_no_bucket_is_a_failing_check_and_no_stack_trace(there: tuple[Store, Place]) -> None:
    store, place = there
    path = f"{store.scheme}://xcom_store@nobody-made-this/xcom"
    pod = place.pod.with_env({"AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": path})
    proof = pod.probe("prove")
    assert proof.code == 1, proof.checks("fail", "error")
    expected = "bucket-exists" if store.scheme == "s3" else "store-answers"
    assert expected in proof.failing()
    assert "Traceback" not in proof.stdout


def test_s3_that_is_away_is_told_by_each_command(elsewhere: Place, tmp_path: Path) -> None:
    with _on("versitygw", elsewhere, tmp_path) as (store, place):
        runs = _run("away", "r", "k")
        place.seed(runs, {})
        store.stop()
        try:
            given = _file(tmp_path, "away", "r")
            proof = place.pod.probe("prove")
            assert proof.failing() == {"s3-endpoint-reachable"}
            census = place.pod.probe("census", "--verify-objects", *given)
            assert census.checks("warn")["objects-there"]["observed"].startswith(
                "the store could not be reached"
            )
            assert [run["rows"] for run in census.result["runs"]] == [1], "not known is counted"
            copied = place.pod.probe("rehydrate", *given)
            assert copied.code == 3, copied.stdout
            assert copied.result["counts"]["copied"] == 0
        finally:
            place.remove(runs)


@pytest.mark.parametrize("name", ["fake-gcs-server", "azurite"])
def test_another_store_that_is_away_is_told_in_time(
    name: str, elsewhere: Place, tmp_path: Path
) -> None:
    with _on(name, elsewhere, tmp_path) as (store, place):
        store.stop()
        assert place.pod.probe("preflight").failing() == {"store-answers"}


def test_a_container_where_the_connection_belongs_is_named(elsewhere: Place) -> None:
    path = "abfs://xcom@account.dfs.core.windows.net/xcom"
    pod = elsewhere.pod.with_env({"AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": path})
    check = pod.probe("preflight").checks("fail")["connection-resolves"]
    assert "'xcom' is not in a secrets backend" in check["observed"]
    assert "abfs://CONNECTION@xcom/PREFIX" in check["remedy"]
