"""What the kill-switch guarantees, whatever the world does meanwhile."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation import Plan, RunPlan, SimRun, SimTask, Simulation, Weather, spec
from simulation.airflow import INLINE
from simulation.people import KILL
from simulation.plan import BIG, world
from xcom_rollout.decide.actions import SetValues
from xcom_rollout.decide.decision import Progress
from xcom_rollout.decide.ledger import RunKey, RunStage
from xcom_rollout.decide.observed import Maker
from xcom_rollout.decide.settings import BackendSettings

TASK = st.tuples(st.integers(1, 15), st.sampled_from([10, 5000]))
RUN = st.lists(TASK, min_size=1, max_size=4)


def simulation(plans: list[list[tuple[int, int]]], *, dags: int = 3) -> Simulation:
    runs = [SimRun(RunKey(f"dag{i % dags}", f"run{i}"), plan) for i, plan in enumerate(plans)]
    return Simulation(runs)


def live(plans: list[list[tuple[int, int]]], *, dags: int = 3) -> Simulation:
    """Return a world that offloads, with the runs just starting."""
    sim = Simulation([])
    sim.run_until("Live")
    for i, plan in enumerate(plans):
        run = SimRun(RunKey(f"dag{i % dags}", f"run{i}"), plan)
        sim.runs[run.key] = run
    return sim


def assert_never_harmed(sim: Simulation) -> None:
    assert sim.path_reads == []
    assert sim.spoilt_rows == []
    assert sim.blind_offloads == []


@settings(max_examples=150, deadline=None)
@given(
    plans=st.lists(RUN, min_size=1, max_size=5),
    dags=st.integers(1, 3),
    before=st.integers(0, 25),
    job_seconds=st.integers(1, 8),
    roll_seconds=st.integers(1, 20),
    stops=st.lists(st.one_of(st.none(), st.just(0), st.integers(1, 2)), min_size=0, max_size=80),
)
def test_a_kill_leaves_no_run_with_offloaded_values_and_harms_none(
    plans: list[list[tuple[int, int]]],
    dags: int,
    before: int,
    job_seconds: int,
    roll_seconds: int,
    stops: list[int | None],
) -> None:
    sim = live(plans, dags=dags)
    sim.job_seconds, sim.roll_seconds = job_seconds, roll_seconds
    for _ in range(before):
        sim.tick()
    revision = sim.revision
    sim.kill()
    for stop in stops:  # the operator is stopped before an action (0) or within a batch (n)
        if stop is None:
            sim.step()
            sim.tick()
        else:
            sim.step(stop_before=stop == 0, most_of_batch=stop or None)
    sim.run_until("Reverted")

    assert_never_harmed(sim)
    assert sim.revision == revision + 2, "the writers are stopped, then the backend is changed"
    assert sim.settings.is_database
    assert sim.paused == set(), "no DAG is left paused"
    assert all(run.clears <= 1 for run in sim.runs.values()), "no run is cleared twice"
    for run in sim.runs.values():
        if run.clears:
            assert run.state == "success"
            assert not run.holds(), "a re-run holds inline values only"
    assert sim.ledger.census is not None
    assert sim.ledger.census.runs == (), "no run is left that holds offloaded values"
    kill = sim.ledger.kill
    assert kill is not None
    cleared = {run.key for run in sim.runs.values() if run.clears}
    recovered = {run.key for run in kill.runs if run.stage is RunStage.RECOVERED}
    healed = {run.key for run in kill.runs if run.stage is RunStage.HEALED}
    assert recovered == cleared
    assert {run.key for run in kill.runs} == recovered | healed


@pytest.mark.parametrize("seen_for", range(0, 30, 3))
def test_nothing_is_concluded_while_task_pods_cannot_be_seen(seen_for: int) -> None:
    sim = live([[(3, 5000), (30, 5000), (3, 10)]])
    for _ in range(5):
        sim.tick()
    sim.kill()
    sim.go(seen_for)
    sim.shut = True
    sim.go(200)
    assert_never_harmed(sim)
    if not sim.settings.is_database:
        assert sim.peek().current.finding.reason == "TasksNotVisible"
    sim.shut = False
    sim.run_until("Reverted")
    assert_never_harmed(sim)


def test_no_run_is_stopped_that_could_not_be_cleared_for_pods_that_nobody_sees() -> None:
    sim = live([[(3, 5000), (30, 5000), (3, 10)]])
    for _ in range(5):
        sim.tick()
    sim.kill()
    sim.shut = True
    sim.go(20)
    assert all(run.in_flight for run in sim.runs.values())


@settings(max_examples=60, deadline=None)
@given(plans=st.lists(RUN, min_size=1, max_size=4), before=st.integers(0, 20))
def test_once_reverted_nothing_more_is_done(
    plans: list[list[tuple[int, int]]], before: int
) -> None:
    sim = live(plans)
    for _ in range(before):
        sim.tick()
    sim.kill()
    sim.run_until("Reverted")
    done = len(sim.actions)
    for _ in range(50):
        sim.tick()
        sim.step()
    assert sim.actions[done:] == []


def test_a_run_without_offloaded_values_is_not_touched() -> None:
    sim = live([[(3, 5000), (60, 10)], [(3, 10), (60, 10)]], dags=2)
    for _ in range(10):
        sim.tick()
    sim.kill()
    sim.run_until("Reverted")
    assert sim.touched == {RunKey("dag0", "run0")}
    assert sim.runs[RunKey("dag1", "run1")].attempt == 1


def test_a_task_that_returns_late_cannot_spoil_the_rerun() -> None:
    sim = live([[(40, 5000), (60, 10)]])
    for _ in range(5):
        sim.tick()
    sim.kill()
    sim.run_until("Reverted")
    assert_never_harmed(sim)
    run = sim.runs[RunKey("dag0", "run0")]
    assert run.clears == 1
    assert run.rows == {0: INLINE, 1: INLINE}


def test_a_late_task_of_another_dag_does_not_hold_up_the_clear() -> None:
    sim = live([[(2, 5000), (30, 10)], [(200, 10)]], dags=2)
    for _ in range(8):
        sim.tick()
    sim.kill()
    begin = sim.now
    while sim.runs[RunKey("dag0", "run0")].state != "success":
        for _ in range(30):
            if sim.step().action is None:
                break
        sim.tick()
        assert sim.now < begin + timedelta(seconds=120), "the clear waited for the other DAG"
    assert sim.touched == {RunKey("dag0", "run0")}


def test_an_overdue_old_task_is_retriggered_when_the_spec_says_so() -> None:
    sim = live([[(500, 5000)]])
    sim.spec = spec(killSwitch={"engaged": True, "stopTasksAfter": "20s"})
    for _ in range(5):
        sim.tick()
    sim.run_until("Reverted", seconds=900)
    assert_never_harmed(sim)
    assert sim.runs[RunKey("dag0", "run0")].clears == 1


def test_the_end_of_offloading_does_not_wait_for_the_airflow_api() -> None:
    sim = live([[(2, 5000), (30, 10)]])
    for _ in range(8):
        sim.tick()
    sim.api_error = "connection refused"
    sim.kill()
    for _ in range(10):
        sim.step()
    assert not sim.settings.offloads
    sim.api_error = ""
    sim.run_until("Reverted")
    assert sim.runs[RunKey("dag0", "run0")].clears == 1


def told_of_the_api(web_starts: int) -> list[tuple[Progress, str]]:
    """Kill a run where a new web server takes so many seconds; return what was told of the API."""
    run = RunPlan("dag0", (SimTask(2, BIG), SimTask(1800), SimTask(5)))
    sim = world(Plan((run,), Weather(web_starts=web_starts), kill_at=8))
    told = []
    for _ in range(500):
        sim.serve(sim.clock.now + 5)
        assert sim.last is not None
        told += [
            (entry.finding.progress, entry.finding.message)
            for entry in sim.last.findings
            if entry.finding.reason == "AirflowApiUnreachable"
        ]
        if sim.last.current.step == "finished":
            break
    assert sim.runs[RunKey("dag0", "run0")].clears == 1
    return told


def test_a_web_server_that_the_delivery_replaces_is_waited_for_and_nobody_is_called() -> None:
    told = told_of_the_api(60)
    assert {progress for progress, _ in told} == {Progress.WAITING}
    assert all("The pods of the web server are being replaced" in message for _, message in told)


def test_a_web_server_that_does_not_come_back_calls_somebody() -> None:
    told = [progress for progress, _ in told_of_the_api(900)]
    assert (told[0], told.count(Progress.HELD) > 0) == (Progress.WAITING, True)


def test_a_kill_is_legal_while_the_fleet_is_still_rolling_to_readers() -> None:
    sim = Simulation([SimRun(RunKey("dag", "run"), [(5, 5000)])])
    sim.roll_seconds = 30
    while not sim.settings.reads_offloaded:
        sim.step()
        sim.tick()
    sim.kill()
    sim.run_until("Reverted")
    assert_never_harmed(sim)
    assert sim.touched == set()


def test_a_kill_before_anything_was_delivered_changes_nothing() -> None:
    sim = Simulation([SimRun(RunKey("dag", "run"), [(5, 5000)])])
    sim.kill()
    sim.run_until("Reverted")
    assert sim.revision == 1
    assert sim.touched == set()


def test_a_kill_that_is_taken_back_half_way_is_still_carried_to_its_end() -> None:
    sim = live([[(2, 5000), (30, 10)]])
    for _ in range(8):
        sim.tick()
    sim.kill()
    for _ in range(6):
        sim.step()
    del sim.annotations["xcomrollout.dev/kill"]
    sim.spec = sim.spec.model_copy(update={"suspend": True})
    sim.run_until("Suspended")
    assert sim.settings.is_database
    assert sim.runs[RunKey("dag0", "run0")].clears == 1
    assert sim.ledger.past_kills[-1].finished_at is not None


def test_a_dag_that_a_person_had_paused_stays_paused() -> None:
    sim = live([[(2, 5000), (30, 10)]])
    for _ in range(8):
        sim.tick()
    sim.paused = {"dag0"}
    sim.kill()
    for _ in range(200):
        sim.step()
        sim.tick()
    assert sim.paused == {"dag0"}


def test_a_resumed_rollout_flips_again_and_can_be_killed_again() -> None:
    sim = live([[(2, 5000), (30, 10)]])
    for _ in range(8):
        sim.tick()
    sim.kill()
    sim.run_until("Reverted")
    del sim.annotations["xcomrollout.dev/kill"]
    sim.run_until("Live")
    assert sim.settings.offloads
    sim.kill()
    sim.run_until("Reverted")
    assert sim.ledger.kill is not None
    assert sim.ledger.kill.attempt == 2


def test_a_release_that_is_pending_is_held_and_never_forced() -> None:
    sim = live([[(2, 5000), (30, 10)]])
    sim.status = "pending-upgrade"
    sim.kill()
    done = [action for action in sim.actions if isinstance(action, SetValues)]
    decision = sim.go(20)
    assert decision.current.finding.reason == "ReleasePending"
    assert [a for a in sim.actions if isinstance(a, SetValues)] == done


def test_a_rerun_that_fails_while_the_operator_is_away_is_not_cleared_again() -> None:
    sim = live([[(2, 5000), (30, 10)]])
    for _ in range(8):
        sim.tick()
    sim.kill()
    run = sim.runs[RunKey("dag0", "run0")]
    while run.clears == 0:
        for _ in range(30):
            if sim.step().action is None or run.clears:
                break
        if not run.clears:
            sim.tick()
    sim.paused.clear()
    for _ in range(3):  # the operator is away; the re-run starts and fails
        sim.tick()
    run.state = "failed"
    decision = sim.go(60)
    assert run.clears == 1
    assert decision.current.finding.reason == "RunsNotRecovered"
    assert "dag0/run0" in decision.current.finding.message
    sim._clear(run)  # a person repaired the cause and cleared it
    sim.run_until("Reverted")
    assert run.clears == 2


@pytest.mark.parametrize(("maker", "least_seconds"), [(Maker.SELF, 0), (Maker.OPERATOR, 89)])
def test_a_revert_of_its_own_that_was_interrupted_is_made_again(
    maker: Maker, least_seconds: int
) -> None:
    sim = live([[(2, 5000), (300, 10)]])
    for _ in range(8):
        sim.tick()
    sim.kill()
    while (kill := sim.ledger.kill) is None or not kill.reverting:
        if sim.step().action is None:
            sim.tick()
    revision = sim.revision
    sim.interrupt_delivery(BackendSettings(), maker)
    begin = sim.now
    sim.run_until("Reverted", seconds=900)
    assert sim.revision == revision + 1
    assert sim.settings.is_database
    assert_never_harmed(sim)
    kill = sim.ledger.kill
    assert kill is not None
    assert kill.reverted_at is not None
    assert kill.reverted_at - begin >= timedelta(seconds=least_seconds)


@pytest.mark.parametrize("immediate", [False, True])
@pytest.mark.parametrize("seen_for", [-5, 0, 5, 15, 30, 45, 60])
def test_a_kill_goes_on_where_airflow_cfg_cannot_be_told(seen_for: int, immediate: bool) -> None:
    sim = live([[(3, 5000), (30, 5000), (3, 10)]])
    sim.unclear = "two hold another airflow.cfg"
    if seen_for < 0:
        sim._set_values(sim.settings)
    sim.kill()
    if immediate:
        sim.annotations[KILL] = '{"by": "ana", "reason": "test", "strategy": "Immediate"}'
    sim.go(max(0, seen_for))
    kill = sim.ledger.kill
    if kill is None or kill.finished_at is None:
        sim._set_values(sim.settings)
        revision = sim.revision
        sim.run_until("Reverted")
        assert sim.revision > revision, "nothing is concluded from what the values alone say"
    assert sim.settings.is_database
    if not immediate:
        assert_never_harmed(sim)


def test_what_cannot_be_told_is_delivered_as_the_way_back() -> None:
    sim = live([])
    sim._set_values(replace(sim.settings, threshold="-1"))
    sim.unclear = "two hold another airflow.cfg"
    sim.kill()
    made = len(sim.actions)
    sim.go(3)
    first = next(action for action in sim.actions[made:] if isinstance(action, SetValues))
    assert first.way_back
    assert (first.settings.threshold, first.from_revision) == ("-1", sim.revision - 1)
