"""Watching thousands of runs costs what changes, whatever the clocks say; a real server answers."""

import random
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from listed_runs import Runs
from opened_airflow import opened
from xcom_rollout.airflow_api import run_memory
from xcom_rollout.airflow_api.runs import watched_runs
from xcom_rollout.clients.errors import AirflowError
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.ledger import RunKey


@pytest.fixture
def server() -> Iterator[Runs]:
    with Runs() as server:
        yield server


def states(found: Mapping[RunKey, Any]) -> dict[str, str]:
    return {key.run_id: run.state for key, run in found.items()}


def test_a_further_look_costs_what_changed(server: Runs) -> None:
    keys, memo = server.add(5000), Memo()
    server.now += timedelta(hours=1)
    server.decide("r0", "running")
    assert len(watched_runs(opened(server, memo=memo), keys).found) == 5000
    assert server.cost() == 50
    for _ in range(3):
        server.now += timedelta(minutes=1)
        server.decide("r7", "success")
        found = watched_runs(opened(server, memo=memo), keys).found
        assert found[RunKey("d", "r7")].state == "success"
        assert server.cost() == 1


def test_pages_are_as_large_as_airflow_gives_them(server: Runs) -> None:
    server.add(250)
    assert len(opened(server).in_flight()) == 250
    limits = [parse_qs(request.query)["limit"] for request in server.asked()]
    assert limits == [["1000"]] * 3


def test_few_runs_are_asked_for_by_name(server: Runs) -> None:
    server.add(500)
    keys = [RunKey("d", "r1"), RunKey("d", "r2"), RunKey("d", "gone")]
    assert states(watched_runs(opened(server), keys).found) == {"r1": "running", "r2": "running"}
    assert server.cost() == 3


def test_runs_that_are_stopped_are_read_in_pages_too(server: Runs) -> None:
    server.add(2000, "success")
    server.now += timedelta(hours=1)
    begun = server.now
    keys = server.add(1000)
    for key in keys:
        server.set_state(key.run_id, "failed")
    found = watched_runs(opened(server), keys, since=begun).found
    assert set(states(found).values()) == {"failed"}
    assert server.cost() <= 12


def test_a_run_that_is_gone_is_asked_for_once(server: Runs) -> None:
    keys, memo = [*server.add(150), RunKey("d", "gone")], Memo()
    for expected in (3, 2, 2):
        assert len(watched_runs(opened(server, memo=memo), keys).found) == 150
        assert server.cost() == expected


@pytest.mark.parametrize("server_behind", [-600, 0, 600])
@pytest.mark.parametrize("scheduler_behind", [-600, 0, 600])
@pytest.mark.parametrize("count", [20, 150])
def test_no_change_is_missed_whichever_clock_is_behind(
    server: Runs, count: int, server_behind: int, scheduler_behind: int
) -> None:
    server.server_behind = timedelta(seconds=server_behind)
    server.scheduler_behind = timedelta(seconds=scheduler_behind)
    keys, memo, draw = server.add(count), Memo(), random.Random(count)  # noqa: S311
    for _ in range(25):
        server.now += timedelta(seconds=draw.choice((0.1, 1, 5, 30)))
        # A scheduler that has runs to decide about decides about some.
        server.decide("r0", "running")
        changed = f"r{draw.randrange(1, count)}"
        state = draw.choice(("running", "failed", "success", "queued"))
        draw.choice((server.decide, server.set_state))(changed, state)
        found = watched_runs(opened(server, memo=memo), keys).found
        assert states(found) == {name: run.state for name, run in server.runs.items()}


@pytest.mark.parametrize("late", [1, 30, 200])
def test_a_change_that_was_asked_for_is_seen_however_late_its_transaction_ends(
    server: Runs, late: int
) -> None:
    keys, memo = server.add(150), Memo()
    asked = [RunKey("d", f"r{number}") for number in range(8)]
    server.now += timedelta(hours=1)
    watched_runs(opened(server, memo=memo), keys)
    server.held = {key.run_id for key in asked}
    for key in asked:
        with pytest.raises(AirflowError, match="timed out"):
            opened(server, memo=memo).fail(key)
    for _ in range(late):
        server.now += timedelta(seconds=1)
        server.decide("r100", "running")
        found = watched_runs(opened(server, memo=memo), keys).found
        assert {found[key].state for key in asked} == {"running"}
    for key in asked:
        server.commit(key.run_id)
    watched_runs(opened(server, memo=memo), keys)
    found = watched_runs(opened(server, memo=memo), keys).found
    assert {found[key].state for key in asked} == {"failed"}
    server.cost()
    watched_runs(opened(server, memo=memo), keys)
    assert server.cost() == 1, "what was seen is not asked for again"


def test_a_run_that_is_gone_is_not_waited_for(server: Runs) -> None:
    """It was asked to change, and will never be seen to have done so."""
    gone = RunKey("d", "gone")
    keys, memo = [*server.add(150), gone], Memo()
    opened(server, memo=memo).fail(gone)
    watched_runs(opened(server, memo=memo), keys)
    watched_runs(opened(server, memo=memo), keys)
    server.cost()
    watched_runs(opened(server, memo=memo), keys)
    assert server.cost() == 2


def test_everything_is_read_again_now_and_then(
    server: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, memo = server.add(150), Memo()
    watched_runs(opened(server, memo=memo), keys)
    del server.runs["r5"]
    assert RunKey("d", "r5") in watched_runs(opened(server, memo=memo), keys).found
    monkeypatch.setattr(run_memory, "RELOAD", 0.0)
    assert RunKey("d", "r5") not in watched_runs(opened(server, memo=memo), keys).found


def test_a_look_that_fails_loses_nothing(server: Runs) -> None:
    keys, memo = server.add(1000), Memo()
    server.now += timedelta(hours=1)
    server.decide("r0", "running")
    watched_runs(opened(server, memo=memo), keys)
    server.now += timedelta(minutes=1)
    server.decide("r5", "failed")
    server.broken = True
    with pytest.raises(AirflowError, match="answered 500"):
        watched_runs(opened(server, memo=memo), keys)
    server.broken = False
    server.cost()
    assert watched_runs(opened(server, memo=memo), keys).found[RunKey("d", "r5")].state == "failed"
    assert server.cost() == 1


def told(server: Runs, keys: list[RunKey], memo: Memo) -> tuple[dict[str, str], dict[str, int]]:
    """Return the states of the runs that can be read, and how the others were refused."""
    seen = watched_runs(opened(server, memo=memo), keys)
    return states(seen.found), {k.run_id: e.status for k, e in seen.refused.items()}


@pytest.mark.parametrize("status", [403, 409, 500])
@pytest.mark.parametrize("count", [2, 3])
def test_a_run_that_is_refused_is_no_reason_to_know_nothing_of_the_others(
    server: Runs, count: int, status: int
) -> None:
    keys, memo = server.add(count), Memo()
    server.refused["r1"] = status
    found, refused = told(server, keys, memo)
    assert found == {f"r{n}": "running" for n in range(count) if n != 1}
    assert refused == {"r1": status}
    del server.refused["r1"]
    assert told(server, keys, memo)[0].keys() == {key.run_id for key in keys}


@pytest.mark.parametrize("status", [401, 429, 502, 503, 504])
def test_what_says_nothing_of_a_run_is_about_the_api(server: Runs, status: int) -> None:
    keys = server.add(3)
    server.refused["r1"] = status
    with pytest.raises(AirflowError):
        watched_runs(opened(server), keys)


def test_an_api_that_fails_at_every_run_is_broken_and_not_the_runs(server: Runs) -> None:
    keys = server.add(3)
    server.refused = dict.fromkeys(("r0", "r1", "r2"), 500)
    with pytest.raises(AirflowError, match="answered 500"):
        watched_runs(opened(server), keys)
    server.refused["r2"] = 403
    assert told(server, keys, Memo())[1] == {"r0": 500, "r1": 500, "r2": 403}


def test_the_only_run_there_is_fails_alone_where_its_dag_can_be_read(server: Runs) -> None:
    keys = server.add(1)
    server.refused["r0"] = 500
    assert told(server, keys, Memo()) == ({}, {"r0": 500})
    server.broken = True
    with pytest.raises(AirflowError, match="answered 500"):
        watched_runs(opened(server), keys)


def test_a_run_that_cannot_be_read_is_asked_for_again_among_thousands(server: Runs) -> None:
    keys, memo = server.add(1000), Memo()
    server.now += timedelta(hours=1)
    server.decide("r500", "running")
    hidden = [f"r{number}" for number in range(12)]
    server.refused = dict.fromkeys(hidden, 403)
    for _ in range(3):
        found, refused = told(server, keys, memo)
        assert refused == dict.fromkeys(hidden, 403)
        assert found.keys() == {key.run_id for key in keys} - set(hidden)
    server.cost()
    told(server, keys, memo)
    assert server.cost() <= 1 + run_memory.ASKED_AGAIN, "nor are all of them asked for each time"
    server.refused = {}
    for _ in range(2):
        told(server, keys, memo)
    found, refused = told(server, keys, memo)
    assert refused == {}
    assert len(found) == 1000


def test_what_was_seen_of_a_run_is_not_believed_once_it_is_refused(server: Runs) -> None:
    keys, memo = server.add(150), Memo()
    key = RunKey("d", "r5")
    assert told(server, keys, memo)[0]["r5"] == "running"
    server.held = {"r5"}
    with pytest.raises(AirflowError, match="timed out"):
        opened(server, memo=memo).fail(key)
    server.refused["r5"] = 403
    server.now += timedelta(minutes=5)
    server.decide("r0", "running")
    found, refused = told(server, keys, memo)
    assert "r5" not in found
    assert refused == {"r5": 403}
    del server.refused["r5"]
    server.commit("r5")
    assert told(server, keys, memo) == (
        {name: run.state for name, run in server.runs.items()},
        {},
    )


def test_a_change_that_is_late_is_still_looked_for_after_a_refusal(server: Runs) -> None:
    keys, memo = server.add(150), Memo()
    told(server, keys, memo)
    server.held = {"r5"}
    with pytest.raises(AirflowError, match="timed out"):
        opened(server, memo=memo).fail(RunKey("d", "r5"))
    server.refused["r5"] = 500
    told(server, keys, memo)
    del server.refused["r5"]
    assert told(server, keys, memo)[0]["r5"] == "running", "its transaction has not ended"
    server.now += timedelta(minutes=5)
    server.decide("r0", "running")
    told(server, keys, memo)
    server.commit("r5")
    assert told(server, keys, memo)[0]["r5"] == "failed"


@pytest.mark.parametrize("status", [403, 500])
def test_runs_are_asked_for_by_name_where_their_list_fails(server: Runs, status: int) -> None:
    """One run in it may be what fails, or the user has rights to single DAGs only."""
    keys = server.add(20)
    server.list_refused, server.refused = status, {"r1": status}
    found, refused = told(server, keys, Memo())
    assert len(found) == 19
    assert refused == {"r1": status}


def test_a_list_that_fails_is_about_the_api_where_no_run_can_be_read_either(server: Runs) -> None:
    keys = server.add(20)
    server.list_refused = 403
    server.refused = {key.run_id: 403 for key in keys}
    with pytest.raises(AirflowError, match=r"dagRuns.*403"):
        watched_runs(opened(server), keys)
