"""The simulator finds faults: each line of the kill's table that is spoilt shows as a hazard."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from simulation import Plan, RunPlan, SimTask, play
from simulation.mutants import Check, Spoil, seeing, spoilt
from simulation.plan import BIG, DAGS, OTHER_BASE, drawn
from xcom_rollout.decide import core
from xcom_rollout.decide.actions import WriteLedger
from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.ledger import RunStage, Strategy
from xcom_rollout.decide.situation import Situation
from xcom_rollout.decide.table import act, done

MOST_WORLDS = 120
"""Worlds within which each fault is found: a few seconds."""


def skipped(_: Check) -> Check:
    """Return a check that always finds its step done."""
    return lambda _: done("Skipped", "a mutant looks away")


def no_task_pods(s: Situation) -> Situation:
    pods = tuple(pod for pod in s.observed.pods if pod.run is None)
    return Situation(replace(s.observed, pods=pods), s.now)


def only_task_pods(s: Situation) -> Situation:
    loads = tuple(replace(load, rolled=True) for load in s.observed.workloads)
    pods = tuple(pod for pod in s.observed.pods if pod.run is not None)
    return Situation(replace(s.observed, workloads=loads, pods=pods), s.now)


def never_late(s: Situation) -> Situation:
    return Situation(replace(s.observed, mount_lag=timedelta(0)), s.now)


def one_base(s: Situation) -> Situation:
    """The spec's path is all that is known."""
    path = s.spec.backend.object_storage.path
    release = s.observed.release
    if release is not None and release.settings.reads_offloaded:
        release = replace(release, settings=replace(release.settings, path=path))
    ledger = replace(s.ledger, bases=(path,))
    return Situation(replace(s.observed, ledger=ledger, release=release), s.now)


def counted(s: Situation) -> Situation:
    kill = s.ledger.kill
    assert kill is not None
    seen = replace(kill, counted=("found", "frozen"))
    return Situation(replace(s.observed, ledger=replace(s.ledger, kill=seen)), s.now)


def not_emptied(_: Check) -> Check:
    """A stopped run without pods is cleared as it is."""

    def check(s: Situation) -> Finding:
        kill = s.ledger.kill
        assert kill is not None
        marks = tuple(
            replace(run, stage=RunStage.EMPTIED)
            for run in kill.runs
            if run.stage is RunStage.STOPPED and not s.task_pods_of(run.key)
        )
        if not marks:
            return done("Skipped", "a mutant looks away")
        ledger = replace(s.ledger, kill=kill.with_runs(marks))
        return act("Skipped", "a mutant removes nothing", WriteLedger(ledger, "nothing"))

    return check


@dataclass(frozen=True)
class Mutant:
    """How the table is spoilt, and what comes of it."""

    spoils: tuple[tuple[str, Spoil], ...]
    hazards: tuple[str, ...]
    worlds: Callable[[Plan], Plan] = lambda plan: plan
    """In which worlds it is looked for."""


def retriggered(plan: Plan) -> Plan:
    """Return the plan of a kill that stops runs, with no weaker promise."""
    return replace(plan, strategy="Retrigger", finished_runs="Rehydrate")


def with_people(*people: tuple[int, str, str]) -> Callable[[Plan], Plan]:
    return lambda plan: replace(retriggered(plan), people=people)


def with_tasks(plan: Plan, **changes: Any) -> Plan:
    """Return the plan with every task changed in this way."""
    runs = tuple(
        replace(run, tasks=tuple(replace(task, **changes) for task in run.tasks))
        for run in plan.runs
    )
    return replace(retriggered(plan), runs=runs)


def deaf(plan: Plan) -> Plan:
    """Return a world whose tasks are long and do not notice that they are ended."""
    slow = with_tasks(plan, kind="normal", seconds=20, size=BIG, deaf=True, retries=0)
    return replace(slow, weather=replace(slow.weather, heartbeat=0))


def skipping(plan: Plan) -> Plan:
    """Return a world whose re-runs skip what their first try ran, and read what that left."""
    plan = replace(with_tasks(plan, kind="normal"), finished_runs="Accept")
    runs = tuple(
        replace(run, tasks=(SimTask(3, BIG, only="first"), *run.tasks, SimTask(30)))
        for run in plan.runs
    )
    return replace(plan, runs=runs)


def late(plan: Plan) -> Plan:
    """Return a world whose kubelets are late with every pod, also with those after the kill."""
    weather = replace(plan.weather, stale_mounts=100)
    after = tuple(
        RunPlan("dag1", (SimTask(20, BIG), SimTask(20)), begins=plan.kill_at + seconds)
        for seconds in (5, 10, 15)
    )
    return replace(retriggered(plan), runs=(*plan.runs, *after), weather=weather)


def pulling(plan: Plan) -> Plan:
    """Return a world in which every task reads what an old run of its DAG left."""
    old = RunPlan("dag0", (SimTask(1, BIG),), finished=True)
    runs = tuple(
        replace(run, tasks=tuple(replace(task, across="dag0") for task in run.tasks))
        for run in plan.runs
    )
    return replace(retriggered(plan), runs=(*runs, old))


def unfound(plan: Plan) -> Plan:
    """Return a world without the files of its DAGs."""
    gone = tuple((plan.kill_at - 1, "dag-gone", dag) for dag in DAGS)
    return replace(retriggered(plan), people=gone)


def refused(plan: Plan) -> Plan:
    people = tuple((0, "refuse", f"{run.dag}/run{n}") for n, run in enumerate(plan.runs))
    return replace(retriggered(plan), people=people, dry_run=False)


def unread(plan: Plan) -> Plan:
    """Return a world whose runs cannot be read from the kill on."""
    people = tuple((plan.kill_at, "hide", f"{run.dag}/run{n}") for n, run in enumerate(plan.runs))
    return replace(retriggered(plan), people=people)


def refusals_forgotten(s: Situation) -> Situation:
    view = s.observed.airflow
    seen = replace(view, unread={}, unread_dags={}) if view is not None else None
    return Situation(replace(s.observed, airflow=seen), s.now)


def copied(s: Situation) -> Situation:
    return Situation(replace(s.observed, stale_copies=()), s.now)


def copied_late(plan: Plan) -> Plan:
    """Return a world whose tasks have a copy of the configuration that follows slowly."""
    return replace(retriggered(plan), weather=replace(plan.weather, copied_after=200))


MUTANTS = {
    "the database backend is delivered before the runs are healed": Mutant(
        (("all-safe", skipped),), ("path_reads", "exposed"), retriggered
    ),
    "no census is taken when the writers are gone": Mutant(
        (("census-frozen", skipped), ("all-safe", seeing(counted))),
        ("path_reads", "exposed"),
        retriggered,
    ),
    "a run is cleared while its old pods live": Mutant(
        (("attempts-ended", seeing(no_task_pods)), ("runs-emptied", seeing(no_task_pods))),
        ("spoilt_rows",),
        deaf,
    ),
    "rows with paths are left at the clear": Mutant(
        # Otherwise the copy of all values before the revert covers for it.
        (("runs-emptied", not_emptied),),
        ("path_reads", "exposed"),
        skipping,
    ),
    "old task pods are not waited for": Mutant(
        (("writers-gone", seeing(no_task_pods)),), ("path_reads", "exposed"), retriggered
    ),
    "old long-lived pods are not waited for": Mutant(
        (("writers-gone", seeing(only_task_pods)),),
        ("path_reads", "exposed"),
        lambda plan: replace(
            retriggered(plan), weather=replace(plan.weather, fleet_grace=90, roll=20)
        ),
    ),
    "a kubelet is taken to know of a delivery at once": Mutant(
        (("writers-gone", seeing(never_late)),),
        ("path_reads", "exposed"),
        late,
    ),
    "only the base path of the spec is asked for": Mutant(
        tuple(
            (name, seeing(one_base))
            for name in ("census-found", "census-frozen", "runs-emptied", "finished-values")
        ),
        ("path_reads", "exposed"),
        with_people((1, "delete", ""), (2, "create", OTHER_BASE)),
    ),
    "offloaded values of finished runs are forgotten": Mutant(
        (("finished-values", skipped),), ("path_reads",), pulling
    ),
    "the resource is let go in the middle": Mutant(
        (("resource-kept", skipped),), ("lost_runs",), with_people((64, "delete", ""))
    ),
    "a run that is stuck is not reported": Mutant(
        (("none-stuck", skipped),), ("endless",), unfound
    ),
    "a run that cannot be read is taken for one that is gone": Mutant(
        (("runs-chosen", seeing(refusals_forgotten)),), ("blind_deeds",), unread
    ),
    "a run that cannot be read is not reported": Mutant(
        (("runs-read", skipped),), ("endless",), unread
    ),
    "copies of the configuration are not waited for": Mutant(
        (("writers-stopped", seeing(copied)), ("writers-gone", seeing(copied))),
        ("path_reads", "exposed"),
        copied_late,
    ),
    "a run is stopped that cannot be cleared": Mutant((), ("stopped_without_need",), refused),
}


@cache
def first_found(name: str) -> tuple[int, dict[str, list[str]]] | None:
    """Return in which world, counted from 1, the first hazard shows, and all that shows there."""
    mutant = MUTANTS[name]
    for number, plan in enumerate(drawn(0, MOST_WORLDS), 1):
        found = play(mutant.worlds(plan)).hazards.found()
        if found.keys() & set(mutant.hazards):
            return number, found
    return None


@pytest.mark.parametrize("name", MUTANTS)
def test_a_fault_in_the_table_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = MUTANTS[name]
    monkeypatch.setattr(core, "KILL_TABLE", spoilt(dict(mutant.spoils)))
    found = first_found(name)
    assert found is not None, f"{MOST_WORLDS} worlds did not show it"
    print(f"{name}: world {found[0]}: {found[1]}")


@pytest.mark.parametrize("name", MUTANTS)
def test_the_table_as_it_is_shows_no_hazard_in_the_world_that_shows_a_fault(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant = MUTANTS[name]
    with monkeypatch.context() as patch:
        patch.setattr(core, "KILL_TABLE", spoilt(dict(mutant.spoils)))
        found = first_found(name)
    assert found is not None
    plan = replace(mutant.worlds(list(drawn(0, found[0]))[-1]), dry_run=True)
    assert play(plan).hazards.found() == {}
    assert Strategy(plan.strategy) is Strategy.RETRIGGER
