"""What the operator remembers of a rollout: facts that cannot be read back from the world.

The ledger lives in a ConfigMap that the rollout does not own, so it survives the deletion of the
resource. It is written as a whole, guarded by its resourceVersion, and a pure function decides
each next version.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from xcom_rollout.decide.settings import BackendSettings


class Component(StrEnum):
    """Places whose pods are cloned for a proof (value of the chart's `component` label)."""

    SCHEDULER = "scheduler"
    WORKER = "worker"
    """Pods in which tasks run: workers where there are some, else the pods of single tasks."""
    TASK_POD = "task-pod"
    """The pods of single tasks, where there are workers, too; no label of the chart's."""


PROVEN_COMPONENTS = (Component.SCHEDULER, Component.WORKER)
"""Those that each release has; `executors.proven_components` returns all of them."""


class Verdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"


@dataclass(frozen=True)
class NamedCheck:
    """One check of the probe that failed or warned."""

    name: str
    observed: str
    expected: str
    remedy: str


@dataclass(frozen=True)
class Drift:
    """A way in which values come back changed with the new backend, and not with the old one."""

    name: str
    meaning: str
    values: tuple[str, ...]
    """Names of the values of the round trip that change."""


@dataclass(frozen=True)
class Proof:
    """What a proof Job found in a pod cloned from `component`, bound to what it looked at."""

    component: Component
    digest: str
    attempt: int
    verdict: Verdict
    observed_at: datetime
    job: str
    failed: tuple[NamedCheck, ...] = ()
    warnings: tuple[NamedCheck, ...] = ()
    drift: tuple[Drift, ...] = ()
    executor: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    message: str = ""
    """What went wrong where there is no result to quote (verdict error)."""


class AuditKind(StrEnum):
    STATIC = "static"
    """The code in the DAG folder."""
    DYNAMIC = "dynamic"
    """The values in the table."""


class Effect(StrEnum):
    """What the flip does to a value, the worst first."""

    FAILS = "fails"
    DRIFTS = "drifts"
    UNSEEN = "unseen"
    """Unknown: the file could not be read."""


class Confidence(StrEnum):
    """How sure a finding is, the surest first."""

    HIGH = "High"
    MEDIUM = "Medium"
    LOW = "Low"


@dataclass(frozen=True)
class AuditFinding:
    """Something that an audit found in one place, as far as a decision needs it."""

    effect: Effect
    confidence: Confidence
    kind: str
    """Kind of value, such as `ndarray`."""
    dag_id: str = ""
    """Empty where it is not known, as for a helper that several DAGs import."""
    task_id: str = ""
    file: str = ""
    """Relative to the DAG folder; empty for a value in the table."""
    line: int = 0
    key: str = ""
    """XCom key; empty where it is not known."""
    rows: int = 0
    """Number of such values in the table."""
    why: str = ""
    """Why it could not be looked at, for an effect that is not seen."""

    def __str__(self) -> str:
        task = "/".join(part for part in (self.dag_id, self.task_id) if part)
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        where = f"{task} ({place})" if task and place else task or place
        if self.effect is Effect.UNSEEN:
            return f"{where}: could not be read" + (f" ({self.why})" if self.why else "")
        sure = "" if self.confidence is Confidence.HIGH else f", confidence {self.confidence}"
        key = f" in key {self.key}" if self.key not in ("", "return_value") else ""
        rows = f" in {self.rows} rows" if self.rows else ""
        return f"{where}: {self.kind}{key} {self.effect}{rows}{sure}"


@dataclass(frozen=True)
class Audit:
    """What an audit Job found, bound to what it looked at."""

    kind: AuditKind
    digest: str
    attempt: int
    verdict: Verdict
    """As reported by the probe. Which findings hold a rollout is decided by its spec."""
    observed_at: datetime
    job: str
    findings: tuple[AuditFinding, ...] = ()
    """The worst first."""
    left_out: int = 0
    """Number of further findings that may hold a rollout: more than a ledger keeps."""
    failed: tuple[NamedCheck, ...] = ()
    """Checks that failed or could not run, other than by findings."""
    facts: tuple[tuple[str, str], ...] = ()
    message: str = ""
    """What went wrong where there is no result to quote (verdict error)."""


@dataclass(frozen=True)
class Calibration:
    """The threshold that the values in the table recommend."""

    digest: str
    attempt: int
    observed_at: datetime
    job: str
    recommended: int
    """Bytes."""
    quantile: str
    margin: str
    facts: tuple[tuple[str, str], ...] = ()


class BuildSource(StrEnum):
    """A way by which a build gets to Airflow, and where it shows."""

    STAMP = "stamp"
    IMAGE = "image"
    TAGS = "tags"


class Freshness(StrEnum):
    """Verdict on a release that should be of one build."""

    FRESH = "fresh"
    STALE = "stale"
    MIXED = "mixed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class BuildQuestion:
    """What a look for a build asks: its answer is valid for nothing else."""

    expected: str
    """The commit, whole or short."""
    sources: tuple[BuildSource, ...]
    labels: tuple[str, ...]
    """Annotations or labels of pods that contain an image's commit."""
    variables: tuple[str, ...]
    """Variables in the containers that contain it."""
    dags: tuple[str, ...]
    """DAGs whose tags are judged; empty: all DAGs."""
    digest: str
    """Digest of images, pod templates and configuration, as for a proof."""
    pods: tuple[tuple[str, datetime | None], ...]
    """UID and start of the container of each long-lived pod."""


@dataclass(frozen=True)
class BuildSeen:
    """What the pods of the release showed when they were inspected for a build."""

    question: BuildQuestion
    verdict: Freshness
    reason: str
    observed_at: datetime
    """When the look ended."""
    differing: tuple[BuildSource, ...] = ()
    """Sources in which something is of another build."""
    unseen: tuple[BuildSource, ...] = ()
    """Sources of which something could not be seen."""
    readings: tuple[str, ...] = ()
    """Both in words."""
    left_out: int = 0
    """Number of such readings beyond these."""


@dataclass(frozen=True)
class Reader:
    """A live pod whose loaded backend was seen by a process inside it."""

    pod: str
    uid: str
    started_at: datetime
    """Start of the container that was inspected: a restart voids what was seen."""
    settings: BackendSettings
    seen_at: datetime
    error: str = ""
    unseen: str = ""
    """Why the pod's own processes may have been started with other options than those seen."""
    outdated: bool = False
    """Whether airflow.cfg was changed beneath the pod's processes: `error` says so."""


@dataclass(frozen=True, order=True)
class RunKey:
    dag_id: str
    run_id: str

    def __str__(self) -> str:
        return f"{self.dag_id}/{self.run_id}"


@dataclass(frozen=True)
class OffloadedRun:
    """An in-flight run that holds offloaded values."""

    key: RunKey
    rows: int
    state: str
    run_type: str = ""
    """Airflow's run type: manual, scheduled, backfill, ...; empty where it is not known."""
    waited_for_by: tuple[RunKey, ...] = ()
    """In-flight runs with a task that waits for this one (TriggerDagRunOperator)."""


@dataclass(frozen=True)
class CensusRecord:
    """The runs that held offloaded values when a census Job looked."""

    job: str
    attempt: int
    taken_at: datetime
    runs: tuple[OffloadedRun, ...]
    purpose: str = ""
    """What the Job was sent for: `live`, or a moment of a kill."""
    old_runs: frozenset[RunKey] = frozenset()
    """Written by the previous version; no decision reads it."""
    after_revert: bool = False
    """Written by the previous version; no decision reads it."""


class Strategy(StrEnum):
    """How a kill heals the in-flight runs that hold offloaded values."""

    RETRIGGER = "Retrigger"
    """They are stopped and run again from their start."""
    DRAIN = "Drain"
    """They are left to end; no run is touched."""
    REHYDRATE = "Rehydrate"
    """Their values are copied back into the database; no run is touched."""
    IMMEDIATE = "Immediate"
    """The database backend is delivered first, for a backend that cannot even be read. The weaker
    promise: a task that starts meanwhile may be handed a path."""


class FinishedRuns(StrEnum):
    """What happens to offloaded values of finished runs before the database backend is back."""

    REHYDRATE = "Rehydrate"
    HOLD = "Hold"
    ACCEPT = "Accept"


class RunStage(StrEnum):
    """Progress of a kill with one run."""

    FOUND = "Found"
    """It holds offloaded values, and nothing has been done about it."""
    DRAINING = "Draining"
    """It is left to end by itself."""
    STOPPING = "Stopping"
    """It is, or is about to be, set to failed."""
    STOPPED = "Stopped"
    """It is no longer in flight; its task pods may still run."""
    EMPTIED = "Emptied"
    """Its rows that hold paths are gone, so no process can read one. It waits for its clear."""
    CLEARED = "Cleared"
    """It is queued again."""
    RECOVERED = "Recovered"
    """It has succeeded again."""
    HEALED = "Healed"
    """It ended by itself, was deleted, or its values are back in the database."""
    FAILED = "Failed"
    """It ran again and failed, or still holds paths: a person has to look."""


SAFE_STAGES = frozenset(
    {
        RunStage.EMPTIED,
        RunStage.CLEARED,
        RunStage.RECOVERED,
        RunStage.HEALED,
        RunStage.FAILED,
    }
)
"""Stages in which no task of the run can get a path, whatever the backend."""
ENDED_STAGES = frozenset({RunStage.RECOVERED, RunStage.HEALED, RunStage.FAILED})


@dataclass(frozen=True)
class RecoveringRun:
    """A run that a kill heals: its progress, and what blocks it."""

    key: RunKey
    rows: int
    stage: RunStage = RunStage.FOUND
    start_date: str | None = None
    """The run's start as Airflow gave it before the clear; a clear resets it."""
    message: str = ""
    run_type: str = ""
    waited_for_by: tuple[RunKey, ...] = ()
    error: str = ""
    """Why the last try failed; empty when it succeeded."""
    tries: int = 0
    """Failed tries in a row."""
    failing_since: datetime | None = None
    """When the first of these failed."""
    next_try: datetime | None = None
    """No further try before this time; None: at once."""
    cleared_round: int = 0
    """Round of the kill in which it was cleared; it is not cleared twice in one."""
    was_emptied: bool = False
    """Whether it is to be emptied once more: it may have been cleared by us in between."""
    spoilt: bool = False
    """Whether the last census found paths in it after its re-run."""
    stopped_at: datetime | None = None
    """When it was seen stopped, where tasks run in workers; None elsewhere."""
    stop_asked: bool = False
    """Whether Airflow may have been asked to stop it: when it ends, it has to be cleared."""
    unread: bool = False
    """Whether only reading it failed: the error is over as soon as it can be read."""

    def at(self, stage: RunStage) -> "RecoveringRun":
        """Return the run at a stage, with no failed try."""
        return replace(
            self, stage=stage, error="", tries=0, failing_since=None, next_try=None, unread=False
        )


@dataclass(frozen=True)
class Kill:
    """One use of the kill-switch. Once started it runs to its end."""

    attempt: int
    engaged_at: datetime
    by: str
    reason: str
    strategy: Strategy = Strategy.RETRIGGER
    round: int = 1
    """Counts up when the release offloads again in the middle, or the last census found a run."""
    writers_stopped_at: datetime | None = None
    """When threshold -1 (Immediate: the database backend) had been delivered in this round."""
    writers_gone: bool = False
    """Whether every process that could still offload has been seen gone in this round."""
    counted: tuple[str, ...] = ()
    """Censuses of this round that are on record: found, frozen, last."""
    finished_values: str = ""
    """What happened to the values of finished runs, in words; empty until that is settled."""
    reverting: bool = False
    """Whether the database backend is delivered, or is about to be, by this kill."""
    held_dags: tuple[str, ...] = ()
    """DAGs that the operator paused and will unpause (Immediate, and kills started by the previous
    version); those paused by people are not here."""
    released_dags: tuple[str, ...] = ()
    hold_error: str = ""
    """Why DAGs could not be paused before an Immediate revert."""
    reverted_at: datetime | None = None
    runs: tuple[RecoveringRun, ...] = ()
    emptied_attempt: int = 0
    """Newest Job that removed rows and is on record."""
    rehydrated_attempt: int = 0
    """Newest Job that copied values back and is on record."""
    verified: bool = False
    """Whether the last census has found no run in flight with offloaded values."""
    finished_at: datetime | None = None
    queued_at: datetime | None = None
    """When the last run to clear had been cleared."""
    counts: tuple[tuple[str, int], ...] = ()
    """Number of runs by stage, of a past kill: its runs are not kept."""

    @property
    def dags_still_held(self) -> tuple[str, ...]:
        """DAGs that the operator paused, or is about to, and has not released."""
        released = set(self.released_dags)
        return tuple(dag for dag in self.held_dags if dag not in released)

    def with_runs(self, changed: tuple[RecoveringRun, ...]) -> "Kill":
        by_key = {run.key: run for run in self.runs} | {run.key: run for run in changed}
        return replace(self, runs=tuple(by_key[key] for key in sorted(by_key)))

    def past(self) -> "Kill":
        """Return what is kept of a kill that is over: counts, and the runs that did not recover."""
        totals = Counter(str(run.stage) for run in self.runs)
        return replace(
            self,
            runs=tuple(run for run in self.runs if run.stage is RunStage.FAILED)[:50],
            counts=tuple(sorted(totals.items())) or self.counts,
        )


@dataclass(frozen=True)
class Delivered:
    """The settings that the operator delivered last, and the Helm revision that holds them."""

    settings: BackendSettings
    revision: int
    at: datetime
    backend_hash: str = ""
    """Hash of the owned options in the pods' configuration when this was recorded."""
    config_changed_at: datetime | None = None
    """When the configuration changed to this, by the API server's clock. A later change of
    something else in the same ConfigMap makes no task pod an old one."""
    copied_after: float = 0.0
    """Seconds after which copies in other namespaces had followed; the most of any delivery."""


@dataclass(frozen=True)
class WayBack:
    """Result of checking everything that a kill will need, before it is needed."""

    digest: str
    """Of what was checked."""
    checked_at: datetime
    problems: tuple[str, ...] = ()
    """What is missing: the field, what was seen, what to do. Empty if nothing is missing."""


@dataclass(frozen=True)
class Ledger:
    """Everything remembered of one rollout."""

    baseline: BackendSettings | None = None
    """The owned settings found before the first flip; the kill-switch restores them."""
    delivered: Delivered | None = None
    interrupted: int = 0
    """Newest revision of the operator's own that was interrupted, and undone or about to be. Until
    a later one is delivered the objects of the release may be of it or of the previous one."""
    bases: tuple[str, ...] = ()
    """Every base path that was ever delivered, oldest first: a census asks for all of them."""
    offloaded_by_others: bool = False
    """Whether somebody else offloaded while this rollout had delivered nothing."""
    proofs: tuple[Proof, ...] = ()
    audits: tuple[Audit, ...] = ()
    calibration: Calibration | None = None
    build: BuildSeen | None = None
    readers: tuple[Reader, ...] = ()
    census: CensusRecord | None = None
    way_back: WayBack | None = None
    kill: Kill | None = None
    past_kills: tuple[Kill, ...] = ()
    resource_version: str | None = None
    """Version of the ConfigMap this was read from; None where there is none yet."""

    def proof(self, component: Component) -> Proof | None:
        return next((proof for proof in self.proofs if proof.component is component), None)

    def audit(self, kind: AuditKind) -> Audit | None:
        return next((audit for audit in self.audits if audit.kind is kind), None)
