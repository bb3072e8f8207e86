"""A kill where tasks run in workers, whose pods live on when a task ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from simulation import SimRun, Simulation
from xcom_rollout.decide.actions import ConfirmReaders, EndAttempts, ReplacePods, RunJob
from xcom_rollout.decide.confirming import fleet_confirmed
from xcom_rollout.decide.decision import Progress
from xcom_rollout.decide.kill.rows import emptied
from xcom_rollout.decide.kill.runs import ATTEMPT_PATIENCE, attempts_ended, stopped
from xcom_rollout.decide.kill.writers import overdue_runs, writers_gone
from xcom_rollout.decide.ledger import Reader, RunKey, RunStage
from xcom_rollout.decide.observed import MOUNT_LAG, Attempt, JobKind, Observed, Pod
from xcom_rollout.decide.rolling import fleet_rolled, no_longer_patient, tasks_cut_off
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.decide.situation import Situation

RUN = RunKey("dag0", "run0")
OTHER = RunKey("dag1", "run1")
SECOND = timedelta(seconds=1)


def at(stage: RunStage) -> Observed:
    """Return a kill's moment in which its run has just come to a stage; no task pod is left."""
    sim = Simulation([])
    sim.run_until("Live")
    sim.runs[RUN] = SimRun(RUN, [(3, 5000), (60, 10)])
    for _ in range(8):
        sim.tick()
    sim.kill()
    while not (sim.ledger.kill and any(run.stage is stage for run in sim.ledger.kill.runs)):
        sim.step()
        sim.tick()
    seen = sim.observe()
    return replace(seen, pods=tuple(pod for pod in seen.pods if pod.run is None))


def worker(seen: Observed, name: str = "worker-0", **changed: object) -> Pod:
    scheduler = next(pod for pod in seen.pods if pod.component == "scheduler")
    what = {"name": name, "uid": name, "component": "worker", **changed}
    return replace(scheduler, **what)  # type: ignore[arg-type]


def attempt(run: RunKey | None, pid: int = 7) -> Attempt:
    return Attempt("worker-0", "worker-0", pid, 1000, "airflow worker -- TI", run)


def moment(
    seen: Observed, attempts: Sequence[Attempt], *, since_stop: timedelta = timedelta(0)
) -> Situation:
    """Return the moment some time after the run was stopped, with tasks in one worker."""
    kill = seen.ledger.kill
    assert kill is not None
    now = kill.engaged_at + timedelta(minutes=30)
    runs = tuple(replace(run, stopped_at=now - since_stop) for run in kill.runs)
    ledger = replace(seen.ledger, kill=replace(kill, runs=runs))
    pods = (*seen.pods, worker(seen))
    return Situation(replace(seen, ledger=ledger, pods=pods, attempts=tuple(attempts)), now)


def test_when_a_run_was_stopped_is_on_record_where_tasks_run_in_workers() -> None:
    seen = at(RunStage.STOPPING)
    kill, view = seen.ledger.kill, seen.airflow
    assert kill is not None
    assert view is not None
    now = kill.engaged_at + timedelta(minutes=30)
    ended = tuple(replace(run, state="failed") for run in view.runs)
    seen = replace(seen, airflow=replace(view, runs=ended))
    for pods, expected in ((seen.pods, None), ((*seen.pods, worker(seen)), now)):
        finding = stopped(Situation(replace(seen, pods=pods), now))
        assert finding.action is not None
        (run,) = finding.action.ledger.kill.runs  # type: ignore[union-attr]
        assert (run.stage, run.stopped_at) == (RunStage.STOPPED, expected)


def test_a_process_of_a_stopped_run_is_waited_for_and_its_rows_are_left_alone() -> None:
    s = moment(at(RunStage.STOPPED), [attempt(RUN)])
    finding = attempts_ended(s)
    assert (finding.reason, finding.action) == ("OldAttemptsEnding", None)
    assert "7 in worker-0 (dag0/run0)" in finding.message
    assert emptied(s).action is None


def test_a_process_that_nobody_ends_is_ended_and_no_other() -> None:
    attempts = [attempt(RUN), attempt(OTHER, 8), attempt(None, 9)]
    s = moment(at(RunStage.STOPPED), attempts, since_stop=ATTEMPT_PATIENCE)
    assert attempts_ended(s).action == EndAttempts((attempts[0],))
    s = moment(at(RunStage.STOPPED), attempts, since_stop=ATTEMPT_PATIENCE - SECOND)
    assert attempts_ended(s).action is None


def test_once_no_process_of_it_is_left_its_rows_are_removed() -> None:
    s = moment(at(RunStage.STOPPED), [attempt(OTHER)])
    assert attempts_ended(s).reason == "OldAttemptsEnded"
    action = emptied(s).action
    assert isinstance(action, RunJob)
    assert (action.kind, action.runs) == (JobKind.EMPTY, (RUN,))


@pytest.mark.parametrize(
    ("since_stop", "reason"), [(60, "OldAttemptsEnding"), (300, "AttemptsUnknown")]
)
def test_a_process_of_no_known_run_may_be_of_a_stopped_one(since_stop: int, reason: str) -> None:
    s = moment(at(RunStage.STOPPED), [attempt(None)], since_stop=timedelta(seconds=since_stop))
    finding = attempts_ended(s)
    assert (finding.reason, finding.action) == (reason, None)
    assert "7 in worker-0 (airflow worker -- TI)" in finding.message
    assert emptied(s).action is None
    if reason == "AttemptsUnknown":
        assert finding.message.endswith("kubectl exec worker-0 -- kill -9 7")


def test_a_worker_that_cannot_be_asked_holds() -> None:
    s = moment(at(RunStage.STOPPED), [])
    s = Situation(replace(s.observed, unseen_tasks="worker-0 cannot be asked"), s.now)
    assert attempts_ended(s).reason == "TasksNotVisible"
    assert emptied(s).action is None


def test_a_worker_that_does_not_answer_for_some_seconds_calls_nobody() -> None:
    s = moment(at(RunStage.STOPPED), [])
    for seconds, progress in ((29, Progress.WAITING), (30, Progress.HELD)):
        since = s.now - seconds * SECOND
        seen = replace(s.observed, unseen_tasks="worker-0 does not answer", unseen_since=since)
        finding = attempts_ended(Situation(seen, s.now))
        assert (finding.reason, finding.progress) == ("TasksNotVisible", progress)
        assert emptied(Situation(seen, s.now)).action is None


def test_a_run_whose_task_in_an_old_worker_outlasts_the_limit_is_overdue() -> None:
    seen, current = at_minus_one()
    kill = seen.ledger.kill
    assert kill is not None
    assert kill.writers_stopped_at is not None
    for loads, limit, expected in (
        (replace(current, threshold="1000"), "60s", (OTHER,)),
        (replace(current, threshold="1000"), None, ()),
        (current, "60s", ()),
    ):
        s = replaced(seen, loads)
        switch = s.spec.kill_switch.model_copy(update={"stop_tasks_after": limit})
        spec = s.spec.model_copy(update={"kill_switch": switch})
        rollout = replace(s.observed.rollout, spec=spec)
        attempts = (attempt(OTHER), attempt(None, 8))
        s = Situation(replace(s.observed, rollout=rollout, attempts=attempts), s.now)
        assert overdue_runs(s) == expected


def rolling(seen: Observed, *, gone_in: int, scheduler: bool = False) -> Situation:
    """Return the moment in which a worker has that many seconds left to end its tasks."""
    now = seen.rollout.created_at + timedelta(days=1)
    until = now + timedelta(seconds=gone_in)
    like = next(load for load in seen.workloads if load.component == "scheduler")
    new = replace(
        like,
        component="worker",
        name="worker",
        rolled=False,
        progress="worker-0 is terminating",
        restless_since=until,
    )
    others = tuple(
        replace(load, rolled=False, progress="scheduler-1 is not ready")
        if scheduler and load is like
        else load
        for load in seen.workloads
    )
    pods = (*seen.pods, worker(seen, terminating=True, gone_by=until))
    return Situation(replace(seen, pods=pods, workloads=(*others, new)), now)


def test_a_worker_that_ends_its_tasks_has_its_own_grace_period() -> None:
    seen = at(RunStage.STOPPED)
    s = rolling(seen, gone_in=200)
    delivered = s.now - timedelta(minutes=7)
    finding = fleet_rolled(s)
    assert finding.reason == "OldTasksRunning"
    assert "worker-0. A task that still runs when" in finding.message
    assert no_longer_patient(s, finding, delivered) == finding
    s = rolling(seen, gone_in=-301)
    finding = fleet_rolled(s)
    assert finding.reason == "PodsBeingReplaced"
    assert no_longer_patient(s, finding, delivered).reason == "PodsNotReplaced"


def test_a_worker_that_ends_its_tasks_hides_no_other_pod_that_does_not_come() -> None:
    s = rolling(at(RunStage.STOPPED), gone_in=200, scheduler=True)
    finding = fleet_rolled(s)
    assert finding.reason == "PodsBeingReplaced"
    held = no_longer_patient(s, finding, s.now - timedelta(minutes=7))
    assert held.reason == "PodsNotReplaced"
    assert "not been replaced for 420 s" in held.message


def test_what_a_delivery_costs_tasks_in_workers_is_told_with_each_grace_period() -> None:
    s = rolling(at(RunStage.STOPPED), gone_in=200)
    (*others, workers) = s.observed.workloads
    seen = replace(s.observed, workloads=(*others, replace(workers, grace_seconds=600)))
    told = tasks_cut_off(Situation(seen, s.now))
    assert "(worker: 600 s); a task that takes longer is killed" in told
    assert tasks_cut_off(Situation(replace(seen, workloads=tuple(others)), s.now)) == ""


DATABASE = BackendSettings()


def replaced(
    seen: Observed,
    loads: BackendSettings | None,
    *,
    after: timedelta = 10 * SECOND,
    error: str = "",
    **changed: Any,
) -> Situation:
    """Return a moment after a delivery, with a worker that was looked into.

    Args:
        loads: what it was seen to load; None: nobody has looked.
        after: the delivery; when the worker was made.
    """
    delivered = seen.ledger.delivered
    assert delivered is not None
    assert delivered.config_changed_at is not None
    made = delivered.config_changed_at + after
    now = made + timedelta(minutes=5)
    pod = worker(seen, created_at=made, started_at=made, **changed)
    readers = seen.ledger.readers
    if loads is not None:
        outdated = error.startswith("changed")
        readers = (*readers, Reader(pod.name, pod.uid, made, loads, now, error, outdated=outdated))
    ledger = replace(seen.ledger, readers=readers)
    return Situation(replace(seen, ledger=ledger, pods=(*seen.pods, pod)), now)


def alone(s: Situation) -> Situation:
    pods = tuple(pod for pod in s.observed.pods if pod.name == "worker-0")
    return Situation(replace(s.observed, pods=pods), s.now)


def no_run_left(seen: Observed) -> Observed:
    kill = seen.ledger.kill
    assert kill is not None
    delivered = seen.ledger.delivered
    assert delivered is not None
    kill = replace(
        kill, writers_gone=False, writers_stopped_at=delivered.config_changed_at, runs=()
    )
    ledger = replace(seen.ledger, kill=kill)
    release = seen.release
    assert release is not None
    loads = [load for load in seen.workloads if load.rolled]
    # Nobody has looked into the triggerer yet, which writes too.
    pods = tuple(pod for pod in seen.pods if pod.component != "triggerer")
    return replace(seen, ledger=ledger, workloads=tuple(loads), pods=pods)


def at_minus_one() -> tuple[Observed, BackendSettings]:
    seen = no_run_left(at(RunStage.STOPPED))
    assert seen.release is not None
    return seen, seen.release.settings


def test_a_writer_is_gone_when_each_worker_was_looked_into_and_not_before() -> None:
    seen, current = at_minus_one()
    s = replaced(seen, None)
    assert writers_gone(s).action == ConfirmReaders(s.workers)
    assert writers_gone(replaced(seen, current)).reason == "WritersGone"


@pytest.mark.parametrize("error", ["", "changed beneath"])
def test_a_worker_that_began_with_what_was_there_before_is_replaced_once_more(error: str) -> None:
    seen, current = at_minus_one()
    loads = replace(current, threshold="1000") if not error else current
    s = replaced(seen, loads, error=error)
    finding = writers_gone(s)
    assert finding.reason == "ReplacingPods"
    assert isinstance(finding.action, ReplacePods)
    assert [pod.name for pod in finding.action.pods] == ["worker-0"]
    late = writers_gone(replaced(seen, loads, error=error, after=MOUNT_LAG + SECOND))
    assert (late.reason, late.action) == ("PodNotConfirmed", None)


def test_a_worker_that_cannot_be_looked_into_is_not_replaced() -> None:
    seen, current = at_minus_one()
    finding = writers_gone(replaced(seen, current, error="pods/exec is forbidden"))
    assert (finding.reason, finding.action) == ("PodNotConfirmed", None)


@pytest.mark.parametrize("component", ["triggerer", "scheduler", "webserver"])
def test_any_other_pod_is_replaced_like_a_worker(component: str) -> None:
    seen, current = at_minus_one()
    early = alone(replaced(seen, DATABASE, component=component))
    assert fleet_confirmed(early, current).reason == "ReplacingPods"
    late = alone(replaced(seen, DATABASE, after=MOUNT_LAG + SECOND, component=component))
    assert fleet_confirmed(late, current).reason == "PodNotConfirmed"


def test_a_triggerer_writes_too_so_a_kill_looks_into_it() -> None:
    seen, _ = at_minus_one()
    s = replaced(seen, None, component="triggerer")
    (pod,) = (pod for pod in s.long_lived if pod.name == "worker-0")
    assert writers_gone(s).action == ConfirmReaders((pod,))


def test_a_worker_that_ends_before_anybody_could_look_is_waited_for() -> None:
    seen, current = at_minus_one()
    s = replaced(seen, current, error="no such container", terminating=True)
    until = s.now + 20 * SECOND
    pods = tuple(replace(p, gone_by=until) if p.name == "worker-0" else p for p in s.observed.pods)
    s = alone(Situation(replace(s.observed, pods=pods), s.now))
    finding = fleet_confirmed(s, current)
    assert (finding.reason, finding.action) == ("OldTasksRunning", None)


@pytest.mark.parametrize(
    ("threshold", "reason"), [("-1", "PodsReplaced"), ("1000", "OldTasksRunning")]
)
def test_a_worker_that_is_scaled_down_matters_only_with_an_earlier_configuration(
    threshold: str, reason: str
) -> None:
    seen, current = at_minus_one()
    s = replaced(seen, replace(current, threshold=threshold), terminating=True)
    until = s.now + 200 * SECOND
    pods = tuple(replace(p, gone_by=until) if p.name == "worker-0" else p for p in s.observed.pods)
    like = next(load for load in seen.workloads if load.component == "scheduler")
    load = replace(
        like,
        component="worker",
        name="worker",
        rolled=False,
        only_ends=True,
        progress="worker-0 is terminating",
    )
    seen = replace(s.observed, pods=pods, workloads=(*s.observed.workloads, load))
    finding = fleet_rolled(Situation(seen, s.now))
    assert finding.reason == reason


def test_no_writer_is_taken_for_gone_while_another_pod_may_begin_with_the_earlier_one() -> None:
    seen, current = at_minus_one()
    s = replaced(seen, current)
    kill = s.ledger.kill
    assert kill is not None
    for ago, reason in (
        (MOUNT_LAG - SECOND, "ConfigurationSettling"),
        (MOUNT_LAG, "WritersGone"),
    ):
        stopped_at = replace(kill, writers_stopped_at=s.now - ago)
        ledger = replace(s.ledger, kill=stopped_at)
        now = Situation(replace(s.observed, ledger=ledger), s.now)
        assert writers_gone(now).reason == reason
