"""The input of the steps: the observed world, the time, and what is derived from both."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, TypeVar

from xcom_rollout.api.v1alpha1 import RolloutSpec
from xcom_rollout.decide.aside import Asides
from xcom_rollout.decide.ledger import Component, Delivered, Kill, Ledger, Reader, RunKey, RunStage
from xcom_rollout.decide.observed import Attempt, Observed, Pod, Release
from xcom_rollout.decide.requests import KillRequest, kill_request
from xcom_rollout.decide.settings import NEVER_OFFLOAD, BackendSettings, object_storage

T = TypeVar("T")
COPY_PATIENCE: Final = timedelta(seconds=60)
"""How long a mirror may take to copy a change of airflow.cfg to the other namespaces of tasks."""
COPY_LAG_MOST: Final = timedelta(minutes=10)
"""Upper bound of the measured delay: a copy may have changed later for another reason."""


def target_of(spec: RolloutSpec) -> BackendSettings:
    """Return the settings that the spec asks for."""
    storage = spec.backend.object_storage
    return object_storage(storage.path, spec.threshold.bytes, storage.compression)


@dataclass(frozen=True)
class Situation:
    """One moment, as the steps see it."""

    observed: Observed
    now: datetime
    asides: Asides = field(default_factory=dict)
    """Steps whose action failed recently."""

    @property
    def spec(self) -> RolloutSpec:
        return self.observed.rollout.spec

    @property
    def ledger(self) -> Ledger:
        return self.observed.ledger

    @cached_property
    def kill_request(self) -> KillRequest | None:
        return kill_request(self.observed.rollout)

    @property
    def release(self) -> Release:
        """The release; steps that come after `release-found` may rely on it."""
        if self.observed.release is None:
            raise LookupError("no release was observed")
        return self.observed.release

    @property
    def delivered_now(self) -> Delivered:
        """What the release holds, as the ledger records it once a delivery is seen."""
        return Delivered(
            self.release.settings,
            self.release.revision,
            self.now,
            backend_hash=self.observed.backend_hash,
            config_changed_at=self.observed.config_changed_at,
            copied_after=self._copied_after,
        )

    def holds(self, settings: BackendSettings) -> bool:
        """Whether Airflow's configuration is known to hold these settings.

        The newest revision shows it unless a later one was interrupted and undone: the changes of
        that one stay until the next delivery.
        """
        return self.release.holds(settings) and not self.half_delivered

    @property
    def half_delivered(self) -> bool:
        """Whether the objects of the release may be of a revision that was undone."""
        return self.ledger.interrupted > self.release.revision

    @property
    def _copied_after(self) -> float:
        """Seconds after which copies had followed the last delivery, or the one before it.

        A delivery is recorded before they have followed; in a kill, when they have.
        """
        before, copied = self.ledger.delivered, self.observed.copies_changed_at
        longest = before.copied_after if before else 0.0
        if copied is None:
            return longest
        since = min(self.release.updated_at, before.at) if before else self.release.updated_at
        return max(longest, min(copied - since, COPY_LAG_MOST).total_seconds())

    @property
    def copy_lag(self) -> timedelta:
        """How much later than a kubelet a copy of the configuration may still change.

        A copy equal to the release need not have followed: it may be an earlier, equal state, and
        what was delivered in between may still arrive (a kill right after a cut-over, or somebody
        who offloads again for a moment).
        """
        copied = self.observed.copies_changed_at
        if copied is None or copied >= self.release.updated_at.replace(microsecond=0):
            return timedelta(0)
        return max(COPY_PATIENCE, timedelta(seconds=self._copied_after))

    @cached_property
    def target(self) -> BackendSettings:
        return target_of(self.spec)

    @cached_property
    def readers(self) -> BackendSettings:
        return replace(self.target, threshold=NEVER_OFFLOAD)

    @cached_property
    def long_lived(self) -> tuple[Pod, ...]:
        return tuple(pod for pod in self.observed.pods if pod.run is None and not pod.ended)

    @cached_property
    def task_pods(self) -> tuple[Pod, ...]:
        return tuple(pod for pod in self.observed.pods if pod.run is not None and not pod.ended)

    @cached_property
    def config_changed_at(self) -> datetime | None:
        """When the pods' configuration last changed in an option that a flip owns.

        The operator's record of its delivery is valid for as long as those options are the same: a
        new label on the ConfigMap, or a change of another option of airflow.cfg, does not make a
        task pod an old one.
        """
        delivered = self.ledger.delivered
        if (
            delivered is not None
            and delivered.backend_hash
            and delivered.backend_hash == self.observed.backend_hash
        ):
            return delivered.config_changed_at
        return self.observed.config_changed_at

    @cached_property
    def old_task_pods(self) -> tuple[Pod, ...]:
        """Task pods that may hold the configuration from before its last change.

        One that was created soon after it may hold either, until it has been inspected.
        """
        changed = self.config_changed_at
        if changed is None:
            return self.task_pods
        return tuple(
            pod
            for pod in self.task_pods
            if pod.created_at < changed
            or (self.may_be_late(pod) and not self.loads(pod, self.release.settings))
        )

    def may_be_late(self, pod: Pod) -> bool:
        """Whether a pod was created at the last change of the configuration or soon after it.

        The kubelet may have mounted the earlier one.
        """
        changed = self.config_changed_at
        return changed is not None and changed <= pod.created_at <= changed + self.mount_lag

    @property
    def mount_lag(self) -> timedelta:
        return self.observed.mount_lag

    def unknown(self, pod: Pod) -> bool:
        """Whether only an inspection of a pod can show what it holds, and none has yet.

        It counts as old, but its tasks are not a reason to stop their runs. The creation time of a
        task pod shows what it holds, unless the kubelet may have been late; that of a worker never.
        """
        if pod.run is not None and not self.may_be_late(pod):
            return False
        seen = self.reader(pod)
        return seen is None or (bool(seen.error) and not seen.outdated)

    @cached_property
    def _task_pods_by_run(self) -> Mapping[RunKey, tuple[Pod, ...]]:
        found: dict[RunKey, list[Pod]] = {}
        for pod in self.task_pods:
            if pod.run is not None:
                found.setdefault(pod.run, []).append(pod)
        return {run: tuple(pods) for run, pods in found.items()}

    def task_pods_of(self, run: RunKey) -> tuple[Pod, ...]:
        return self._task_pods_by_run.get(run, ())

    @cached_property
    def workers(self) -> tuple[Pod, ...]:
        """The long-lived pods in which tasks run, those included that are about to end."""
        return tuple(pod for pod in self.long_lived if pod.component == Component.WORKER)

    @cached_property
    def old_workers(self) -> tuple[Pod, ...]:
        """Workers that were not seen to load what the release holds.

        The same applies to each task in them, whenever it was sent: its processes are forks. The
        creation time of a worker shows nothing: the kubelet may have mounted the earlier
        configuration.
        """
        return tuple(pod for pod in self.workers if not self.loads(pod, self.release.settings))

    @cached_property
    def _attempts_by_run(self) -> Mapping[RunKey | None, tuple[Attempt, ...]]:
        found: dict[RunKey | None, list[Attempt]] = {}
        for attempt in self.observed.attempts:
            found.setdefault(attempt.run, []).append(attempt)
        return {run: tuple(attempts) for run, attempts in found.items()}

    def attempts_of(self, run: RunKey | None) -> tuple[Attempt, ...]:
        """Return the tasks of a run in workers; for None those whose run is not known."""
        return self._attempts_by_run.get(run, ())

    def still_works_for(self, run: RunKey) -> bool:
        """Whether a task pod, or a process in a worker, may belong to a run."""
        return bool(self.task_pods_of(run) or self.attempts_of(run) or self.attempts_of(None))

    @cached_property
    def _readers(self) -> Mapping[tuple[str, datetime | None], Reader]:
        return {(seen.uid, seen.started_at): seen for seen in self.ledger.readers}

    def reader(self, pod: Pod) -> Reader | None:
        """Return what was seen inside `pod`, provided its container has not restarted since."""
        return self._readers.get((pod.uid, pod.started_at))

    def loads(self, pod: Pod, expected: BackendSettings) -> bool:
        """Return whether `pod` was inspected and serves as one that loads these settings."""
        seen = self.reader(pod)
        return seen is not None and not seen.error and seen.settings.serves_as(expected)

    def dirty_pods(self, kill: Kill) -> tuple[Pod, ...]:
        """Return old task pods except those of runs that are stopped, emptied or cleared anyway.

        A run that is left to end, or whose values are copied back, may still offload through them.
        """
        stopped = {
            run.key
            for run in kill.runs
            if run.stage in (RunStage.STOPPING, RunStage.STOPPED, RunStage.EMPTIED)
        }
        return tuple(pod for pod in self.old_task_pods if pod.run not in stopped)


def some(items: Sequence[T], most: int = 5, *, words: Callable[[T], str] = str) -> str:
    """Return the first items in words, and how many more there are."""
    # Only the items shown are formatted: there may be ten thousand.
    shown = ", ".join(words(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"
