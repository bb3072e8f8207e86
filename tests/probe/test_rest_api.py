"""The operator's client against the web server of every Airflow, as a process on loopback."""

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

from harness.waiting import NotYetError, wait_for
from probe_world import Environment, ObjectStore, Postgres, free_port, right_environment
from xcom_rollout.airflow_api.access import airflow_http
from xcom_rollout.airflow_api.airflow import AirflowApi, DagInfo, open_airflow
from xcom_rollout.airflow_api.login import TokenAuth
from xcom_rollout.airflow_api.rights import missing_rights
from xcom_rollout.airflow_api.runs import watched_runs
from xcom_rollout.api.v1alpha1 import AirflowApi as ApiSpec
from xcom_rollout.clients.errors import AirflowError, AirflowFault
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.ledger import RunKey
from xcom_rollout.decide.observed import Rollout

pytestmark = pytest.mark.every_airflow

USER, VIEWER = "operator", "viewer"
DAG_ID, GONE = "rest_api", "rest_api_gone"
RUN = RunKey(DAG_ID, "manual__2024-01-01T00:00:00+00:00")
DAG_FILE = """
try:
    from airflow.sdk import dag, task
except ImportError:
    from airflow.decorators import dag, task
from datetime import datetime

@dag(dag_id="{dag_id}", schedule=None, start_date=datetime(2024, 1, 1))
def make():
    @task
    def one():
        return 1

    @task
    def each(number):
        return number

    one() >> each.expand(number=[1, 2])

make()
"""


@dataclass(frozen=True)
class Asked:
    """The client, plain requests as the same user, and what is needed to open another client."""

    client: AirflowApi
    plain: httpx2.Client
    url: str
    home: Path
    environment: dict[str, str]

    def opened(self, user: str = USER, **api: object) -> AirflowApi:
        """Open the API as a user, as the operator does."""
        return _opened(self.url, user, **api)


@pytest.fixture(scope="module")
def asked(
    airflow: Environment,
    database: Postgres,
    store: ObjectStore,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Asked]:
    """A web server that knows two DAGs with a run each, queued: no scheduler starts them."""
    home = tmp_path_factory.mktemp("api")
    (home / "dags").mkdir()
    for dag_id in (DAG_ID, GONE):
        (home / "dags" / f"{dag_id}.py").write_text(DAG_FILE.format(dag_id=dag_id))
    environment = {
        **right_environment(airflow, home, database, store),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        # A web server of 2.9 knows a DAG for 10 s after it is gone.
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_FETCH_INTERVAL": "0",
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
        **(_airflow_3(home) if airflow.is_3 else _AIRFLOW_2),
    }
    if not airflow.is_3:
        _make_users(airflow, environment)
    _reserialize(airflow, environment)
    with _served(airflow, environment, home / "server.log") as url, httpx2.Client() as plain:
        if airflow.is_3:
            login = plain.post(f"{url}/auth/token", json={"username": USER, "password": USER})
            plain.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        else:
            plain.auth = httpx2.BasicAuth(USER, USER)
        plain.base_url = httpx2.URL(f"{url}/api/{'v2' if airflow.is_3 else 'v1'}")
        for dag_id in (DAG_ID, GONE):
            run = {"dag_run_id": RUN.run_id, **({"logical_date": None} if airflow.is_3 else {})}
            plain.post(f"/dags/{dag_id}/dagRuns", json=run).raise_for_status()
        try:
            yield Asked(_opened(url, USER), plain, url, home, environment)
        finally:
            # Other tests count what is in flight in this database.
            for dag_id in (DAG_ID, GONE):
                plain.delete(f"/dags/{dag_id}").raise_for_status()


_AIRFLOW_2 = {
    "AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.basic_auth,"
    "airflow.api.auth.backend.session",
    # A busy machine must not end gunicorn.
    "AIRFLOW__WEBSERVER__WEB_SERVER_MASTER_TIMEOUT": "900",
    "AIRFLOW__WEBSERVER__WEB_SERVER_WORKER_TIMEOUT": "900",
    "AIRFLOW__WEBSERVER__WORKER_REFRESH_INTERVAL": "0",
}


def _airflow_3(home: Path) -> dict[str, str]:
    (home / "passwords.json").write_text(f'{{"{USER}": "{USER}", "{VIEWER}": "{VIEWER}"}}')
    manager = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
    return {
        "AIRFLOW__CORE__AUTH_MANAGER": manager,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:op,{VIEWER}:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
    }


def _make_users(airflow: Environment, environment: dict[str, str]) -> None:
    _run(airflow, environment, "sync-perm")
    for user, role in ((USER, "Op"), (VIEWER, "Viewer")):
        name = ("--username", user, "--password", user, "--email", f"{user}@example.org")
        more = ("--role", role, "--firstname", user, "--lastname", user)
        _run(airflow, environment, "users", "create", *name, *more)


def _reserialize(airflow: Environment, environment: dict[str, str]) -> None:
    # What a scheduler's DAG processor does all the time.
    _run(airflow, environment, "dags", "reserialize")


def _run(airflow: Environment, environment: dict[str, str], *words: str) -> None:
    command = [str(airflow.airflow), *words]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300)


@contextmanager
def _served(airflow: Environment, environment: dict[str, str], log: Path) -> Iterator[str]:
    port = free_port()
    word, host = ("api-server", "--host") if airflow.is_3 else ("webserver", "--hostname")
    command = [str(airflow.airflow), word, host, "127.0.0.1", "--port", str(port)]
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
        return any(
            httpx2.get(f"{url}/api/{version}/version").is_success for version in ("v1", "v2")
        )
    except httpx2.TransportError as error:
        raise NotYetError(str(error)) from error


def _opened(url: str, user: str, **api: object) -> AirflowApi:
    text = base64.b64encode(user.encode()).decode()
    secret = {"data": {"username": text, "password": text}}
    kube = cast(
        "KubeApi", SimpleNamespace(find=lambda _path: secret, known_version=lambda _path: None)
    )
    members = {"service": "web", "credentialsSecretRef": {"name": "airflow-api"}, **api}
    spec = SimpleNamespace(airflow=SimpleNamespace(api=ApiSpec.model_validate(members)))
    rollout = cast("Rollout", SimpleNamespace(namespace="airflow", spec=spec))
    http = airflow_http()
    http.timeout = httpx2.Timeout(60)
    return open_airflow(http, kube, Memo(), url, rollout)


def _in_flight(client: AirflowApi) -> list[tuple[RunKey, str]]:
    """The runs in flight of the DAG that has its file."""
    return [(run.key, run.state) for run in client.in_flight() if run.key.dag_id == DAG_ID]


def test_runs_are_found_stopped_and_queued_again(asked: Asked) -> None:
    client = asked.client
    assert _in_flight(client) == [(RUN, "queued")]
    begin = datetime.now(UTC) - timedelta(seconds=5)
    client.can_clear(RUN)
    assert client.fail(RUN) == "failed"
    stopped = client.run(RUN)
    assert stopped is not None
    assert stopped.state == "failed"
    assert _in_flight(client) == []
    assert RUN in {run.key for run in client.changed_since(begin)}
    client.can_clear(RUN)
    assert _in_flight(client) == []
    client.clear(RUN)
    assert _in_flight(client) == [(RUN, "queued")]

    gone = RunKey(DAG_ID, "gone")
    assert client.fail(gone) is None
    client.clear(gone)
    assert client.run(gone) is None
    with pytest.raises(AirflowError) as refused:
        client.can_clear(gone)
    assert refused.value.fault is AirflowFault.RUN_NOT_FOUND

    client.set_paused(DAG_ID, True)
    assert client.paused({DAG_ID, "gone"}).found == {DAG_ID: True, "gone": None}
    assert client.dag(DAG_ID) == DagInfo(DAG_ID, paused=True, active=True)
    client.set_paused(DAG_ID, False)
    client.set_paused("gone", False)
    assert client.paused({DAG_ID}).found == {DAG_ID: False}
    assert client.dag("gone") is None


def test_watched_runs_are_seen_by_what_changed(asked: Asked) -> None:
    keys = {RUN, RunKey(GONE, RUN.run_id), RunKey(DAG_ID, "no"), RunKey(DAG_ID, "none")}
    client = asked.client
    assert watched_runs(client, keys).found.keys() == {RUN, RunKey(GONE, RUN.run_id)}
    client.fail(RUN)
    assert watched_runs(client, keys).found[RUN].state == "failed"
    client.clear(RUN)
    assert watched_runs(client, keys).found[RUN].state == "queued"
    assert client.memory.seen_until is not None


def test_the_rights_of_a_user_are_known_without_a_change(asked: Asked) -> None:
    before = (asked.client.run(RUN), asked.client.dag(DAG_ID))
    for dag_ids in ((), (DAG_ID,), (DAG_ID, GONE)):
        assert missing_rights(asked.client, dag_ids) == ()
        found = missing_rights(asked.opened(VIEWER), dag_ids)
        assert [right.right for right in found] == [
            "pause DAGs",
            "set DAG runs to failed",
            "clear DAG runs",
        ] * (len(dag_ids) or 1)
    assert (asked.client.run(RUN), asked.client.dag(DAG_ID)) == before
    with pytest.raises(AirflowError) as refused:
        asked.opened(VIEWER).can_clear(RUN)
    assert refused.value.fault is AirflowFault.FORBIDDEN


def test_a_wrong_password_is_no_missing_right(asked: Asked) -> None:
    with pytest.raises(AirflowError) as refused:
        missing_rights(asked.opened("nobody"))
    assert refused.value.fault is AirflowFault.UNAUTHORIZED


def test_airflow_2_is_asked_by_a_session_of_its_login_form(
    asked: Asked, airflow: Environment
) -> None:
    if airflow.is_3:
        pytest.skip("Airflow 3 gives tokens")
    client = asked.opened(login={"type": "Session"})
    assert RUN in {run.key for run in client.in_flight()}
    client.set_paused(DAG_ID, True)
    client.set_paused(DAG_ID, False)
    with pytest.raises(AirflowError, match="rejects the login"):
        asked.opened("nobody", login={"type": "Session"}).in_flight()


def test_a_token_that_airflow_3_does_not_know_is_replaced(
    asked: Asked, airflow: Environment
) -> None:
    if not airflow.is_3:
        pytest.skip("Airflow 2 gives no tokens")
    client = asked.opened()
    client.in_flight()
    auth = client.rest._credentials.auth
    assert isinstance(auth, TokenAuth)
    # Of another key, as after an upgrade that made a new one.
    head, body, signature = auth._pass.split(".")
    auth._pass = f"{head}.{body}.{signature[::-1]}"
    refused = httpx2.get(
        f"{asked.url}/api/v2/dags", headers={"Authorization": f"Bearer {auth._pass}"}
    )
    assert (refused.status_code, refused.json()) == (403, {"detail": "Invalid JWT token"})
    client.in_flight()


def test_only_airflow_3_0_refuses_to_be_told_which_code_to_run(
    asked: Asked, airflow: Environment
) -> None:
    if not airflow.is_3:
        pytest.skip("Airflow 2 knows one version of a DAG")
    body = {"dry_run": True, "run_on_latest_version": False}
    path = f"/dags/{DAG_ID}/dagRuns/{RUN.run_id.replace('+', '%2B').replace(':', '%3A')}/clear"
    status = asked.plain.post(path, json=body).status_code
    assert status == (422 if airflow.version.startswith("3.0.") else 200)


def test_a_run_whose_dag_is_gone_is_named_and_not_queued_for_ever(
    asked: Asked, airflow: Environment, database: Postgres
) -> None:
    run = RunKey(GONE, RUN.run_id)
    (asked.home / "dags" / f"{GONE}.py").unlink()
    # What the DAG processor does when a file is gone.
    statements = (
        ("update dag set is_stale = true where dag_id = %s",)
        if airflow.is_3
        else (
            "update dag set is_active = false where dag_id = %s",
            "delete from serialized_dag where dag_id = %s",
        )
    )
    with database.connect() as connection:
        for statement in statements:
            connection.execute(statement, [GONE])
    assert asked.client.dag(GONE) == DagInfo(GONE, paused=True, active=False)
    with pytest.raises(AirflowError, match="file is missing") as refused:
        asked.client.can_clear(run)
    assert refused.value.fault is AirflowFault.DAG_NOT_FOUND
    if not airflow.is_3:
        for change in (asked.client.fail, asked.client.clear):
            with pytest.raises(AirflowError, match="file is missing"):
                change(run)
