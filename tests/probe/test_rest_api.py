"""The operator's client against the API server of every Airflow 3, as a process on loopback.

Airflow 2's API is asked by the end-to-end tests.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx2
import pytest
from probe_world import Environment, ObjectStore, Postgres, free_port, right_environment

from harness.waiting import NotYetError, wait_for
from xcom_rollout.clients.airflow import AirflowApi, open_airflow
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.ledger import RunKey
from xcom_rollout.decide.observed import Rollout

pytestmark = pytest.mark.every_airflow

USER = "operator"
DAG_ID = "rest_api"
RUN = RunKey(DAG_ID, "manual__2024-01-01T00:00:00+00:00")
DAG_FILE = f"""
from airflow.sdk import dag, task

@dag(dag_id="{DAG_ID}", schedule=None)
def make():
    @task
    def one():
        return 1
    one()

make()
"""


@dataclass(frozen=True)
class Asked:
    """The client, and plain requests as the same user."""

    client: AirflowApi
    plain: httpx2.Client


@pytest.fixture(scope="module")
def asked(
    airflow: Environment,
    database: Postgres,
    store: ObjectStore,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Asked]:
    """An API server that knows one DAG with one run, queued: no scheduler is there to start it."""
    if not airflow.is_3:
        pytest.skip("REST v1 is asked by tests/e2e")
    home = tmp_path_factory.mktemp("api")
    (home / "dags").mkdir()
    (home / "dags" / "rest_api.py").write_text(DAG_FILE)
    (home / "passwords.json").write_text(f'{{"{USER}": "{USER}"}}')
    manager = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
    environment = {
        **right_environment(airflow, home, database, store),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__AUTH_MANAGER": manager,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:op",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
    }
    # What a scheduler's DAG processor does all the time.
    reserialize = [str(airflow.airflow), "dags", "reserialize"]
    subprocess.run(reserialize, env=environment, check=True, capture_output=True, timeout=300)
    with _served(airflow, environment, home / "server.log") as url, httpx2.Client() as plain:
        login = plain.post(f"{url}/auth/token", json={"username": USER, "password": USER})
        plain.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        plain.base_url = httpx2.URL(f"{url}/api/v2")
        run = {"dag_run_id": RUN.run_id, "logical_date": None}
        plain.post(f"/dags/{DAG_ID}/dagRuns", json=run).raise_for_status()
        try:
            yield Asked(_opened(url), plain)
        finally:
            # Other tests count what is in flight in this database.
            plain.delete(f"/dags/{DAG_ID}").raise_for_status()


@contextmanager
def _served(airflow: Environment, environment: dict[str, str], log: Path) -> Iterator[str]:
    port = free_port()
    command = [str(airflow.airflow), "api-server", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--workers", "1"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for("the API server", lambda: _answers(url, process, log), 300)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(url: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    if process.poll() is not None:
        raise AssertionError(f"the API server ended: {log.read_text()[-3000:]}")
    try:
        return httpx2.get(f"{url}/api/v2/version").is_success
    except httpx2.TransportError as error:
        raise NotYetError(str(error)) from error


def _opened(url: str) -> AirflowApi:
    text = base64.b64encode(USER.encode()).decode()
    secret = {"data": {"username": text, "password": text}}
    kube = cast("KubeApi", SimpleNamespace(find=lambda _path: secret))
    api = SimpleNamespace(
        service="", port=0, credentials_secret_ref=SimpleNamespace(name="airflow-api")
    )
    spec = SimpleNamespace(airflow=SimpleNamespace(api=api))
    rollout = cast("Rollout", SimpleNamespace(namespace="", spec=spec))
    return open_airflow(httpx2.Client(timeout=60, trust_env=False), kube, Memo(), url, rollout)


def test_runs_are_found_stopped_and_queued_again(asked: Asked) -> None:
    client = asked.client
    assert [(run.key, run.state) for run in client.in_flight()] == [(RUN, "queued")]
    begin = datetime.now(UTC) - timedelta(seconds=5)
    client.fail(RUN)
    stopped = client.run(RUN)
    assert stopped is not None
    assert stopped.state == "failed"
    assert client.in_flight() == []
    assert RUN in {run.key for run in client.changed_since(begin)}
    client.clear(RUN)
    assert [(run.key, run.state) for run in client.in_flight()] == [(RUN, "queued")]

    gone = RunKey(DAG_ID, "gone")
    client.fail(gone)
    client.clear(gone)
    assert client.run(gone) is None

    client.set_paused(DAG_ID, True)
    assert client.paused({DAG_ID, "gone"}) == {DAG_ID: True, "gone": None}
    client.set_paused(DAG_ID, False)
    client.set_paused("gone", False)
    assert client.paused({DAG_ID}) == {DAG_ID: False}


def test_only_airflow_3_0_refuses_to_be_told_which_code_to_run(
    asked: Asked, airflow: Environment
) -> None:
    body = {"dry_run": True, "run_on_latest_version": False}
    path = f"/dags/{DAG_ID}/dagRuns/{RUN.run_id.replace('+', '%2B').replace(':', '%3A')}/clear"
    status = asked.plain.post(path, json=body).status_code
    assert status == (422 if airflow.version.startswith("3.0.") else 200)
