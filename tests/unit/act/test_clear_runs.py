"""A clear whose answer was lost is not done a second time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nasty_http import NastyServer, Reply
from opened_airflow import is_airflow, opened, token
from xcom_rollout.act.clear_runs import clear_again
from xcom_rollout.decide.ledger import RecoveringRun, RunKey, RunStage

KEY = RunKey("d", "r")
RUN = "/api/v2/dags/d/dagRuns/r"
BEFORE, AFTER = "2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"


@pytest.fixture
def server() -> Iterator[NastyServer]:
    with NastyServer() as server:
        yield server


@pytest.mark.parametrize(
    ("state", "start_date", "clears"),
    [
        ("failed", BEFORE, 1),
        ("queued", None, 0),
        ("running", AFTER, 0),
        ("success", AFTER, 0),
        ("failed", AFTER, 0),
    ],
)
def test_a_run_is_cleared_again_only_as_it_was_before_the_first_try(
    server: NastyServer, state: str, start_date: str | None, clears: int
) -> None:
    is_airflow(server, "3.3.2")
    server.answer("/auth/token", token(1))
    server.answer("/api/v2/dags/d", Reply(body={"dag_id": "d", "is_paused": False}))
    shown = {"dag_id": "d", "dag_run_id": "r", "state": state, "start_date": start_date}
    server.answer(RUN, Reply(body=shown))
    server.answer(f"{RUN}/clear", Reply(body={}))
    clear_again(opened(server), RecoveringRun(KEY, 1, RunStage.EMPTIED, BEFORE, tries=1))
    assert len(server.asked(f"{RUN}/clear")) == clears


def test_a_run_that_is_gone_is_left_alone(server: NastyServer) -> None:
    is_airflow(server, "3.3.2")
    server.answer("/auth/token", token(1))
    clear_again(opened(server), RecoveringRun(KEY, 1, RunStage.EMPTIED, BEFORE, error="timed out"))
    assert server.asked(f"{RUN}/clear") == []
