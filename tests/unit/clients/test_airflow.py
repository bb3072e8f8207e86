"""What the operator says when Airflow's API cannot be asked; a real server on loopback answers."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from xcom_rollout.clients.airflow import AirflowApi, in_parallel
from xcom_rollout.clients.errors import AirflowError, WorldError

Answers = dict[str, tuple[int, str]]


class Server:
    """Answers each path with what a test laid down, 404 for the rest, and keeps the requests."""

    def __init__(self) -> None:
        self.answers: Answers = {}
        self.requests: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                status, body = server.answers.get(self.path.partition("?")[0], (404, "{}"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def airflow(url: str) -> AirflowApi:
    http = httpx2.Client(timeout=2, trust_env=False)
    return AirflowApi(http, url, httpx2.BasicAuth("u", "p"), "airflow-api")


def dags(*paused: bool, total: int | None = None, first: int = 0) -> str:
    listed = [{"dag_id": f"dag{first + n}", "is_paused": is_} for n, is_ in enumerate(paused)]
    return json.dumps({"dags": listed, "total_entries": len(listed) if total is None else total})


RUNS = "/api/v1/dags/~/dagRuns"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "Secret airflow-api .401.*auth_backends"),
        (403, "forbids GET.*pause DAGs"),
        (500, "answered 500 .*boom"),
    ],
)
def test_a_refusal_says_what_to_do(server: Server, status: int, expected: str) -> None:
    server.answers[RUNS] = (status, "boom")
    with pytest.raises(AirflowError, match=expected):
        airflow(server.url).in_flight()


def test_airflow_3_is_named(server: Server) -> None:
    server.answers["/api/v2/version"] = (200, '{"version": "3.1.8"}')
    with pytest.raises(AirflowError, match=r"Airflow 3 .*not supported yet"):
        airflow(server.url).in_flight()


def test_something_else_than_airflow_is_named(server: Server) -> None:
    with pytest.raises(AirflowError, match="no Airflow API at"):
        airflow(server.url).in_flight()
    server.answers[RUNS] = (200, "<html>")
    with pytest.raises(AirflowError, match="not JSON"):
        airflow(server.url).in_flight()


def test_nobody_listening_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(AirflowError, match=r"cannot be reached.*spec.airflow.api.service"):
            airflow(url).in_flight()


def test_pausing_is_asked_of_all_dags_at_once(server: Server) -> None:
    server.answers["/api/v1/dags"] = (200, dags(True, False))
    seen = airflow(server.url).paused({"dag0", "dag1", "gone"})
    assert seen == {"dag0": True, "dag1": False, "gone": None}
    assert len(server.requests) == 1


def test_pausing_is_asked_of_each_dag_where_that_is_cheaper(server: Server) -> None:
    server.answers["/api/v1/dags"] = (200, dags(*[True] * 100, total=5000))
    server.answers["/api/v1/dags/far"] = (200, '{"dag_id": "far", "is_paused": false}')
    assert airflow(server.url).paused({"far", "gone"}) == {"far": False, "gone": None}
    assert len(server.requests) == 3


def test_in_parallel_does_all_and_tells_of_the_first_failure() -> None:
    done = []

    def act(number: int) -> int:
        if number % 2:
            raise AirflowError(f"number {number} failed")
        done.append(number)
        return number

    assert in_parallel(act, [0, 2, 4]) == [0, 2, 4]
    with pytest.raises(AirflowError, match="2 of 4 requests failed, the first so: number 1"):
        in_parallel(act, [1, 6, 3, 8])
    assert {6, 8} <= set(done)


def test_in_parallel_hides_no_programming_error() -> None:
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda number: 1 // number, [0])
    assert not issubclass(ZeroDivisionError, WorldError)
