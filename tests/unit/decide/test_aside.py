"""An action that fails is put off, and keeps no step from its turn that does not wait for it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from simulation import Plan, RunPlan, SimTask, play
from simulation.plan import BIG, HOUR, SMALL, world
from xcom_rollout.decide.actions import SetFinalizer
from xcom_rollout.decide.aside import (
    LASTS,
    LONGEST_RETRY,
    Asides,
    put_aside,
    put_off,
    still_wanted,
    taken_up,
)
from xcom_rollout.decide.decision import Finding, Progress
from xcom_rollout.decide.ledger import RunKey, RunStage
from xcom_rollout.decide.table import act

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FOUND = act("EmptyingRuns", "removing rows", SetFinalizer(True))
HOLDER = RunPlan("dag0", (SimTask(3, BIG), SimTask(40, SMALL), SimTask(1, SMALL)))
WRITER = RunPlan("dag1", (SimTask(60, BIG), SimTask(2, SMALL)))


def after(tries: int, *, every: timedelta = timedelta(seconds=1)) -> Asides:
    asides: Asides = {}
    for number in range(tries):
        asides = put_aside(asides, "runs-emptied", "exceeded quota", NOW + number * every)
    return asides


def seen(asides: Asides, now: datetime) -> Finding:
    return put_off(FOUND, asides["runs-emptied"], now)


def test_what_nobody_tried_again_is_over_and_a_later_failure_is_another_one() -> None:
    once = put_aside({}, "runs-cleared", "503", NOW)
    assert still_wanted(once, NOW + LONGEST_RETRY) == once
    days_later = NOW + timedelta(days=2)
    assert still_wanted(once, days_later) == {}
    again = put_aside(still_wanted(once, days_later), "runs-cleared", "403", days_later)
    assert again["runs-cleared"].since == days_later
    assert again["runs-cleared"].tries == 1


def test_it_waits_for_its_next_try_and_says_why() -> None:
    finding = seen(after(1), NOW + timedelta(seconds=1))
    assert (finding.progress, finding.reason, finding.action) == (
        Progress.WAITING,
        "ActionPutOff",
        None,
    )
    assert "exceeded quota" in finding.message
    assert finding.after == timedelta(seconds=1)


def test_at_its_time_it_is_tried_again() -> None:
    assert seen(after(1), NOW + timedelta(seconds=2)) == FOUND


def test_tries_are_further_and_further_apart_up_to_a_bound() -> None:
    delays = [
        (asides["runs-emptied"].next_try - NOW).total_seconds()
        for asides in (after(tries, every=timedelta(0)) for tries in range(1, 9))
    ]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (2, LONGEST_RETRY.total_seconds())


def test_a_failure_that_lasts_is_held_and_stays_so_while_it_is_tried() -> None:
    asides, late = after(3), NOW + LASTS
    waiting = replace(asides["runs-emptied"], next_try=late + timedelta(seconds=5))
    for aside, action in ((asides["runs-emptied"], FOUND.action), (waiting, None)):
        finding = put_off(FOUND, aside, late)
        assert (finding.progress, finding.reason) == (Progress.HELD, "ActionPutOff")
        assert finding.action == action


def test_what_was_done_is_not_put_off_any_more() -> None:
    assert taken_up(after(2), "runs-emptied") == {}


def plan(*people: tuple[int, str, str]) -> Plan:
    return Plan(runs=(HOLDER, WRITER), kill_at=20, people=people)


def test_a_quota_on_what_one_step_needs_keeps_no_other_step_from_its_turn() -> None:
    sim = world(plan((1, "refuse-jobs", "empty")))
    sim.serve(sim.clock.now + HOUR)
    kill = sim.open_kill()
    assert kill is not None
    assert kill.writers_gone, "the old tasks were waited for meanwhile"
    assert "frozen" in kill.counted
    stages = {str(run.key): run.stage for run in kill.runs}
    assert stages["dag0/run0"] is RunStage.STOPPED
    assert sim.last is not None
    assert sim.last.current.finding.reason == "ActionPutOff"
    assert sim.held()
    sim.people.does("take-jobs", "empty")
    sim.serve(sim.clock.now + HOUR)
    assert sim.hazards.found() == {}
    assert sim.settings.is_database
    assert sim.runs[RunKey("dag0", "run0")].state == "success"


@pytest.mark.parametrize("kind", ["census", "empty", "rehydrate"])
def test_a_quota_for_a_while_is_made_up_for(kind: str) -> None:
    sim = play(plan((1, "refuse-jobs", kind), (400, "take-jobs", kind)))
    assert sim.hazards.found() == {}
    assert sim.settings.is_database
