"""The simulator finds faults with tasks in workers: each guard that is spoilt shows as a hazard."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from simulation import Plan, play
from simulation import operator as loop
from simulation.mutants import See, seeing, spoilt
from simulation.plan import draw_with_workers, drawn
from xcom_rollout.decide import core
from xcom_rollout.decide.kill.same_look import serves_on
from xcom_rollout.decide.ledger import Ledger
from xcom_rollout.decide.situation import Situation

MOST_WORLDS = 120
"""Worlds within which each fault is found: a few seconds."""
GUARDS = ("attempts-ended", "runs-emptied")


def nothing_in_workers(s: Situation) -> Situation:
    return Situation(replace(s.observed, attempts=(), unseen_tasks=""), s.now)


def refusals_forgotten(s: Situation) -> Situation:
    return Situation(replace(s.observed, unseen_tasks=""), s.now)


def unknown_left_out(s: Situation) -> Situation:
    known = tuple(attempt for attempt in s.observed.attempts if attempt.run is not None)
    return Situation(replace(s.observed, attempts=known), s.now)


def retriggered(plan: Plan) -> Plan:
    """Return the plan of a kill that stops runs, whose supervisors are slow or lost."""
    weather = replace(plan.weather, notices=(10, 10), orphaned=50, workers=2, worker_grace=600)
    runs = tuple(
        replace(run, tasks=tuple(replace(task, kind="normal") for task in run.tasks))
        for run in plan.runs
    )
    return replace(plan, runs=runs, strategy="Retrigger", weather=weather, finished_runs="Accept")


def cannot_look(plan: Plan) -> Plan:
    plan = retriggered(plan)
    return replace(plan, people=((plan.kill_at, "refuse-exec", ""),))


def unnamed(plan: Plan) -> Plan:
    plan = retriggered(plan)
    return replace(plan, weather=replace(plan.weather, unnamed=100), people=())


MUTANTS: dict[str, tuple[See, Callable[[Plan], Plan]]] = {
    "nobody looks into the workers": (nothing_in_workers, retriggered),
    "workers that cannot be looked into have no tasks": (refusals_forgotten, cannot_look),
    "a process of an unknown run is of no stopped run": (unknown_left_out, unnamed),
}


def harmed(worlds: Callable[[Plan], Plan]) -> Plan | None:
    """Return the first world in which an old attempt outlives the clear of its run."""
    for plan in map(worlds, drawn(0, MOST_WORLDS, draw_with_workers)):
        if play(plan).hazards.old_attempts:
            return plan
    return None


@pytest.mark.parametrize("name", MUTANTS)
def test_a_guard_that_is_spoilt_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    see, worlds = MUTANTS[name]
    table = spoilt(dict.fromkeys(GUARDS, seeing(see)))
    with monkeypatch.context() as patch:
        patch.setattr(core, "KILL_TABLE", table)
        plan = harmed(worlds)
    assert plan is not None, f"{MOST_WORLDS} worlds did not show it"
    assert play(plan).hazards.found() == {}


def test_a_look_from_before_a_stop_that_serves_on_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def serves(before: Ledger, after: Ledger) -> bool:
        """Judge as if tasks had pods of their own."""
        runs = after.kill.runs if after.kill is not None else ()
        unmarked = tuple(replace(run, stopped_at=None) for run in runs)
        kill = replace(after.kill, runs=unmarked) if after.kill is not None else None
        return serves_on(before, replace(after, kill=kill))

    with monkeypatch.context() as patch:
        patch.setattr(loop, "serves_on", serves)
        plan = harmed(retriggered)
    assert plan is not None, f"{MOST_WORLDS} worlds did not show it"
    assert play(plan).hazards.found() == {}
