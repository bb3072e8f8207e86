"""Answers that are not Airflow's: nothing follows from them, and none fails otherwise."""

import time
from collections.abc import Callable, Iterator

import pytest

from nasty_http import NastyServer, Reply
from opened_airflow import V2_RUNS, is_airflow, opened, token
from xcom_rollout.airflow_api.airflow import AirflowApi
from xcom_rollout.airflow_api.each import is_of_one
from xcom_rollout.airflow_api.rights import NO_RUN, missing_rights
from xcom_rollout.airflow_api.task_instances import runs_of_instances
from xcom_rollout.clients.errors import AirflowError, AirflowFault
from xcom_rollout.decide.ledger import RunKey

KEY = RunKey("d", "r")
RUN = "/api/v2/dags/d/dagRuns/r"
INSTANCES = "/api/v2/dags/~/dagRuns/~/taskInstances"


@pytest.fixture
def server() -> Iterator[NastyServer]:
    with NastyServer() as server:
        is_airflow(server, "3.3.2")
        server.answer("/auth/token", token(1), token(2))
        yield server


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404, "<html>default backend - 404</html>"),
        Reply(404, ""),
        Reply(404, {"message": "no Route matched with those values"}),
        Reply(404, ["gone"]),
        Reply(404, "[" * 100_000),
    ],
    ids=["HTML", "nothing", "JSON of a gateway", "a list", "depths"],
)
def test_a_404_of_somebody_else_does_not_say_that_a_run_is_gone(
    server: NastyServer, reply: Reply
) -> None:
    server.answer(RUN, reply)
    server.answer("/api/v2/dags/d", reply)
    api = opened(server)
    asked: list[Callable[[], object]] = [
        lambda: api.run(KEY),
        lambda: api.dag("d"),
        lambda: api.fail(KEY),
        lambda: api.set_paused("d", paused=True),
    ]
    for ask in asked:
        with pytest.raises(
            AirflowError, match=r"404.*not from Airflow.*spec\.airflow\.api"
        ) as failed:
            ask()
        # Of this run: the others go on.
        assert is_of_one(failed.value)


@pytest.mark.parametrize("key", [RunKey("d", "daily/2026-11-28"), RunKey("team/etl", "r")], ids=str)
def test_a_name_with_a_slash_is_never_taken_for_one_that_is_gone(
    server: NastyServer, key: RunKey
) -> None:
    # Both web servers decode %2F before they choose a route, and answer 404 to every such run.
    api = opened(server)
    with pytest.raises(AirflowError, match=r"'(daily/2026-11-28|team/etl)'.*cannot be addressed"):
        api.run(key)
    with pytest.raises(AirflowError, match="strategy Rehydrate"):
        api.clear(key)
    assert server.asked() == []


@pytest.mark.parametrize(
    "reply",
    [
        Reply(429, "slow down"),
        Reply(408, ""),
        Reply(407, ""),
        Reply(404, "<html>no such page</html>"),
        Reply(200, "<html>Sign in</html>"),
    ],
    ids=lambda reply: str(reply.status),
)
def test_a_right_is_not_shown_by_an_answer_that_is_not_airflows(
    server: NastyServer, reply: Reply
) -> None:
    server.answer(f"/api/v2/dags/d/dagRuns/{NO_RUN}", reply)
    with pytest.raises(AirflowError, match=str(reply.status)):
        missing_rights(opened(server), ["d"])


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body={}),
        Reply(body={"status": "ok"}),
        Reply(body={"dag_runs": None, "total_entries": 3}),
        Reply(body={"dag_runs": ["x"], "total_entries": 1}),
        Reply(body={"dag_runs": {"a": 1}, "dags": 3, "task_instances": "x", "total_entries": 1}),
        Reply(
            body={
                "dag_runs": [
                    {
                        "dag_id": "d",
                        "dag_run_id": "r",
                        "state": "queued",
                        "last_scheduling_decision": "yesterday",
                    }
                ],
                "dags": 3,
                "task_instances": [{"id": "x"}],
                "total_entries": 1,
            }
        ),
        Reply(body={"dag_runs": [], "dags": [], "task_instances": [], "total_entries": "9"}),
    ],
    ids=["empty", "health", "null", "texts", "other types", "other values", "a count in quotes"],
)
def test_a_list_without_what_was_asked_for_is_told_as_that(
    server: NastyServer, reply: Reply
) -> None:
    for path in (V2_RUNS, "/api/v2/dags", INSTANCES, f"{INSTANCES}/list"):
        server.answer(path, reply)
    api = opened(server)
    asked: list[Callable[[AirflowApi], object]] = [
        AirflowApi.in_flight,
        lambda api: api.paused(["d"]),
        lambda api: runs_of_instances(api, ["x"], [KEY]),
    ]
    for ask in asked:
        with pytest.raises(AirflowError, match=r"lacks|is not a time|other than a list"):
            ask(api)


def test_a_dag_without_what_is_asked_of_it_is_told_as_that(server: NastyServer) -> None:
    server.answer("/api/v2/dags/d", Reply(body={"dag_id": "d"}))
    with pytest.raises(AirflowError, match="is_paused"):
        opened(server).dag("d")


@pytest.mark.parametrize("value", ["t0ken\n", "t0k\ren", "t0kén", " t0ken"])
def test_a_token_that_no_header_can_hold_is_told_without_it(
    server: NastyServer, value: str
) -> None:
    with pytest.raises(AirflowError, match=r"'airflow-api'.*key token.*echo -n") as failed:
        opened(server, secret={"token": value}, login={"type": "Bearer"})
    assert "t0k" not in str(failed.value)
    assert failed.value.fault is AirflowFault.UNAUTHORIZED


@pytest.mark.parametrize("key", ["username", "password"])
def test_a_user_with_a_line_feed_at_the_end_is_told_before_airflow_refuses_it(
    server: NastyServer, key: str
) -> None:
    secret = {"username": "u", "password": "p4ssword", key: "p4ssword\n"}
    with pytest.raises(AirflowError, match=rf"'airflow-api'.*key {key}.*echo -n") as failed:
        opened(server, secret=secret)
    assert "p4ss" not in str(failed.value)


def test_an_answer_that_trickles_ends_by_the_clock(
    server: NastyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xcom_rollout.airflow_api.bounded.LONGEST", 0.5)
    server.answer(RUN, Reply(body="{" + " " * 200 + "}", trickle=0.1))
    begun = time.monotonic()
    with pytest.raises(AirflowError, match=r"ReadTimeout.*0\.5 s") as failed:
        opened(server).run(KEY)
    assert time.monotonic() - begun < 5
    assert failed.value.fault is AirflowFault.UNREACHABLE


def test_an_answer_without_an_end_fills_no_memory(
    server: NastyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xcom_rollout.airflow_api.bounded.LARGEST", 10_000)
    server.answer(RUN, Reply(body="x" * 1_000_000))
    with pytest.raises(AirflowError, match="more than 10000 bytes") as failed:
        opened(server).run(KEY)
    assert failed.value.fault is AirflowFault.UNREACHABLE
