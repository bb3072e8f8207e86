"""No timing of an unkind world makes a kill do harm, or lets it wait without saying for what.

Each world is drawn from a seed (`simulation.plan.draw`), so that a failure is seen again with its
number; it is shrunk before it is shown. `XCOM_ROLLOUT_WORLDS` says how many there are
(`make test-long`: 100,000, and a tenth of that of each other kind), `XCOM_ROLLOUT_FIRST_WORLD` with
which seed they begin.
"""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation import Plan, RunPlan, SimTask, Weather, play
from simulation.plan import BIG, OTHER_BASE, draw, draw_in_flip, draw_with_copies
from simulation.worlds import first_world, harm_done, how_many, looked_for
from xcom_rollout.decide.ledger import RunKey

WORLDS = how_many(3000)
SHARES = 4
"""Parts of the whole that run as tests of their own."""


def run(*tasks: SimTask, dag: str = "dag0", **changes: Any) -> RunPlan:
    return RunPlan(dag, tasks, **changes)


CORPUS = {
    "a task after the delivery of -1 mounts what was there before, and offloads": Plan(
        (
            *(run(SimTask(3)), run(SimTask(3))),
            run(SimTask(8, BIG, "resumed"), SimTask(3, retries=1, retry_delay=5), begins=60),
        ),
        Weather(seed=0, stale_mounts=50, standby=True, latency=1),
        kill_at=59,
    ),
    "a task after the first delivery mounts what was there before, and reads": Plan(
        (run(SimTask(3, BIG), SimTask(3), dag="dag1"),),
        Weather(seed=1291, stale_mounts=50),
        kill_at=46,
    ),
    "a copy brings later what somebody offloaded by for four seconds": Plan(
        (
            run(SimTask(3, BIG), SimTask(1500, kind="reschedule"), dag="dag2"),
            run(SimTask(1), SimTask(8), SimTask(3, kind="reschedule"), begins=90),
            run(SimTask(8, BIG), SimTask(60, BIG, "resumed"), SimTask(3), begins=15),
        ),
        Weather(seed=4639, init=(0, 1), helm=(1, 8), copied_after=60),
        kill_at=24,
        people=((99, "reflip", ""),),
    ),
    "a kill after a cut-over that was cut off once it had changed the configuration": Plan(
        (run(SimTask(3, BIG), SimTask(1500), dag="dag1", begins=90),),
        Weather(seed=0, helm=(0, 0), helm_dies=(2,), helm_dies_late=True),
        kill_at=83,
        flip=True,
    ),
    "an immediate kill delivers": Plan((run(SimTask()),), kill_at=7, strategy="Immediate"),
    "an overdue backfill of Airflow 2": Plan(
        (run(SimTask(300), SimTask(3), run_type="backfill"),), kill_at=5, stop_after=120
    ),
    "an overdue child of a waiting parent": Plan(
        (
            run(SimTask(300), SimTask(kind="teardown")),
            run(SimTask(kind="parent", waits_for=RunKey("dag0", "run0")), dag="parent"),
        ),
        stop_after=120,
    ),
    "a stop that waits for a teardown (N1)": Plan(
        (run(SimTask(60, BIG), SimTask(20, kind="teardown")),), kill_at=52
    ),
    "a node lost after the revert (W16)": Plan(
        (run(SimTask(300)),), kill_at=48, people=((75, "node-lost", "node-b"),)
    ),
    "a backfill that a person cleared (N7)": Plan(
        (run(SimTask(3, BIG, "deferred"), begins=5, run_type="backfill"),),
        strategy="Drain",
        kill_at=50,
        people=((58, "clear", "dag0/run0"),),
    ),
    "an immediate kill of a backfill (N7)": Plan(
        (run(SimTask(1, BIG), SimTask(60), begins=5, run_type="backfill"),),
        strategy="Immediate",
        kill_at=19,
    ),
    "an immediate kill while the API is away at its end": Plan(
        (run(SimTask(), begins=60),),
        strategy="Immediate",
        kill_at=28,
        people=((34, "api-down", ""), (900, "api-up", "")),
    ),
    "an immediate kill of a child (N4)": Plan(
        (
            run(SimTask(3, BIG), SimTask(60)),
            run(SimTask(kind="parent", waits_for=RunKey("dag0", "run0")), dag="parent"),
        ),
        strategy="Immediate",
        kill_at=42,
    ),
    "an immediate kill whose clear no look had shown when an older census came": Plan(
        (run(SimTask(3, BIG), SimTask(3), SimTask(300, kind="deferred")),),
        weather=Weather(
            seed=3012,
            queue=(0, 5),
            init=(0, 5),
            helm=(1, 20),
            helm_dies=(1,),
            roll=4,
            web_starts=90,
            job=(1, 30),
            jobs_lost=(1, 7),
            rest_faults=30,
            latency=1,
            slow=3,
        ),
        strategy="Immediate",
        kill_at=27,
        people=((180, "break", "dag0/run0"), (185, "show", "dag0/run0")),
    ),
    "an immediate kill that is made another, after somebody else's base path": Plan(
        (
            run(SimTask(3, BIG), SimTask(60), SimTask(5)),
            run(SimTask(8), SimTask(200), SimTask(20, across="dag0"), dag="dag1"),
        ),
        strategy="Immediate",
        kill_at=50,
        people=(
            (36, "hide", "dag0/run0"),
            (37, "other-path-read", OTHER_BASE),
            (60, "kill", "Retrigger"),
        ),
    ),
    "an immediate kill that is made another": Plan(
        (run(SimTask(100, BIG), SimTask(100), SimTask(5)),),
        strategy="Immediate",
        kill_at=20,
        people=((107, "kill", "Retrigger"),),
    ),
    "an immediate kill that is made another while a run stops": Plan(
        (run(SimTask(20, BIG), SimTask(1500), SimTask(1, kind="teardown"), begins=5),),
        strategy="Immediate",
        kill_at=9,
        people=((102, "kill", "Drain"),),
    ),
    "a re-run that holds a path again and fails (W17)": Plan(
        (run(SimTask(3, BIG, "deferred"), SimTask(60, fails=True)),),
        weather=Weather(roll=20),
        kill_at=24,
    ),
    "a re-run whose DAG file goes away (N1)": Plan(
        (run(SimTask(60, BIG), SimTask(300)),), kill_at=23, people=((184, "dag-gone", "dag0"),)
    ),
    "an immediate kill of what an old task waits for": Plan(
        (
            run(SimTask(20), SimTask()),
            run(SimTask(kind="parent", waits_for=RunKey("dag0", "run0")), dag="parent"),
        ),
        strategy="Immediate",
        kill_at=7,
    ),
    "an immediate kill on a lost node (W16)": Plan(
        (run(SimTask(300), begins=30),),
        strategy="Immediate",
        kill_at=37,
        people=((112, "node-lost", "node-a"),),
    ),
    "a frozen census that looked before the stop, and a clear that got no answer": Plan(
        (run(SimTask(3, BIG), SimTask(60)),),
        weather=Weather(seed=940, job=(1, 30), rest_faults=30),
        kill_at=20,
    ),
    "finished runs are held, and a person clears one before they are counted": Plan(
        (
            run(SimTask(3, BIG), SimTask(1500, BIG, deaf=True), begins=45),
            run(SimTask(20, BIG), dag="dag1", begins=45, run_type="scheduled"),
            run(SimTask(3, BIG), SimTask(8), SimTask(60, BIG), run_type="backfill"),
        ),
        weather=Weather(helm=(1, 20), helm_dies=(1,), helm_dies_late=False),
        kill_at=35,
        finished_runs="Hold",
        people=((260, "remove", "dag1/run1"), (292, "clear", "dag0/run2")),
    ),
    "Airflow's API stays away after a stop": Plan(
        (run(SimTask(3, BIG), SimTask(300)),),
        weather=Weather(latency=3),
        kill_at=29,
        people=((55, "api-down", ""),),
    ),
    "an immediate kill of a backfill, counted before it was stopped": Plan(
        (run(SimTask(3, BIG), SimTask(3), SimTask(1500, kind="resumed"), run_type="backfill"),),
        weather=Weather(seed=3507, queue=(0, 1), init=(0, 5), roll=1, job=(1, 30)),
        kill_at=55,
        strategy="Immediate",
        stops=((12, "unrecorded"), (15, "within")),
    ),
    "an immediate kill of a first delivery that failed": Plan(
        (run(SimTask(), dag="dag2"), run(SimTask()), run(SimTask(1500, retries=1))),
        weather=Weather(helm_fails=(2,)),
        kill_at=25,
        strategy="Immediate",
        people=((1500, "take-back", ""), (1800, "kill", "")),
    ),
    "an immediate kill of a DAG that may not be read any more, and whose run is removed": Plan(
        (run(SimTask(60, BIG), SimTask(3), run_type="backfill"),),
        weather=Weather(roll=4, job=(1, 120), latency=3),
        kill_at=51,
        strategy="Immediate",
        people=((219, "hide", "dag0"), (235, "remove", "dag0/run0")),
        major=2,
    ),
    "an immediate kill whose DAG is paused again in a second round": Plan(
        (run(SimTask(3), dag="dag2", begins=90),),
        weather=Weather(roll=4),
        kill_at=32,
        strategy="Immediate",
        people=((44, "other-path-read", "s3://aws_default@bucket/other"),),
    ),
    "an immediate kill whose release is flipped again by hand": Plan(
        (run(SimTask(3, BIG), SimTask(3, kind="resumed"), dag="dag2"),),
        weather=Weather(roll=4),
        kill_at=5,
        strategy="Immediate",
        people=((23, "reflip", ""),),
    ),
    "an old task of a run that has ended outlasts its limit": Plan(
        (run(SimTask(300), SimTask(3, fails=True, beside=True)),),
        weather=Weather(standby=True),
        kill_at=2,
        stop_after=30,
    ),
    "an immediate kill of a child that is made a drain": Plan(
        (
            run(SimTask(1, BIG), SimTask(60, BIG), SimTask(20, kind="teardown")),
            run(SimTask(kind="parent", waits_for=RunKey("dag0", "run0")), dag="parent", begins=15),
        ),
        strategy="Immediate",
        kill_at=28,
        people=((181, "kill", "Drain"),),
    ),
}
"""Worlds that did harm to some version of the table, as small as they could be made."""


@pytest.mark.parametrize("name", CORPUS)
def test_a_world_that_once_made_a_kill_do_harm_does_not(name: str) -> None:
    assert play(CORPUS[name]).hazards.found() == {}


@pytest.mark.parametrize("second", range(150, 300, 10))
def test_a_run_that_ended_by_itself_and_is_cleared_just_before_the_revert(second: int) -> None:
    """A person clears it while the values of finished runs are copied: it is in flight again."""
    plan = Plan(
        (run(SimTask(60, BIG), SimTask(3, BIG), SimTask(90)),),
        strategy="Drain",
        weather=Weather(job=(30, 30)),
        kill_at=64,
        people=((second, "clear", "dag0/run0"),),
    )
    assert play(plan).hazards.found() == {}


@pytest.mark.parametrize("strategy", ["Retrigger", "Immediate"])
@pytest.mark.parametrize("second", range(22, 60, 6))
def test_a_run_that_somebody_clears_after_it_was_stopped_is_not_ended_again(
    second: int, strategy: str
) -> None:
    """Its first try does not notice that it is ended, so its pod is waited for meanwhile."""
    plan = Plan(
        (run(SimTask(3, BIG), SimTask(60, deaf=True), SimTask(3)),),
        strategy=strategy,
        kill_at=20,
        people=((second, "clear", "dag0/run0"),),
    )
    sim = play(plan)
    assert sim.hazards.found() == {}
    assert sim.last is not None
    assert sim.last.current.step == "finished", sim.last.current.finding
    assert sim.runs[RunKey("dag0", "run0")].state == "success"


@pytest.mark.timeout(0 if WORLDS > 3000 else 300)
@pytest.mark.parametrize("share", range(SHARES))
def test_no_world_makes_a_kill_do_harm(share: int) -> None:
    size = WORLDS // SHARES
    harm = harm_done(first_world() + share * size, size, draw)
    assert not harm, "\n".join(harm)


@pytest.mark.timeout(0 if WORLDS > 3000 else 300)
def test_none_does_where_the_tasks_have_a_copy_of_the_configuration_elsewhere() -> None:
    harm = harm_done(first_world(), WORLDS // 10, draw_with_copies)
    assert not harm, "\n".join(harm)


@pytest.mark.timeout(0 if WORLDS > 3000 else 300)
def test_none_does_where_the_kill_comes_in_the_middle_of_a_flip() -> None:
    harm = harm_done(first_world(), WORLDS // 10, draw_in_flip)
    assert not harm, "\n".join(harm)


@looked_for(WORLDS, 3000, 60)
@given(random=st.randoms(use_true_random=False))
def test_no_world_that_hypothesis_looks_for_does(random: Random) -> None:
    plan = draw(random)
    assert play(plan).hazards.found() == {}, repr(plan)
