"""Which API an Airflow is asked by, and what is said when it cannot be; a real server answers."""

import base64
import dataclasses
import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest

from xcom_rollout.airflow_api.airflow import AirflowApi, airflow_version, in_parallel, open_airflow
from xcom_rollout.api.v1alpha1 import AirflowApi as ApiSpec
from xcom_rollout.clients.errors import AirflowError, ExternalError
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.ledger import RunKey
from xcom_rollout.decide.observed import Rollout

Answers = dict[str, tuple[int, str]]
KEY = RunKey("dag", "manual__2024-01-01T00:00:00+00:00")
RUN_PATH = "/dags/dag/dagRuns/manual__2024-01-01T00%3A00%3A00%2B00%3A00"


@dataclasses.dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: str
    body: Any
    authorization: str


class Server:
    """Answers each path with what a test laid down, 404 for the rest, and keeps the requests.

    A login is answered with the token `token-N`, N counting the logins; only the newest is good.
    """

    def __init__(self) -> None:
        self.answers: Answers = {}
        self.requests: list[Request] = []
        self.logins = 0
        self.good_token = ""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path, _, query = self.path.partition("?")
                request = Request(
                    self.command,
                    path,
                    query,
                    json.loads(text) if text else None,
                    self.headers.get("Authorization") or "",
                )
                server.requests.append(request)
                status, body = server.answer(request)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_PATCH = do_POST = handle_any  # noqa: N815 - names of the base class

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, request: Request) -> tuple[int, str]:
        if request.path == "/auth/token" and request.path not in self.answers:
            if request.body != {"username": "u", "password": "p"}:
                return 401, '{"detail": "Invalid credentials"}'
            self.logins += 1
            self.good_token = f"token-{self.logins}"
            return 201, json.dumps({"access_token": self.good_token})
        signed_by_token = request.path.startswith("/api/v2/") and request.path != "/api/v2/version"
        if signed_by_token and request.authorization != f"Bearer {self.good_token}":
            return 401, '{"detail": "Invalid JWT token"}'
        return self.answers.get(request.path, (404, '{"detail": "Not Found"}'))

    def airflow(self, version: str) -> None:
        prefix = "/api/v1" if version.startswith("2") else "/api/v2"
        self.answers[f"{prefix}/version"] = (200, json.dumps({"version": version}))

    def asked(self, *, versions: bool = False) -> list[Request]:
        """The requests, without those for the version."""
        return [r for r in self.requests if versions or not r.path.endswith("/version")]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def http() -> httpx2.Client:
    return httpx2.Client(timeout=2, trust_env=False)


def airflow(url: str, memo: Memo | None = None, password: str = "p") -> AirflowApi:
    """Open the API as the operator does, with a Secret as Kubernetes shows it."""
    data = {
        key: base64.b64encode(value.encode()).decode()
        for key, value in {"username": "u", "password": password}.items()
    }
    kube = cast(
        "KubeApi",
        SimpleNamespace(find=lambda _path: {"data": data}, known_version=lambda _path: None),
    )
    api = ApiSpec.model_validate(
        {"service": "web", "port": 80, "credentialsSecretRef": {"name": "airflow-api"}}
    )
    spec = SimpleNamespace(airflow=SimpleNamespace(api=api))
    rollout = cast("Rollout", SimpleNamespace(namespace="airflow", spec=spec))
    return open_airflow(http(), kube, memo or Memo(), url, rollout)


def dags(*paused: bool, total: int | None = None, first: int = 0) -> str:
    listed = [{"dag_id": f"dag{first + n}", "is_paused": is_} for n, is_ in enumerate(paused)]
    return json.dumps({"dags": listed, "total_entries": len(listed) if total is None else total})


RUNS = "/api/v1/dags/~/dagRuns"
NO_RUNS = (200, '{"dag_runs": [], "total_entries": 0}')


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "Secret airflow-api .401.*auth_backends"),
        (403, "forbids GET.*pause DAGs"),
        (500, "answered 500 .*boom"),
    ],
)
def test_a_refusal_says_what_to_do(server: Server, status: int, expected: str) -> None:
    server.airflow("2.11.2")
    server.answers[RUNS] = (status, "boom")
    with pytest.raises(AirflowError, match=expected):
        airflow(server.url).in_flight()


@pytest.mark.parametrize(
    ("said", "expected"),
    [("2.9.3", (2, 9)), ("2.11.2", (2, 11)), ("3.0.6", (3, 0)), ("3.3.2rc1", (3, 3))],
)
def test_airflow_is_asked_which_version_it_is(
    server: Server, said: str, expected: tuple[int, int]
) -> None:
    server.airflow(said)
    assert airflow_version(http(), server.url) == expected


@pytest.mark.parametrize("said", ["2.8.4", "4.0.0", "nonsense"])
def test_a_version_that_is_not_known_is_asked_nothing(server: Server, said: str) -> None:
    server.airflow(said)
    with pytest.raises(AirflowError, match=f"reports Airflow '{said}'.*2.9 to 3.x only"):
        airflow(server.url)
    assert server.asked() == []


def test_an_airflow_that_does_not_say_its_version_is_asked_nothing(server: Server) -> None:
    server.answers["/api/v1/version"] = (503, "starting")
    with pytest.raises(AirflowError, match=r"503 to GET /api/v1/version.*not known.*starting"):
        airflow(server.url)
    assert server.asked() == []


def test_something_else_than_airflow_is_named(server: Server) -> None:
    with pytest.raises(AirflowError, match="no Airflow API at"):
        airflow(server.url)
    server.answers["/api/v1/version"] = (200, "<html>")
    with pytest.raises(AirflowError, match="not a JSON object"):
        airflow(server.url)


def test_nobody_listening_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(AirflowError, match=r"cannot be reached.*spec.airflow.api.service"):
            airflow(url)


def test_pausing_is_asked_of_all_dags_at_once(server: Server) -> None:
    server.airflow("2.11.2")
    server.answers["/api/v1/dags"] = (200, dags(True, False))
    seen = airflow(server.url).paused({"dag0", "dag1", "gone"})
    assert seen.found == {"dag0": True, "dag1": False, "gone": None}
    assert len(server.asked()) == 2, "whether it is gone, or may not be seen, only it can tell"


def test_pausing_is_asked_of_each_dag_where_that_is_cheaper(server: Server) -> None:
    server.airflow("2.11.2")
    server.answers["/api/v1/dags"] = (200, dags(*[True] * 100, total=5000))
    server.answers["/api/v1/dags/far"] = (200, '{"dag_id": "far", "is_paused": false}')
    assert airflow(server.url).paused({"far", "gone"}).found == {"far": False, "gone": None}
    assert len(server.asked()) == 3


@pytest.mark.parametrize("status", [403, 500])
def test_a_dag_that_may_not_be_seen_is_not_taken_for_one_that_is_gone(
    server: Server, status: int
) -> None:
    """Airflow leaves it out of the list of all DAGs."""
    server.airflow("2.11.2")
    server.answers["/api/v1/dags"] = (200, dags(True))
    server.answers["/api/v1/dags/secret"] = (status, "{}")
    seen = airflow(server.url).paused({"dag0", "gone", "secret"})
    assert seen.found == {"dag0": True, "gone": None}
    assert {dag: error.status for dag, error in seen.refused.items()} == {"secret": status}


def test_dags_are_asked_for_by_name_where_their_list_fails(server: Server) -> None:
    server.airflow("2.11.2")
    server.answers["/api/v1/dags"] = (500, "{}")
    server.answers["/api/v1/dags/dag0"] = (200, '{"dag_id": "dag0", "is_paused": true}')
    server.answers["/api/v1/dags/broken"] = (500, "{}")
    seen = airflow(server.url).paused({"dag0", "broken"})
    assert seen.found == {"dag0": True}
    assert seen.refused.keys() == {"broken"}
    with pytest.raises(AirflowError, match="answered 500"):
        airflow(server.url).paused({"broken"})


@pytest.mark.parametrize(("version", "option"), [("2.11.2", "only_active"), ("3.3.2", "exclude_")])
def test_dags_whose_file_is_gone_are_listed_too(server: Server, version: str, option: str) -> None:
    server.airflow(version)
    server.answers |= {f"/api/{v}/dags": (200, dags(True)) for v in ("v1", "v2")}
    assert airflow(server.url).paused({"dag0"}).found == {"dag0": True}
    assert f"{option}" in server.asked()[-1].query
    assert "=false" in server.asked()[-1].query


@pytest.mark.parametrize(
    ("version", "body"),
    [
        ("2.11.2", {"dry_run": False}),
        ("3.0.6", {"dry_run": False}),
        ("3.1.8", {"dry_run": False, "run_on_latest_version": False}),
        ("3.3.2", {"dry_run": False, "run_on_latest_version": False}),
    ],
)
def test_a_clear_re_runs_the_code_that_a_run_began_with(
    server: Server, version: str, body: object
) -> None:
    server.airflow(version)
    prefix = "/api/v1" if version.startswith("2") else "/api/v2"
    server.answers[f"{prefix}{RUN_PATH}/clear"] = (200, "{}")
    airflow(server.url).clear(KEY)
    sent = server.asked()[-1]
    assert (sent.method, sent.path, sent.body) == ("POST", f"{prefix}{RUN_PATH}/clear", body)


def test_a_run_is_stopped_by_its_state(server: Server) -> None:
    server.airflow("3.3.2")
    server.answers[f"/api/v2{RUN_PATH}"] = (200, "{}")
    airflow(server.url).fail(KEY)
    assert (server.asked()[-1].method, server.asked()[-1].body) == ("PATCH", {"state": "failed"})


def test_a_run_that_is_gone_is_left_alone(server: Server) -> None:
    server.airflow("3.3.2")
    airflow(server.url).fail(KEY)
    airflow(server.url).clear(KEY)
    assert airflow(server.url).run(KEY) is None


def test_a_run_that_cannot_be_cleared_for_its_dag_is_gone_is_no_success(server: Server) -> None:
    server.airflow("3.3.2")
    run = {"dag_id": KEY.dag_id, "dag_run_id": KEY.run_id, "state": "failed", "start_date": None}
    server.answers[f"/api/v2{RUN_PATH}"] = (200, json.dumps(run))
    with pytest.raises(AirflowError, match="no longer knows the DAG dag"):
        airflow(server.url).clear(KEY)


def test_airflow_3_is_asked_with_a_token_that_is_kept(server: Server) -> None:
    server.airflow("3.3.2")
    server.answers["/api/v2/dags/~/dagRuns"] = NO_RUNS
    memo = Memo()
    airflow(server.url, memo).in_flight()
    airflow(server.url, memo).changed_since(datetime(2024, 1, 1, tzinfo=UTC))
    assert [r.path for r in server.asked()] == ["/auth/token", *["/api/v2/dags/~/dagRuns"] * 2]
    assert {r.authorization for r in server.asked()[1:]} == {"Bearer token-1"}


def test_a_token_that_is_refused_is_replaced_once(server: Server) -> None:
    server.airflow("3.3.2")
    server.answers["/api/v2/dags/~/dagRuns"] = NO_RUNS
    opened = airflow(server.url)
    opened.in_flight()
    server.good_token = "signed-with-another-key"
    opened.in_flight()
    assert server.logins == 2


def test_a_user_who_may_not_log_in_is_named(server: Server) -> None:
    server.airflow("3.3.2")
    with pytest.raises(AirflowError, match=r"rejects the login.*Secret airflow-api .401"):
        airflow(server.url, password="wrong").in_flight()


def test_a_changed_password_is_not_hidden_by_a_token_that_is_kept(server: Server) -> None:
    server.airflow("3.3.2")
    server.answers["/api/v2/dags/~/dagRuns"] = NO_RUNS
    memo = Memo()
    airflow(server.url, memo).in_flight()
    with pytest.raises(AirflowError, match="rejects the login"):
        airflow(server.url, memo, password="changed").in_flight()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, "{}", "auth_manager does not issue tokens"),
        (422, '{"detail": "what"}', "answered 422 to POST /auth/token: .*what"),
        (201, "{}", "without an access_token"),
        (200, "<html>", "not a JSON object"),
    ],
)
def test_an_auth_manager_that_gives_no_token_is_named(
    server: Server, status: int, body: str, expected: str
) -> None:
    server.airflow("3.3.2")
    server.answers["/auth/token"] = (status, body)
    with pytest.raises(AirflowError, match=expected):
        airflow(server.url).in_flight()


def test_in_parallel_does_all_and_tells_of_the_first_failure() -> None:
    done = []

    def act(number: int) -> int:
        if number % 2:
            raise AirflowError(f"number {number} failed")
        done.append(number)
        return number

    assert in_parallel(act, [0, 2, 4]) == [0, 2, 4]
    with pytest.raises(AirflowError, match="2 of 4 requests failed, the first with: number 1"):
        in_parallel(act, [1, 6, 3, 8])
    assert {6, 8} <= set(done)


def test_in_parallel_hides_no_programming_error() -> None:
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda number: 1 // number, [0])
    assert not issubclass(ZeroDivisionError, ExternalError)
