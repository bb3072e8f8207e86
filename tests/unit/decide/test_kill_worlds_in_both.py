"""The same where some tasks run in workers and others, of the same run too, in pods of their own.

These worlds are drawn by `simulation.plan.draw_with_both`: what befalls workers and what befalls
task pods, in one world. A seed is another world here.
"""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation import Plan, RunPlan, SimTask, Weather, play
from simulation.plan import BIG, draw_with_both, world
from simulation.worlds import first_world, harm_done, how_many, looked_for
from xcom_rollout.decide.ledger import RunStage

WORLDS = max(300, how_many(300) // 10)
SHARES = 2
"""Parts of the whole that run as tests of their own."""


def run(*tasks: SimTask, dag: str = "dag0", **changes: Any) -> RunPlan:
    return RunPlan(dag, tasks, **changes)


def holding(seconds: int, **changes: Any) -> RunPlan:
    """Return a run that holds an offloaded value of a worker's, and is in a task for so long."""
    return run(SimTask(3, BIG), SimTask(seconds, **changes), SimTask(3))


CORPUS = {
    "a task in a new worker, while another component is still being replaced": Plan(
        (run(SimTask(60), SimTask(20), dag="dag2"),),
        Weather(workers=1, fleet_grace=90),
        kill_at=32,
        stop_after=30,
    ),
    "a task in a new worker, while an old task pod is waited for": Plan(
        (run(SimTask(1500, in_pod=True)), run(*[SimTask(20)] * 20, dag="dag1")),
        Weather(workers=1),
        kill_at=10,
        stop_after=120,
        strategy="Retrigger",
    ),
}
"""Worlds that did harm to some version of the table, as small as they could be made."""


@pytest.mark.parametrize("name", CORPUS)
def test_a_world_that_once_made_a_kill_do_harm_does_not(name: str) -> None:
    assert play(CORPUS[name]).hazards.found() == {}


def lost_pod_and_lost_supervisor() -> Plan:
    """Return two runs to be stopped: neither's task ends by itself."""
    return Plan(
        (
            run(SimTask(3, BIG), SimTask(3000, in_pod=True)),
            run(SimTask(3, BIG), SimTask(3000), dag="dag1"),
        ),
        Weather(workers=1, worker_grace=3600),
        kill_at=20,
        people=((15, "supervisors-lost", "0"),),
    )


def test_a_task_pod_on_a_lost_node_keeps_no_process_in_a_worker_from_being_ended() -> None:
    sim = world(lost_pod_and_lost_supervisor())
    begin = sim.clock.now
    sim.serve(begin + 15)
    (pod,) = sim.tasks
    (worker,) = sim.workers.all
    assert pod.node != worker.node
    sim.people.will(sim.clock.now + 1, "node-lost", pod.node)

    sim.serve(begin + 900)

    stages = {str(run.key): run.stage for run in sim.ledger.kill.runs} if sim.ledger.kill else {}
    assert sim.hazards.found() == {}
    assert stages == {"dag0/run0": RunStage.STOPPED, "dag1/run1": RunStage.CLEARED}
    assert sim.last is not None
    assert pod.name in sim.last.current.finding.message


def test_a_worker_that_offloads_still_is_replaced_while_an_old_task_pod_is_waited_for() -> None:
    plan = Plan(
        (run(SimTask(1500, in_pod=True)),),
        Weather(workers=1, stale_mounts=100, worker_grace=20),
        kill_at=20,
    )
    sim = world(plan)
    sim.serve(sim.clock.now + 300)
    assert sim.last is not None
    waits = [step.finding for step in sim.last.findings if step.step == "writers-gone"]
    assert [finding.reason for finding in waits] == ["OldTasksRunning"]
    assert len(sim.tasks) == 1
    assert not any(worker.settings.offloads for worker in sim.workers.all)


@pytest.mark.timeout(0 if WORLDS > 300 else 120)
@pytest.mark.parametrize("share", range(SHARES))
def test_no_world_makes_a_kill_do_harm(share: int) -> None:
    size = WORLDS // SHARES
    harm = harm_done(first_world() + share * size, size, draw_with_both)
    assert not harm, "\n".join(harm)


@looked_for(WORLDS, 300, 10)
@given(random=st.randoms(use_true_random=False))
def test_no_world_that_hypothesis_looks_for_does(random: Random) -> None:
    plan = draw_with_both(random)
    assert play(plan).hazards.found() == {}, repr(plan)
