"""Watching thousands of runs costs what changes, whatever the clocks say; a real server answers."""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from listed_runs import Runs
from opened_airflow import opened

from xcom_rollout.clients import run_memory
from xcom_rollout.clients.airflow_runs import watched_runs
from xcom_rollout.clients.errors import AirflowError
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.ledger import RunKey


@pytest.fixture
def server() -> Iterator[Runs]:
    with Runs() as server:
        yield server


def states(found: dict[RunKey, Any]) -> dict[str, str]:
    return {key.run_id: run.state for key, run in found.items()}


def test_a_further_look_costs_what_changed(server: Runs) -> None:
    keys, memo = server.add(5000), Memo()
    server.now += timedelta(hours=1)
    server.decide("r0", "running")
    assert len(watched_runs(opened(server, memo=memo), keys)) == 5000
    assert server.cost() == 50
    for _ in range(3):
        server.now += timedelta(minutes=1)
        server.decide("r7", "success")
        found = watched_runs(opened(server, memo=memo), keys)
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
    assert states(watched_runs(opened(server), keys)) == {"r1": "running", "r2": "running"}
    assert server.cost() == 3


def test_runs_that_are_stopped_are_read_in_pages_too(server: Runs) -> None:
    server.add(2000, "success")
    server.now += timedelta(hours=1)
    begun = server.now
    keys = server.add(1000)
    for key in keys:
        server.set_state(key.run_id, "failed")
    found = watched_runs(opened(server), keys, since=begun)
    assert set(states(found).values()) == {"failed"}
    assert server.cost() <= 12


def test_a_run_that_is_gone_is_asked_for_once(server: Runs) -> None:
    keys, memo = [*server.add(150), RunKey("d", "gone")], Memo()
    for expected in (3, 2, 2):
        assert len(watched_runs(opened(server, memo=memo), keys)) == 150
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
        found = watched_runs(opened(server, memo=memo), keys)
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
        found = watched_runs(opened(server, memo=memo), keys)
        assert {found[key].state for key in asked} == {"running"}
    for key in asked:
        server.commit(key.run_id)
    watched_runs(opened(server, memo=memo), keys)
    found = watched_runs(opened(server, memo=memo), keys)
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
    assert RunKey("d", "r5") in watched_runs(opened(server, memo=memo), keys)
    monkeypatch.setattr(run_memory, "RELOAD", 0.0)
    assert RunKey("d", "r5") not in watched_runs(opened(server, memo=memo), keys)


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
    assert watched_runs(opened(server, memo=memo), keys)[RunKey("d", "r5")].state == "failed"
    assert server.cost() == 1
