"""The status of passes that end in an error: for a moment, for long, and while they are retried."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from xcom_rollout.decide.summarize import (
    ACTION_FAILED,
    OBSERVE_FAILED,
    Status,
    failure,
    failure_lasts,
    still_failing,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=9)
FIRST = ("Ready", "Reconciling", "Stalled")


def decided(
    reason: str = "StoppingWriters", stalled: tuple[str, str] | None = None, generation: int = 1
) -> Status:
    """Return a status as a decision gives it; `stalled` has reason and message of a stall."""
    held = ("True", *stalled) if stalled else ("False", reason, "m")
    shown = (("False", reason, "m"), ("True", reason, "m"), held)
    return {
        "phase": "Killing",
        "observedGeneration": generation,
        "conditions": [
            {
                "type": kind,
                "status": status,
                "reason": why,
                "message": message,
                "observedGeneration": generation,
                "lastTransitionTime": "2026-01-01T11:00:00Z",
            }
            for kind, (status, why, message) in zip(FIRST, shown, strict=True)
        ],
    }


def told(status: Status) -> dict[str, tuple[str, str, str]]:
    return {c["type"]: (c["status"], c["reason"], c["message"]) for c in status["conditions"]}


def failed(previous: Status, reason: str = ACTION_FAILED, **more: Any) -> Status:
    return failure(1, reason, "helm cannot deliver", NOW, previous, **more)


@pytest.mark.parametrize("reason", [ACTION_FAILED, OBSERVE_FAILED])
def test_a_failure_of_a_moment_is_not_stalled(reason: str) -> None:
    status = failed(decided(), reason)
    assert told(status) == {
        "Ready": ("False", reason, "helm cannot deliver"),
        "Reconciling": ("True", reason, "helm cannot deliver"),
        "Stalled": ("False", reason, "helm cannot deliver"),
    }
    assert not failure_lasts(status)


@pytest.mark.parametrize("reason", [ACTION_FAILED, OBSERVE_FAILED])
def test_a_failure_that_lasts_is_stalled_with_its_reason_and_message(reason: str) -> None:
    status = failed(decided(), reason, lasting=True)
    assert told(status) == {
        "Ready": ("False", reason, "helm cannot deliver"),
        "Reconciling": ("False", reason, "helm cannot deliver"),
        "Stalled": ("True", reason, "helm cannot deliver"),
    }
    assert failure_lasts(status)


def test_what_a_person_has_to_do_is_still_shown_when_something_else_fails_for_a_moment() -> None:
    status = failed(decided(stalled=("RunsStuck", "etl/r1 cannot be stopped")))
    assert told(status)["Stalled"] == ("True", "RunsStuck", "etl/r1 cannot be stopped")
    assert told(status)["Ready"][1] == ACTION_FAILED
    assert not failure_lasts(status)


def test_a_stall_from_before_a_change_of_the_spec_is_not_shown_with_a_failure() -> None:
    status = failure(2, OBSERVE_FAILED, "m", NOW, decided(stalled=("InvalidSpec", "m")))
    assert told(status)["Stalled"][0] == "False"


def test_a_stall_from_a_failure_that_is_over_is_not_kept_by_the_next_one() -> None:
    assert told(failed(failed(decided(), lasting=True)))["Stalled"][0] == "False"


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("stalled", [None, ("RunsStuck", "etl/r1 cannot be stopped")])
def test_a_retry_and_its_failure_change_nothing_in_the_status(
    lasting: bool, stalled: tuple[str, str] | None
) -> None:
    before = failed(decided(stalled=stalled), lasting=lasting)
    trying = still_failing(decided(stalled=stalled), before, LATER)
    assert trying == before
    assert (
        failure(1, ACTION_FAILED, "helm cannot deliver", LATER, trying, lasting=lasting) == before
    )


def test_what_begins_and_ends_to_wait_for_a_person_is_shown_while_something_else_fails() -> None:
    before = failed(decided())
    stuck = still_failing(decided(stalled=("RunsStuck", "m")), before, LATER)
    assert told(stuck)["Stalled"] == ("True", "RunsStuck", "m")
    assert told(still_failing(decided(), stuck, LATER)) == told(before)


def test_the_rest_of_the_status_goes_on_while_something_fails() -> None:
    before = failed(decided(), lasting=True)
    trying = still_failing(decided() | {"phase": "Recovering"}, before, LATER)
    assert trying["phase"] == "Recovering"


def test_a_status_that_shows_no_failure_is_left_as_it_was_decided() -> None:
    assert still_failing(decided(), decided("CensusTaken"), LATER) == decided()
