"""The kill-switch as the command line sees it: the request, the state, the wait, the steps."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from xcom_rollout.api.names import ANNOTATION_KILL
from xcom_rollout.cli.kill import Engagement
from xcom_rollout.cli.kill_state import (
    KillState,
    asked_strategy,
    concluded,
    engage,
    finished,
    newest_ended,
    request_of,
    state_of,
)
from xcom_rollout.cli.kill_steps import steps
from xcom_rollout.cli.kill_wait import PATIENCE, Outcome, Wait, report
from xcom_rollout.cli.session import Person, Session
from xcom_rollout.decide.ledger import FinishedRuns, Strategy
from xcom_rollout.decide.summarize import failure

ANA = Person("ana", datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC))
BEN = Person("ben", datetime(2026, 1, 1, 13, 0, 0, tzinfo=UTC))
ENDED = {
    "attempt": 1,
    "engagedAt": "2026-01-01T12:00:01Z",
    "finishedAt": "2026-01-01T12:00:30Z",
}
OPEN = {"attempt": 1, "engagedAt": "2026-01-01T12:00:01Z"}


def rollout(
    request: dict[str, Any] | str | None = None,
    kill: dict[str, Any] | None = None,
    *,
    ready: str = "False",
    stalled: str = "False",
    reason: str = "R",
    message: str = "m",
    seen: bool = True,
    **declared: Any,
) -> dict[str, Any]:
    """Return a rollout; `seen` says whether the operator shows the conditions of a kill."""
    text = request if isinstance(request, str) or request is None else json.dumps(request)
    kinds = {"Ready": ready, "Stalled": stalled} | ({"Reverted": "False"} if seen else {})
    return {
        "metadata": {
            "name": "demo",
            "namespace": "airflow",
            "generation": 1,
            "annotations": {} if text is None else {ANNOTATION_KILL: text},
        },
        "spec": {"airflow": {"release": "af"}, "killSwitch": declared},
        "status": {
            "observedGeneration": 1,
            "phase": "Killing",
            "conditions": [
                {"type": kind, "status": status, "reason": reason, "message": message}
                for kind, status in kinds.items()
            ],
            **({"killSwitch": kill} if kill else {}),
        },
    }


def dated(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the rollout with what the operator writes into each condition beside its state."""
    for entry in raw["status"]["conditions"]:
        entry |= {"observedGeneration": 1, "lastTransitionTime": "2026-01-01T12:00:00Z"}
    return raw


def request(**more: Any) -> dict[str, Any]:
    return {"by": "ana", "at": "2026-01-01T12:00:00Z", "reason": "S3 is down", "after": 0} | more


def test_a_new_request_names_person_time_reason_and_the_strategy_where_one_is_given() -> None:
    assert engage(rollout(), ANA, "S3 is down", None) == request()
    asked = engage(rollout(), ANA, "S3 is down", Strategy.DRAIN)
    assert asked == request(strategy="Drain")


def test_the_same_again_changes_nothing() -> None:
    assert engage(rollout(request()), BEN, "me too", None) is None
    assert engage(rollout(request()), BEN, "me too", Strategy.RETRIGGER) is None, "the default"
    drained = rollout(request(), strategy="Drain")
    assert engage(drained, BEN, "me too", Strategy.DRAIN) is None, "the spec says so"
    assert engage(rollout(request(strategy="Drain")), BEN, "", Strategy.DRAIN) is None


def test_another_strategy_keeps_who_engaged_it_and_records_who_changed_it() -> None:
    assert engage(rollout(request()), BEN, "too slow", Strategy.REHYDRATE) == request(
        strategy="Rehydrate",
        strategyBy="ben",
        strategyAt="2026-01-01T13:00:00Z",
        strategyReason="too slow",
    )


def test_a_malformed_request_is_a_request_whose_text_is_the_reason() -> None:
    assert request_of(rollout("now!")) == {"reason": "now!"}
    changed = engage(rollout("now!"), BEN, "x", Strategy.DRAIN)
    assert changed is not None
    assert changed["reason"] == "now!"
    assert asked_strategy(rollout('{"strategy": "Quick"}', strategy="Drain")) is Strategy.DRAIN


def test_a_kill_that_the_spec_declares_is_a_standing_request() -> None:
    declared = rollout(engaged=True)
    assert engage(declared, BEN, "x", None) is None
    changed = engage(declared, BEN, "x", Strategy.DRAIN)
    assert changed is not None
    assert changed["by"] == "spec.killSwitch.engaged"


@pytest.mark.parametrize(
    ("kill", "number"), [(None, 0), (ENDED, 1), (OPEN, 0), (OPEN | {"attempt": 3}, 2)]
)
def test_a_request_knows_which_kills_were_over_when_it_was_made(
    kill: dict[str, Any] | None, number: int
) -> None:
    assert newest_ended(rollout(kill=kill)) == number


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        pytest.param(rollout(request()), KillState.NOT_BEGUN, id="not begun"),
        pytest.param(rollout(request(), OPEN), KillState.GOING_ON, id="going on"),
        pytest.param(rollout(request(), OPEN, stalled="True"), KillState.STALLED, id="stalled"),
        pytest.param(
            rollout(request(), stalled="True", seen=False),
            KillState.NOT_BEGUN,
            id="a stall from before the request",
        ),
        pytest.param(rollout(request(), ENDED, ready="True"), KillState.FINISHED, id="finished"),
        pytest.param(
            rollout(request(), ENDED, stalled="True", reason="Drifted"),
            KillState.DRIFTED,
            id="somebody changed the release after it",
        ),
        pytest.param(
            rollout(request(), OPEN | {"attempt": 2}),
            KillState.GOING_ON,
            id="W1: flipped again after a kill, the next one has begun",
        ),
        pytest.param(
            rollout(request(after=1), ENDED, ready="True"),
            KillState.NOT_BEGUN,
            id="the finished one was an earlier one",
        ),
        pytest.param(
            rollout(request(at="2026-01-01T12:02:00Z"), ENDED, ready="True"),
            KillState.FINISHED,
            id="the operator's clock is behind: numbers count, not times",
        ),
        pytest.param(
            rollout({"at": "2026-01-01T13:00:00Z"}, ENDED, ready="True"),
            KillState.NOT_BEGUN,
            id="an earlier one, by time, of a request without a number",
        ),
        pytest.param(
            rollout({"at": "2026-01-01T12:00:10Z"}, ENDED, ready="True"),
            KillState.FINISHED,
            id="a kill takes in a request that comes while it goes on",
        ),
        pytest.param(rollout("now!", ENDED, ready="True"), KillState.FINISHED, id="malformed"),
        pytest.param(
            rollout({"at": "noon"}, ENDED, ready="True"), KillState.FINISHED, id="malformed time"
        ),
    ],
)
def test_the_state_of_a_kill(raw: dict[str, Any], state: KillState) -> None:
    assert state_of(raw) is state
    assert finished(raw) is (state is KillState.FINISHED)


def test_a_drifted_kill_is_not_finished_and_may_be_taken_back() -> None:
    drifted = rollout(request(), ENDED, stalled="True", reason="Drifted")
    assert not finished(drifted)
    assert concluded(drifted)
    assert not concluded(rollout(request(), OPEN))


def test_a_request_that_has_nothing_to_do_may_be_taken_back() -> None:
    assert concluded(rollout(request(after=1), ENDED, ready="True"))
    assert not concluded(rollout(request(after=1), ENDED)), "a kill may be about to begin"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_wait_ends_with_0_when_the_kill_has_finished(clock: Clock) -> None:
    wait = Wait(clock=clock)
    assert not wait(rollout(request(), OPEN))
    assert wait(rollout(request(), ENDED, ready="True"))
    assert (wait.outcome, wait.outcome.exit_code) == (Outcome.FINISHED, 0)


def test_the_wait_ends_with_1_when_it_is_stalled_without_a_break(clock: Clock) -> None:
    wait, stalled = Wait(clock=clock), rollout(request(), OPEN, stalled="True")
    assert not wait(stalled)
    clock.now = PATIENCE - 1
    assert not wait(stalled)
    assert not wait(rollout(request(), OPEN)), "it went on by itself"
    clock.now = 2 * PATIENCE
    assert not wait(stalled)
    clock.now = 3 * PATIENCE
    assert wait(stalled)
    assert (wait.outcome, wait.outcome.exit_code) == (Outcome.STALLED, 1)


@pytest.mark.parametrize("reason", ["ObserveFailed", "InvalidSpec"])
def test_an_operator_that_cannot_see_the_request_ends_the_wait_with_1(
    clock: Clock, reason: str
) -> None:
    wait = Wait(clock=clock)
    blind = rollout(request(), stalled="True", reason=reason, seen=False)
    assert not wait(blind)
    clock.now = PATIENCE
    assert wait(blind)
    assert (wait.outcome, wait.outcome.exit_code) == (Outcome.STALLED, 1)
    assert f"Stalled for 30 s: {reason}" in report(blind, wait.outcome)


@pytest.mark.parametrize("reason", ["ActionFailed", "ObserveFailed"])
def test_a_failure_that_lasts_ends_the_wait_with_1(clock: Clock, reason: str) -> None:
    wait, raw = Wait(clock=clock), dated(rollout(request(), OPEN))

    def over(*, lasting: bool) -> bool:
        raw["status"] = failure(1, reason, "no", ANA.now, raw["status"], lasting=lasting)
        return wait(raw)

    for second in range(180):
        clock.now = float(second)
        assert not over(lasting=False), "a failure of a moment"
    assert not over(lasting=True)
    clock.now += PATIENCE
    assert over(lasting=True)
    assert (wait.outcome, wait.outcome.exit_code) == (Outcome.STALLED, 1)
    text = "\n".join(report(raw, wait.outcome))
    assert f"Stalled for 30 s: {reason}" in text
    assert "The kill is blocked until the cause is gone" in text


def test_a_drift_after_the_kill_ends_the_wait_with_1(clock: Clock) -> None:
    wait, drifted = Wait(clock=clock), rollout(request(), ENDED, stalled="True", reason="Drifted")
    assert not wait(drifted)
    clock.now = PATIENCE
    assert wait(drifted)
    assert wait.outcome is Outcome.STALLED


def test_the_wait_ends_with_3_at_its_timeout(clock: Clock) -> None:
    wait = Wait(timeout=timedelta(minutes=1), clock=clock)
    clock.now = 59
    assert not wait(rollout(request(), OPEN))
    clock.now = 60
    assert wait(rollout(request(), OPEN))
    assert (wait.outcome, wait.outcome.exit_code) == (Outcome.TIMEOUT, 3)


def test_the_kill_before_does_not_end_the_wait_for_the_next_one(clock: Clock) -> None:
    """W1: the status still shows the first kill when the wait begins."""
    wait = Wait(after=1, clock=clock)
    assert not wait(rollout(request(), ENDED, ready="True"))
    assert not wait(rollout(request(), OPEN | {"attempt": 2}))
    clock.now = 5 * PATIENCE
    assert not wait(rollout(request(), OPEN | {"attempt": 2}))
    assert wait(rollout(request(), ENDED | {"attempt": 2}, ready="True"))
    assert wait.outcome is Outcome.FINISHED


def test_a_request_that_finds_all_done_does_not_wait_for_ever(clock: Clock) -> None:
    wait, back = Wait(clock=clock), rollout(request(after=1), ENDED, ready="True")
    assert not wait(back), "the operator may not have looked yet"
    clock.now = PATIENCE
    assert wait(back)
    assert (wait.outcome, wait.outcome.exit_code) == (Outcome.NOTHING_TO_DO, 0)
    assert "there is nothing to do" in report(back, wait.outcome)[0]


def test_a_stall_is_reported_with_reason_runs_and_what_helps() -> None:
    trouble = {
        "dagId": "etl",
        "runId": "r1",
        "stage": "Stopping",
        "error": "403 Forbidden",
        "tries": 4,
    }
    message = "1 runs cannot be brought forward: kubectl xbr kill demo --strategy Rehydrate"
    raw = rollout(
        request(),
        OPEN | {"troubled": [trouble]},
        stalled="True",
        reason="RunsStuck",
        message=message,
    )
    text = "\n".join(report(raw, Outcome.STALLED))
    for part in (
        "Stalled for 30 s: RunsStuck",
        "kubectl xbr kill demo --strategy Rehydrate",
        "etl/r1 (Stopping): 403 Forbidden; 4 tries failed",
        "xbr status demo -n airflow -w",
        "kubectl get cm xbr-demo-kill-runs -n airflow",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("reason", "command"),
    [
        ("AirflowApiUnreachable", "kubectl get pods,services -n airflow -l release=af"),
        ("CensusFailed", "kubectl get jobs,pods -n airflow -l xcomrollout.dev/rollout=demo"),
        ("ReleaseNotFound", "helm list -a -n airflow"),
        ("ActionFailed", "helm history af -n airflow"),
        ("ObserveFailed", "kubectl logs -n xcom-rollout deploy/xcom-rollout"),
    ],
)
def test_a_stall_whose_message_names_no_command_gets_one(reason: str, command: str) -> None:
    raw = rollout(request(), OPEN, stalled="True", reason=reason)
    assert command in "\n".join(report(raw, Outcome.STALLED))


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.INTERRUPTED])
def test_who_stops_waiting_is_told_that_the_kill_goes_on(outcome: Outcome) -> None:
    lines = report(rollout(request(), OPEN), outcome)
    assert "The kill continues in the cluster" in lines[0]
    assert outcome.exit_code == 3


def test_a_kill_that_the_operator_cannot_see_has_no_number_yet() -> None:
    blind = rollout(request(after=1), ENDED, stalled="True", reason="ObserveFailed")
    session = cast(Session, SimpleNamespace(get=lambda _: blind))
    engagement = Engagement(session, "demo", ANA, "S3 is down", None)
    assert "The kill is stalled: Killing: m" in " ".join(engagement.lines())
    assert engagement.exit_code == 1


def in_words(strategy: Strategy, **more: Any) -> str:
    return " | ".join(steps(strategy, release="af", counted="3 at the last count", **more))


@pytest.mark.parametrize("strategy", [Strategy.RETRIGGER, Strategy.DRAIN, Strategy.REHYDRATE])
def test_writers_are_stopped_first_and_the_database_backend_comes_last(strategy: Strategy) -> None:
    said = steps(strategy, release="af", counted="3")
    assert said[0].startswith("deliver threshold -1 to the Helm release af")
    assert "no DAG is paused" in said[0]
    assert [number for number, step in enumerate(said) if "deliver the database" in step] == [5]


def test_an_immediate_kill_says_that_it_promises_less() -> None:
    text = in_words(Strategy.IMMEDIATE)
    assert text.index("pause the DAGs") < text.index("deliver the database backend")
    assert "may get a path" in text
    assert "threshold -1" not in text


def test_the_steps_follow_the_spec() -> None:
    assert "stay in this state" in in_words(Strategy.DRAIN, finished_runs=FinishedRuns.HOLD)
    assert "gets a path" in in_words(Strategy.DRAIN, finished_runs=FinishedRuns.ACCEPT)
    limited = {"stop_tasks_after": "15m"}
    assert "given 15m" in in_words(Strategy.RETRIGGER, **limited)
    assert "given 15m" not in in_words(Strategy.DRAIN, **limited), "no run is touched"
