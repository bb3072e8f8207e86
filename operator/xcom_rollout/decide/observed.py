"""What one pass of the loop saw: the whole input of a decision, as plain frozen data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import ClassVar, Final

from xcom_rollout.api.v1alpha1 import RolloutSpec
from xcom_rollout.decide.ledger import (
    AuditFinding,
    Component,
    Drift,
    Ledger,
    NamedCheck,
    OffloadedRun,
    RunKey,
    Verdict,
)
from xcom_rollout.decide.settings import BackendSettings, place_of


@dataclass(frozen=True)
class Rollout:
    """The resource itself."""

    namespace: str
    name: str
    uid: str
    generation: int
    created_at: datetime
    spec: RolloutSpec
    annotations: Mapping[str, str] = field(default_factory=dict)
    deleting: bool = False
    """Whether somebody has asked for its deletion."""
    finalized: bool = False
    """Whether it carries the finalizer of a kill in progress."""


@dataclass(frozen=True)
class Rival:
    """Another rollout in the namespace that names the same release."""

    name: str
    created_at: datetime


class Maker(StrEnum):
    """Who makes, or made, a Helm revision."""

    OTHER = "Other"
    OPERATOR = "Operator"
    """The operator, in another pod than this one."""
    SELF = "Self"
    """The operator, in this pod: it makes no other meanwhile."""


@dataclass(frozen=True)
class Release:
    """The Helm release of Airflow as its newest revision shows it."""

    revision: int
    status: str
    """Helm's status: deployed, failed, pending-upgrade, ..."""
    chart_name: str
    chart_version: str
    settings: BackendSettings
    updated_at: datetime
    """When the newest revision was started."""
    maker: Maker = Maker.OTHER
    values_path: tuple[str, ...] = ()
    """Keys of the values below which Airflow's chart has its own; none where that chart is not a
    dependency of the one that the release runs."""
    layout_problem: str = ""
    """Why it is not known which settings Airflow has, for people; empty where it is. `settings` is
    then read from the values and decides nothing."""

    def holds(self, settings: BackendSettings) -> bool:
        """Whether it is known to hold these settings."""
        return not self.layout_problem and self.settings == settings

    @property
    def backend_place(self) -> str:
        """Where the values name the backend, such as `config.core.xcom_backend`."""
        return place_of("core.xcom_backend", self.values_path)


@dataclass(frozen=True)
class Workload:
    """A Deployment or StatefulSet of the release whose pods can read XCom."""

    kind: str
    name: str
    component: str
    replicas: int
    rolled: bool
    """Whether all its pods are of the newest template, ready, and no other pod is left."""
    progress: str
    wont_roll: str = ""
    """Why it does not replace all its pods by itself when their template changes; empty where it
    does."""
    oldest_pod: datetime | None = None
    """When the oldest of its pods was made; None where an upgrade of the chart replaces them all,
    as it does those of the chart's own components, or where there is none."""
    restless_since: datetime | None = None
    """Since when its pods have not changed: when the newest that is not ready was made or stopped
    being ready without trouble, when the last that ends should be gone, or when the Deployment last
    made progress. None where that is not known."""
    grace_seconds: int = 30
    """How long a pod of it may take to end: a worker continues its tasks meanwhile."""
    only_ends: bool = False
    """Whether pods that are about to end are the only reason that it is not `rolled`."""


@dataclass(frozen=True)
class LoosePod:
    """A long-lived pod that can read XCom and was not created by any of the workloads."""

    name: str
    kind: str = ""
    """Kind of its creator; empty where it has none."""
    maker: str = ""


@dataclass(frozen=True)
class Pod:
    """A pod of the release that can read XCom."""

    name: str
    uid: str
    component: str
    created_at: datetime
    started_at: datetime | None
    """Start of its main container; None while it does not run."""
    ready: bool
    terminating: bool
    run: RunKey | None = None
    """The DAG run that a KubernetesExecutor task pod works for; None for long-lived pods."""
    ended: bool = False
    """Whether its containers have ended (phase Succeeded or Failed)."""
    namespace: str = ""
    """Empty stands for the namespace of the rollout."""
    node: str = ""
    gone_by: datetime | None = None
    """When a terminating pod should have ended: its deletion plus its grace period."""


@dataclass(frozen=True)
class Attempt:
    """A process of a task in a worker, whose pod keeps running when it ends."""

    pod: str
    pod_uid: str
    pid: int
    """In the pod's PID namespace."""
    started: int
    """Clock ticks from the boot of the machine to its start: with `pid` it names one process."""
    title: str
    """The title of the process, for people."""
    run: RunKey | None = None
    """The DAG run that it works for; None where that is not known."""


class JobState(StrEnum):
    RUNNING = "Running"
    FINISHED = "Finished"
    BROKEN = "Broken"
    """The Job ended and left no result that can be read."""


class JobKind(StrEnum):
    PROOF = "proof"
    AUDIT_STATIC = "audit-static"
    AUDIT_DYNAMIC = "audit-dynamic"
    CALIBRATION = "calibration"
    CENSUS = "census"
    EMPTY = "empty"
    """Removes the rows of stopped runs that hold paths."""
    REHYDRATE = "rehydrate"
    """Copies offloaded values back into the database."""
    STANDBY = "standby"
    """Waits to be asked what the Jobs of a kill would be sent for."""
    VERIFY = "verify"
    """Created by the previous version."""


@dataclass(frozen=True)
class ProofResult:
    verdict: Verdict
    failed: tuple[NamedCheck, ...]
    warnings: tuple[NamedCheck, ...]
    facts: tuple[tuple[str, str], ...]
    executor: str
    drift: tuple[Drift, ...] = ()
    message: str = ""
    is_answer: ClassVar[bool] = True
    """A failed proof is an answer, too."""


@dataclass(frozen=True)
class AuditResult:
    verdict: Verdict
    findings: tuple[AuditFinding, ...]
    left_out: int
    failed: tuple[NamedCheck, ...]
    facts: tuple[tuple[str, str], ...]
    report: str = ""
    """Every finding as the probe reported it: JSON, for people."""
    message: str = ""
    is_answer: ClassVar[bool] = True


@dataclass(frozen=True)
class CalibrationResult:
    recommended: int
    """Bytes; 0 where the table holds no value to measure."""
    facts: tuple[tuple[str, str], ...]
    report: str = ""
    """Everything that was measured, the largest tasks named: JSON, for people."""
    message: str = ""

    @property
    def is_answer(self) -> bool:
        return not self.message


@dataclass(frozen=True)
class CensusResult:
    verdict: Verdict
    runs: tuple[OffloadedRun, ...]
    message: str = ""
    finished: "FinishedValues | None" = None
    """Offloaded values of finished runs, where they were asked for."""

    @property
    def is_answer(self) -> bool:
        return self.verdict is Verdict.PASS


@dataclass(frozen=True)
class FinishedValues:
    """Offloaded values of runs that are not in flight."""

    runs: int
    rows: int
    dags: tuple[str, ...] = ()
    """DAGs with the most such rows first, not all of them."""


@dataclass(frozen=True)
class EmptyResult:
    """Result of removing the rows of stopped runs that hold paths."""

    verdict: Verdict
    emptied: tuple[RunKey, ...] = ()
    """Runs that no longer hold a path."""
    left: tuple[tuple[RunKey, str], ...] = ()
    """Runs that still do, and why."""
    message: str = ""

    @property
    def is_answer(self) -> bool:
        return self.verdict is Verdict.PASS


@dataclass(frozen=True)
class RehydrateResult:
    """Result of copying offloaded values back into their rows."""

    verdict: Verdict
    copied: int = 0
    """Rows."""
    remaining: int = 0
    """Rows left when the time was over."""
    healed: tuple[RunKey, ...] = ()
    """Requested runs that no longer hold a path."""
    failed: tuple[tuple[RunKey, str], ...] = ()
    """Runs with a value that could not be copied: which, and why."""
    failed_rows: int = 0
    message: str = ""

    @property
    def is_answer(self) -> bool:
        return self.verdict is not Verdict.ERROR


ProbeResult = (
    ProofResult | AuditResult | CalibrationResult | CensusResult | EmptyResult | RehydrateResult
)
"""Result of a Job of the probe. `is_answer` says whether it did what it was sent for; where it did
not, `message` says why."""


@dataclass(frozen=True)
class ProbeJob:
    """A Job of the operator's that ran or runs the probe."""

    name: str
    kind: JobKind
    component: Component
    attempt: int
    digest: str
    created_at: datetime
    state: JobState
    finished_at: datetime | None = None
    result: ProbeResult | None = None
    message: str = ""
    """Progress while it runs (such as an image that cannot be pulled); the fault when broken."""


@dataclass(frozen=True)
class DagRun:
    """A DAG run as Airflow's REST API shows it."""

    key: RunKey
    state: str
    start_date: str | None


@dataclass(frozen=True)
class AirflowView:
    """What Airflow's REST API returned; gathered during a kill."""

    runs: tuple[DagRun, ...] = ()
    """The runs that the kill has recorded, as far as Airflow still has them."""
    paused_dags: frozenset[str] = frozenset()
    """Of the DAGs of those runs and the DAGs held by the kill: those that are paused."""
    missing_dags: frozenset[str] = frozenset()
    """Of the same: those whose file Airflow no longer finds."""
    busy_dags: frozenset[str] = frozenset()
    """DAGs with runs in flight that are not paused; only where a kill is Immediate."""
    unread: Mapping[RunKey, str] = field(default_factory=dict)
    """Recorded runs that Airflow refuses to return, and why: each may be in any state, or gone."""
    unread_dags: Mapping[str, str] = field(default_factory=dict)
    """The same of DAGs: each may be paused or not, or gone."""
    major: int = 0
    """Airflow's major version; 0 where it is not known."""
    error: str = ""
    """Why the API could not be asked; empty when it answered."""

    @cached_property
    def by_key(self) -> Mapping[RunKey, DagRun]:
        return {run.key: run for run in self.runs}

    def run(self, key: RunKey) -> DagRun | None:
        """Return the run; None where Airflow has none, or it is among `unread`."""
        return self.by_key.get(key)


@dataclass(frozen=True)
class StaleCopy:
    """A ConfigMap of Airflow's configuration, in another namespace in which tasks run.

    A pod mounts ConfigMaps of its own namespace only. Helm changes that of the release; somebody
    else brings the change to this one.

    Attributes:
        name: the same as that of the release's.
        problem: why it cannot be compared; empty where its options of the backend differ.
    """

    namespace: str
    name: str
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" + (f" ({self.problem})" if self.problem else "")


MOUNT_LAG: Final = timedelta(seconds=30)
"""How long after a change of the configuration a kubelet may still mount the earlier one in a new
pod: it learns of a change by a watch, which is late by seconds on a busy node."""


@dataclass(frozen=True)
class Observed:
    """The world around one rollout at one moment."""

    rollout: Rollout
    rivals: tuple[Rival, ...]
    release: Release | None
    digest: str
    """Digest of what a proof would prove now: images, configuration, desired settings, probe."""
    config_changed_at: datetime | None
    """Last change of the ConfigMaps that Airflow's pods mount (whole seconds, as Kubernetes
    records it)."""
    backend_hash: str
    """Hash of the options that a flip owns in those ConfigMaps; empty if unknown."""
    workloads: tuple[Workload, ...]
    pods: tuple[Pod, ...]
    jobs: tuple[ProbeJob, ...]
    ledger: Ledger
    airflow: AirflowView | None = None
    problems: tuple[str, ...] = ()
    """What could not be observed, in words; a decision that needs it holds."""
    release_missing: str = ""
    """Why there is no release, and what to do, in words; where it is known."""
    samples_missing: bool = False
    """Whether the spec names a ConfigMap of samples that does not exist."""
    loose_pods: tuple[LoosePod, ...] = ()
    executor: str = ""
    """The executor written for the scheduler; empty where none is, or it cannot be read."""
    task_namespaces: tuple[str, ...] = ()
    """Namespaces in which Airflow may create task pods, as far as known; that of the rollout need
    not be among them."""
    stale_copies: tuple[StaleCopy, ...] = ()
    """Copies of the configuration in `task_namespaces` with other settings of the backend."""
    copies_changed_at: datetime | None = None
    """Last change of the copy that has been unchanged for longest; None without a copy."""
    unseen_tasks: str = ""
    """Why some task pods, or tasks in workers, cannot be seen; empty where all can."""
    unseen_since: datetime | None = None
    """Since when, where it may be temporary: a worker that ends, or whose node is busy, does not
    answer for some seconds."""
    attempts: tuple[Attempt, ...] = ()
    """The tasks in workers; only a kill that has stopped runs, or has to, looks for them."""
    mount_lag: timedelta = MOUNT_LAG
    """As configured for the kubelets of this cluster."""
