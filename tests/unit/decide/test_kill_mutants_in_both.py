"""The simulator finds faults where tasks run in workers and in pods: each spoilt guard shows."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from simulation import Plan, play
from simulation.mutants import seeing, spoilt
from simulation.plan import draw_with_both, drawn
from xcom_rollout.decide import core
from xcom_rollout.decide.situation import Situation

MOST_WORLDS = 150
"""Worlds within which each fault is found: a few seconds."""


def no_attempts(s: Situation) -> Situation:
    return Situation(replace(s.observed, attempts=(), unseen_tasks=""), s.now)


def no_task_pods(s: Situation) -> Situation:
    pods = tuple(pod for pod in s.observed.pods if pod.run is None)
    return Situation(replace(s.observed, pods=pods), s.now)


def retriggered(plan: Plan) -> Plan:
    """Return the plan of a kill that stops runs, whose tasks end slowly in either place."""
    weather = replace(plan.weather, notices=(10, 10), orphaned=50, worker_grace=600, heartbeat=0)
    runs = tuple(
        replace(run, tasks=tuple(replace(task, kind="normal", deaf=True) for task in run.tasks))
        for run in plan.runs
    )
    return replace(plan, runs=runs, strategy="Retrigger", weather=weather, finished_runs="Accept")


MUTANTS = {
    "task pods are seen, and nobody looks into workers": (
        no_attempts,
        ("attempts-ended", "runs-emptied"),
        "old_attempts",
    ),
    "workers are looked into, and nobody sees task pods": (
        no_task_pods,
        ("attempts-ended", "runs-emptied"),
        "spoilt_rows",
    ),
    "workers are waited for, old task pods are not": (no_task_pods, ("writers-gone",), "exposed"),
}


def bounded(plan: Plan) -> Plan:
    """Return the plan of a kill whose limit for old tasks is over before the fleet has rolled."""
    plan = retriggered(plan)
    return replace(plan, stop_after=30, weather=replace(plan.weather, fleet_grace=90))


def harmed(hazard: str, worlds: Callable[[Plan], Plan] = retriggered) -> Plan | None:
    for plan in map(worlds, drawn(0, MOST_WORLDS, draw_with_both)):
        if hazard in play(plan).hazards.found():
            return plan
    return None


@pytest.mark.parametrize("name", MUTANTS)
def test_a_guard_that_is_spoilt_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    see, guards, hazard = MUTANTS[name]
    table = spoilt(dict.fromkeys(guards, seeing(see)))
    with monkeypatch.context() as patch:
        patch.setattr(core, "KILL_TABLE", table)
        plan = harmed(hazard)
    assert plan is not None, f"{MOST_WORLDS} worlds did not show it"
    assert play(plan).hazards.found() == {}


def test_a_worker_that_is_taken_for_an_old_one_before_anybody_looked_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Situation, "unknown", lambda *_: False)
        plan = harmed("stopped_without_need", bounded)
    assert plan is not None, f"{MOST_WORLDS} worlds did not show it"
    assert play(plan).hazards.found() == {}
