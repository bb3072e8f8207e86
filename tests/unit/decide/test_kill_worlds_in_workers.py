"""The same for tasks in workers, whose processes outlive their rows, their runs and each other.

These worlds are drawn by `simulation.plan.draw_with_workers`, apart from those in which each task
has a pod: a seed is another world here.
"""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation import Plan, RunPlan, SimTask, Weather, play
from simulation.plan import BIG, draw_with_workers
from simulation.worlds import first_world, harm_done, how_many, looked_for
from xcom_rollout.decide.kill import writers
from xcom_rollout.decide.table import done

WORLDS = max(1000, how_many(1000) // 10)
SHARES = 2
"""Parts of the whole that run as tests of their own."""


def run(*tasks: SimTask, dag: str = "dag0", **changes: Any) -> RunPlan:
    return RunPlan(dag, tasks, **changes)


def holding(seconds: int, **changes: Any) -> RunPlan:
    """Return a run that holds an offloaded value, and is in a task for so many seconds."""
    return run(SimTask(3, BIG), SimTask(seconds, **changes), SimTask(3))


CORPUS = {
    "Airflow 2: a process that ends 10 s after its run was stopped": Plan(
        (holding(90),), Weather(workers=2), kill_at=20
    ),
    "Airflow 3: a process that ends 9 s after its run was stopped": Plan(
        (holding(90),), Weather(workers=2), kill_at=20, major=3
    ),
    "Airflow 2: one that ignores SIGTERM ends the row of the re-run": Plan(
        (holding(90, deaf=True),), Weather(workers=2), kill_at=20
    ),
    "Airflow 3: one that lost its supervisor, with a retry beside it": Plan(
        (holding(300, retries=1),),
        Weather(workers=2),
        kill_at=20,
        major=3,
        people=((15, "supervisors-lost", "0"), (15, "supervisors-lost", "1")),
    ),
    "Airflow 2: one that lost its supervisor": Plan(
        (holding(300),),
        Weather(workers=1),
        kill_at=20,
        people=((19, "supervisors-lost", "0"),),
    ),
    "a worker ends its tasks first, and so does the one before it": Plan(
        (holding(200), run(SimTask(150, BIG), SimTask(20), SimTask(30), dag="dag1")),
        Weather(workers=1, slots=2, stateful=True),
        kill_at=20,
    ),
    "a worker that came after the delivery of -1 has mounted what was there before": Plan(
        (run(SimTask(60), SimTask(30, BIG), *[SimTask(30)] * 20),),
        Weather(workers=1, stale_mounts=100, worker_grace=60),
        kill_at=10,
    ),
    "the same, and the file in it was changed later": Plan(
        (run(SimTask(60), SimTask(30, BIG), *[SimTask(30)] * 20),),
        Weather(workers=1, stale_mounts=100, in_place=True, worker_grace=60),
        kill_at=10,
        major=3,
    ),
    "a worker of the revert's roll has mounted what was there before -1": Plan(
        (
            run(SimTask(3, BIG), SimTask(30), dag="dag2", begins=45),
            run(SimTask(30), begins=15),
        ),
        Weather(seed=5, workers=1, roll=1, stale_mounts=50),
        kill_at=11,
    ),
    "an immediate kill of a task that goes on in a worker": Plan(
        (holding(300),), Weather(workers=2), kill_at=38, strategy="Immediate", major=3
    ),
    "workers cannot be looked into for ten minutes": Plan(
        (holding(300),),
        Weather(workers=2, orphaned=100),
        kill_at=20,
        people=((10, "refuse-exec", ""), (610, "allow-exec", "")),
    ),
    "a run is stopped after another, and the look for that one would serve both": Plan(
        (
            run(SimTask(3, BIG), SimTask(300, deaf=True)),
            run(SimTask(3, BIG), *[SimTask(3)] * 30, dag="dag1"),
        ),
        Weather(seed=49, workers=1, standby=True, queue=(0, 5), look_pace=2, latency=2, job=(1, 1)),
        kill_at=10,
        people=((0, "refuse", "dag1/run1"), (34, "allow", "dag1/run1")),
    ),
    "a worker is killed when no writer is left, and values are copied back by a Job": Plan(
        (
            run(SimTask()),
            run(SimTask(20, BIG), SimTask(3, retries=1, retry_delay=60)),
        ),
        Weather(workers=1, worker_starts=10),
        kill_at=14,
        strategy="Rehydrate",
        people=((34, "hide", "dag0/run1"), (60, "worker-killed", "0")),
    ),
    "a task in a new worker, while another component is still being replaced": Plan(
        (run(SimTask(60), SimTask(20), dag="dag2"),),
        Weather(workers=1, fleet_grace=90),
        kill_at=32,
        stop_after=30,
    ),
    "a worker on a lost node goes on unseen": Plan(
        (holding(300),),
        Weather(workers=2),
        kill_at=20,
        people=(
            (15, "node-lost", "node-a"),
            (16, "node-lost", "node-b"),
            (400, "node-dropped", "node-a"),
            (401, "node-dropped", "node-b"),
        ),
    ),
}
"""Worlds that did harm to some version of the table, as small as they could be made."""


@pytest.mark.parametrize("name", CORPUS)
def test_a_world_that_once_made_a_kill_do_harm_does_not(name: str) -> None:
    assert play(CORPUS[name]).hazards.found() == {}


@pytest.mark.parametrize("major", [2, 3])
def test_a_task_in_an_old_worker_that_outlasts_the_limit_is_stopped_with_its_run(
    major: int,
) -> None:
    plan = Plan(
        (run(SimTask(1500), SimTask(3)),), Weather(workers=1, worker_grace=2000), kill_at=10
    )
    slow = play(replace(plan, major=major))
    quick = play(replace(plan, major=major, stop_after=30))
    assert (slow.hazards.found(), quick.hazards.found()) == ({}, {})
    (left,) = slow.runs.values()
    (healed,) = quick.runs.values()
    assert (len(left.rounds), len(healed.rounds)) == (0, 1)


@pytest.mark.parametrize("name", [name for name in CORPUS if CORPUS[name].weather.stale_mounts])
def test_without_its_guard_a_world_of_stale_mounts_does_harm(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = "configuration_settled" if "revert's roll" in name else "writers_confirmed"
    with monkeypatch.context() as patch:
        patch.setattr(writers, guard, lambda *_: done("NotLooked", "nobody looked"))
        assert play(CORPUS[name]).hazards.exposed


@pytest.mark.timeout(0 if WORLDS > 1000 else 300)
@pytest.mark.parametrize("share", range(SHARES))
def test_no_world_makes_a_kill_do_harm(share: int) -> None:
    size = WORLDS // SHARES
    harm = harm_done(first_world() + share * size, size, draw_with_workers)
    assert not harm, "\n".join(harm)


@looked_for(WORLDS, 1000, 30)
@given(random=st.randoms(use_true_random=False))
def test_no_world_that_hypothesis_looks_for_does(random: Random) -> None:
    plan = draw_with_workers(random)
    assert play(plan).hazards.found() == {}, repr(plan)
