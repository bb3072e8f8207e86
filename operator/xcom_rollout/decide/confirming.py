"""A process inside each pod checks what it loads; what cannot be known yet is waited for.

That a pod was replaced is not enough: its kubelet may have mounted the configuration from before
the delivery (docs/kill-switch.md, "Late kubelets").
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from xcom_rollout.decide.actions import ConfirmReaders, ReplacePods
from xcom_rollout.decide.decision import Finding, Progress
from xcom_rollout.decide.ledger import Component, Reader
from xcom_rollout.decide.observed import Pod
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.decide.situation import Situation, some
from xcom_rollout.decide.table import act, done, hold, wait

LOOK_RETRY: Final = timedelta(seconds=10)
WRITERS: Final = (Component.WORKER, "triggerer")
"""Components whose pods write values: those of tasks, and of triggers that end deferred tasks."""
LOOKS: Final = 16
"""Task pods to inspect at a time: where none answers, that takes half a minute."""
POD_PATIENCE: Final = timedelta(seconds=60)
"""How long after its grace period a terminating pod is still expected to end."""


def fleet_confirmed(s: Situation, expected: BackendSettings) -> Finding:
    """Every long-lived pod was inspected and loads the expected backend."""
    return _confirmed(s, s.long_lived, expected)


def writers_confirmed(s: Situation) -> Finding:
    """The same for pods that write, and for the settings that the release holds.

    That they were replaced is not enough: the kubelet may have mounted the configuration from
    before the delivery.
    """
    return _confirmed(
        s, [pod for pod in s.long_lived if pod.component in WRITERS], s.release.settings
    )


def tasks_confirmed(s: Situation, pods: Sequence[Pod]) -> Finding:
    """Of these task pods, those that may have mounted either configuration were inspected.

    Except one that is about to start or to end: it is waited for.
    """
    unseen = [
        pod
        for pod in pods
        if s.may_be_late(pod)
        and pod.started_at is not None
        and not pod.terminating
        and ((seen := s.reader(pod)) is None or (seen.error and _stale(s, seen)))
    ]
    if not unseen:
        return done("TasksConfirmed", "no task pod has an uncertain configuration")
    return act(
        "LookingIntoPods",
        "checking which backend is loaded by tasks that started soon after the delivery: "
        f"{some([str(pod.run) for pod in unseen])}",
        ConfirmReaders(tuple(unseen[:LOOKS])),
    )


def workers_seen(s: Situation, uids: Collection[str]) -> Finding | None:
    """Return what inspects workers that may have started with either configuration.

    Args:
        uids: of pods that run tasks that matter.
    """
    unseen = [
        pod
        for pod in s.workers
        if pod.uid in uids
        and pod.started_at is not None
        and s.unknown(pod)
        and ((seen := s.reader(pod)) is None or _stale(s, seen))
    ]
    return _look(unseen) if unseen else None


def configuration_settled(s: Situation, since: datetime | None) -> Finding:
    """No pod that is created from now on starts with the configuration from before a delivery.

    A pod created a moment ago is inspected. One created after the next delivery would have what
    was delivered before the last one.

    Args:
        since: when the operator saw that delivery. A copy in another namespace may follow later.
    """
    moments = [moment for moment in (since, s.config_changed_at) if moment is not None]
    lag = s.mount_lag + s.copy_lag
    left = lag - (s.now - max(moments)) if moments else timedelta(0)
    if left <= timedelta(0):
        return done("ConfigurationSettled", "new pods start with the delivered configuration")
    return wait(
        "ConfigurationSettling",
        "a new pod may still start with the configuration from before the delivery: a kubelet may "
        f"be {s.mount_lag.total_seconds():g} s late"
        + _copies_late(s)
        + "; waiting for that time to pass",
        seconds=left.total_seconds(),
    )


def _copies_late(s: Situation) -> str:
    if not s.copy_lag:
        return ""
    return (
        f", and the copies in other namespaces, which have not changed since, "
        f"{s.copy_lag.total_seconds():g} s"
    )


def old_tasks_ended(s: Situation, since: datetime | None) -> Finding:
    """No task pod is left that may have the earlier configuration, and no more will start.

    Args:
        since: when the operator saw the delivery.
    """
    for found in (configuration_settled(s, since), tasks_confirmed(s, s.old_task_pods)):
        if found.progress is not Progress.DONE:
            return found
    if s.old_task_pods:
        return wait(
            "OldTasksRunning",
            f"{len(s.old_task_pods)} task pods still run with the earlier configuration; waiting "
            f"for {old_tasks(s, s.old_task_pods)}",
            seconds=2,
        )
    return done("PodsReplaced", "every pod runs the newest template, and no older task is left")


def old_tasks(s: Situation, pods: Sequence[Pod]) -> str:
    """Return the runs of old task pods in words, and which of these could not be inspected."""
    runs = some(sorted({str(pod.run) for pod in pods}))
    seen = [(pod.name, reader) for pod in pods if (reader := s.reader(pod)) is not None]
    closed = [f"{name}: {reader.error}" for name, reader in seen if reader.error]
    if not closed:
        return runs
    return (
        f"{runs} (some of these may have the newest configuration and could not be "
        f"inspected: {some(closed)})"
    )


def _confirmed(s: Situation, pods: Sequence[Pod], expected: BackendSettings) -> Finding:
    # The container of a worker that is about to end has ended, or never begins.
    pods = [
        pod
        for pod in pods
        if not (pod.component == Component.WORKER and pod.terminating and pod.started_at is None)
    ]
    unseen = [
        pod
        for pod in pods
        if (seen := s.reader(pod)) is None or (not s.loads(pod, expected) and _stale(s, seen))
    ]
    if unseen:
        return _look(unseen)
    readers = [(pod.name, seen) for pod in pods if (seen := s.reader(pod)) is not None]
    failing = [pod for pod in pods if not s.loads(pod, expected)]
    early = [pod for pod in failing if _began_too_early(s, pod)]
    if early:
        return act(
            "ReplacingPods",
            f"{some([pod.name for pod in early])} started with the configuration from before the "
            "last delivery: replacing them again after their tasks end",
            ReplacePods(tuple(early)),
        )
    if failing and all(_ends_by_itself(s, pod) for pod in failing):
        return wait(
            "OldTasksRunning",
            "workers that may have the earlier configuration are terminating: "
            f"{some([pod.name for pod in failing])}",
            seconds=2,
        )
    wrong = [(pod.name, seen) for pod in failing if (seen := s.reader(pod)) is not None]
    if wrong:
        loaded = some(wrong, words=_what_it_loads)
        hint = (
            ""
            if all(seen.error for _, seen in wrong)
            else "; to see where the value comes from: kubectl exec POD -- airflow config "
            "get-value core xcom_backend"
        )
        return hold(
            "PodNotConfirmed",
            f"expected the {expected.describe()} in every pod, but {loaded}{hint}",
            after=LOOK_RETRY,
        )
    summary = f"{len(pods)} pods load the {expected.describe()}"
    closed = [f"{name}: {seen.unseen}" for name, seen in readers if seen.unseen]
    return done("PodsConfirmed", f"{summary}; {some(closed)}" if closed else summary)


def _look(pods: Sequence[Pod]) -> Finding:
    return act(
        "LookingIntoPods",
        f"checking which backend {some([pod.name for pod in pods])} load",
        ConfirmReaders(tuple(pods)),
    )


def _what_it_loads(found: tuple[str, Reader]) -> str:
    name, seen = found
    return f"{name}: {seen.error or 'loads the ' + seen.settings.describe()}"


def _stale(s: Situation, seen: Reader) -> bool:
    return s.now - seen.seen_at >= LOOK_RETRY


def _began_too_early(s: Situation, pod: Pod) -> bool:
    """Whether a pod loads something else and its replacement would not.

    A pod that was created later has its settings from elsewhere, such as its own environment.
    """
    seen, changed = s.reader(pod), s.config_changed_at
    if pod.terminating or seen is None or changed is None:
        return False
    # Neither the database nor the object storage backend: nobody has delivered that.
    ours = seen.settings.is_database or seen.settings.reads_offloaded
    before = seen.outdated or (not seen.error and ours)
    return before and pod.created_at <= changed + s.mount_lag


def _ends_by_itself(s: Situation, pod: Pod) -> bool:
    until = pod.gone_by
    if pod.component != Component.WORKER or not pod.terminating or until is None:
        return False
    return s.now < until + POD_PATIENCE
