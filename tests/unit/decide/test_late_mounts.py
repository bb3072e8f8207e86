"""A task pod that is made soon after a delivery may have mounted either configuration."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from simulation import Simulation
from xcom_rollout.decide.actions import ConfirmReaders
from xcom_rollout.decide.confirming import LOOK_RETRY, LOOKS, old_tasks_ended
from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.kill.writers import overdue_runs, writers_gone
from xcom_rollout.decide.ledger import Component, Reader, RunKey
from xcom_rollout.decide.observed import MOUNT_LAG, Observed, Pod
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.decide.situation import Situation

RUN = RunKey("etl", "r1")
SECOND = timedelta(seconds=1)


def delivered() -> tuple[Observed, BackendSettings]:
    """Return a kill that has seen threshold -1 delivered, and what the release holds."""
    sim = Simulation([])
    sim.run_until("Live")
    sim.kill()
    while sim.ledger.kill is None or sim.ledger.kill.writers_stopped_at is None:
        sim.step()
        sim.tick()
    seen, last = sim.observe(), sim.ledger.delivered
    assert seen.release is not None
    assert last is not None
    stopped = replace(sim.ledger.kill, writers_stopped_at=last.config_changed_at)
    return replace(
        seen,
        ledger=replace(seen.ledger, kill=stopped),
        workloads=tuple(replace(load, rolled=True) for load in seen.workloads),
        pods=tuple(pod for pod in seen.pods if pod.component == Component.SCHEDULER),
    ), seen.release.settings


def moment(
    made: timedelta,
    *,
    loads: BackendSettings | None = None,
    error: str = "",
    ago: timedelta = timedelta(0),
    later: timedelta = MOUNT_LAG,
    pods: int = 1,
    **changed: Any,
) -> Situation:
    """Return a moment with task pods.

    Args:
        made: after the delivery.
        loads: what each was seen to load; None: nobody has looked.
        error: why it could not be looked into.
        ago: the look.
        later: the moment, after the delivery.
    """
    seen, current = delivered()
    last = seen.ledger.delivered
    assert last is not None
    assert last.config_changed_at is not None
    now, born = last.config_changed_at + later, last.config_changed_at + made
    tasks = tuple(
        replace(Pod(f"task-{n}", f"uid-{n}", "worker", born, born, True, False, run=RUN), **changed)
        for n in range(pods)
    )
    readers = seen.ledger.readers
    if loads is not None or error:
        readers += tuple(
            Reader(pod.name, pod.uid, born, loads or current, now - ago, error) for pod in tasks
        )
    ledger = replace(seen.ledger, readers=readers)
    return Situation(replace(seen, pods=(*seen.pods, *tasks), ledger=ledger), now)


def there(s: Situation) -> Finding:
    """Return what the way to the object storage backend says of old tasks."""
    kill = s.ledger.kill
    assert kill is not None
    return old_tasks_ended(s, kill.writers_stopped_at)


STEPS = pytest.mark.parametrize(
    ("step", "go_on"), [(writers_gone, "WritersGone"), (there, "PodsReplaced")]
)


@STEPS
@pytest.mark.parametrize("made", [timedelta(0), 2 * SECOND, 17 * SECOND, MOUNT_LAG])
def test_a_task_of_that_time_is_looked_into_and_counts_by_what_it_loads(
    step: Any, go_on: str, made: timedelta
) -> None:
    _, current = delivered()
    unseen = moment(made)
    assert step(unseen).action == ConfirmReaders(unseen.task_pods)
    assert step(moment(made, loads=current)).reason == go_on
    before = step(moment(made, loads=replace(current, threshold="1000")))
    assert (before.reason, before.action) == ("OldTasksRunning", None)
    assert str(RUN) in before.message


@STEPS
def test_an_older_task_is_waited_for_whatever_a_look_would_tell(step: Any, go_on: str) -> None:
    _, current = delivered()
    for loads in (None, current):
        finding = step(moment(-SECOND, loads=loads))
        assert (finding.reason, finding.action) == ("OldTasksRunning", None)
    assert step(moment(-SECOND, ended=True)).reason == go_on


@STEPS
def test_a_later_task_needs_no_look(step: Any, go_on: str) -> None:
    assert step(moment(MOUNT_LAG + SECOND, later=MOUNT_LAG + SECOND)).reason == go_on


@STEPS
def test_nobody_looks_while_another_such_task_may_come(step: Any, go_on: str) -> None:
    early = step(moment(SECOND, later=MOUNT_LAG - SECOND))
    assert (early.reason, early.action) == ("ConfigurationSettling", None)
    assert early.after == SECOND
    assert step(moment(SECOND, later=MOUNT_LAG)).reason == "LookingIntoPods" != go_on


@STEPS
def test_a_copy_in_another_namespace_that_follows_later_has_its_own_time(
    step: Any, go_on: str
) -> None:
    s = moment(SECOND, later=10 * MOUNT_LAG, ended=True)
    assert step(s).reason == go_on
    mirrored = replace(s.observed, config_changed_at=s.now - SECOND, backend_hash="of the copy")
    assert step(Situation(mirrored, s.now)).reason == "ConfigurationSettling"


@STEPS
def test_a_task_that_cannot_be_looked_into_is_waited_for_and_says_why(
    step: Any, go_on: str
) -> None:
    finding = step(moment(SECOND, error="pods/exec is forbidden"))
    assert (finding.reason, finding.action) == ("OldTasksRunning", None)
    assert "task-0: pods/exec is forbidden" in finding.message
    again = step(moment(SECOND, error="pods/exec is forbidden", ago=LOOK_RETRY))
    assert again.reason == "LookingIntoPods" != go_on


@STEPS
@pytest.mark.parametrize("changed", [{"started_at": None}, {"terminating": True}])
def test_a_task_that_is_about_to_begin_or_to_end_is_waited_for(
    step: Any, go_on: str, changed: dict[str, Any]
) -> None:
    finding = step(moment(SECOND, **changed))
    assert (finding.reason, finding.action) == ("OldTasksRunning", None)
    assert finding.reason != go_on


def test_a_task_whose_container_began_anew_is_looked_into_again() -> None:
    _, current = delivered()
    s = moment(SECOND, loads=current)
    pods = tuple(
        replace(pod, started_at=s.now) if pod.run is not None else pod for pod in s.observed.pods
    )
    assert writers_gone(Situation(replace(s.observed, pods=pods), s.now)).action is not None


def test_not_all_of_many_are_looked_into_at_once() -> None:
    action = writers_gone(moment(SECOND, pods=LOOKS + 1)).action
    assert isinstance(action, ConfirmReaders)
    assert len(action.pods) == LOOKS


def limited(s: Situation) -> Situation:
    """The same where old tasks have ten seconds to end."""
    switch = s.spec.kill_switch.model_copy(update={"stop_tasks_after": "10s"})
    spec = s.spec.model_copy(update={"kill_switch": switch})
    rollout = replace(s.observed.rollout, spec=spec)
    return Situation(replace(s.observed, rollout=rollout), s.now)


def test_no_run_is_stopped_for_a_task_that_may_be_a_new_one() -> None:
    _, current = delivered()
    for expected, loads in (((), None), ((), current), ((RUN,), replace(current, threshold="9"))):
        s = moment(SECOND, loads=loads, later=timedelta(minutes=5))
        assert overdue_runs(limited(s)) == expected


def test_no_run_is_stopped_for_a_task_that_could_not_be_looked_into() -> None:
    s = moment(SECOND, error="exec failed", later=timedelta(hours=2))
    assert overdue_runs(limited(s)) == ()
    held = writers_gone(s)
    assert held.reason == "OldTasksRunning"
    assert "exec failed" in held.message
    assert "stopTasksAfter" not in held.message, "it would not help"
    assert "stop the tasks" in held.message


def test_the_operator_may_be_told_that_its_kubelets_are_later() -> None:
    s = moment(MOUNT_LAG + SECOND, later=2 * MOUNT_LAG)
    slow = Situation(replace(s.observed, mount_lag=2 * MOUNT_LAG), s.now)
    assert (writers_gone(s).reason, writers_gone(slow).reason) == ("WritersGone", "LookingIntoPods")
