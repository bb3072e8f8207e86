"""What the operator remembers of a rollout: facts that cannot be read back from the world.

The ledger lives in a ConfigMap that the rollout does not own, so it survives the deletion of the
resource. It is written as a whole, guarded by its resourceVersion, and a pure function decides
each next version.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from xcom_rollout.decide.settings import BackendSettings


class Component(StrEnum):
    """Places whose pods are cloned for a proof (value of the chart's `component` label)."""

    SCHEDULER = "scheduler"
    WORKER = "worker"


PROVEN_COMPONENTS = (Component.SCHEDULER, Component.WORKER)


class Verdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"


@dataclass(frozen=True)
class NamedCheck:
    """One check of the probe that said no, or warned."""

    name: str
    observed: str
    expected: str
    remedy: str


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
    executor: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    message: str = ""
    """What went wrong where there is no result to quote (verdict error)."""


@dataclass(frozen=True)
class Reader:
    """A live pod whose loaded backend was seen by a process inside it."""

    pod: str
    uid: str
    started_at: datetime
    """Start of the container that was looked into: a restart voids what was seen."""
    settings: BackendSettings
    seen_at: datetime
    error: str = ""


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


@dataclass(frozen=True)
class CensusRecord:
    """The runs that held offloaded values when a census Job looked."""

    job: str
    attempt: int
    taken_at: datetime
    runs: tuple[OffloadedRun, ...]
    old_runs: frozenset[RunKey] = frozenset()
    """Runs that had a task pod of the old environment when the Job was created."""
    after_revert: bool = False
    """Whether the Job was created after a kill had delivered the database backend."""


class RunStage(StrEnum):
    FOUND = "Found"
    STOPPED = "Stopped"
    CLEARED = "Cleared"
    RECOVERED = "Recovered"
    FAILED = "Failed"


@dataclass(frozen=True)
class RecoveringRun:
    """A run that a kill re-triggers, and how far that has come."""

    key: RunKey
    rows: int
    stage: RunStage = RunStage.FOUND
    start_date: str | None = None
    """The run's start as Airflow gave it before the clear; a clear resets it."""
    message: str = ""


@dataclass(frozen=True)
class Kill:
    """One use of the kill-switch. Once begun it is carried to its end."""

    attempt: int
    engaged_at: datetime
    by: str
    reason: str
    held_dags: tuple[str, ...] = ()
    """DAGs that the operator paused and will unpause; those paused by people are not here."""
    released_dags: tuple[str, ...] = ()
    hold_error: str = ""
    """Why DAGs could not be paused before the revert; the revert does not wait for them."""
    reverted_at: datetime | None = None
    runs: tuple[RecoveringRun, ...] = ()
    verified: bool = False
    """Whether a census has shown that the re-runs hold inline values only."""
    finished_at: datetime | None = None
    queued_at: datetime | None = None
    """When the last run to clear had been cleared."""

    def with_run(self, run: RecoveringRun) -> "Kill":
        return self.with_runs((run,))

    def with_runs(self, changed: tuple[RecoveringRun, ...]) -> "Kill":
        by_key = {run.key: run for run in self.runs} | {run.key: run for run in changed}
        return replace(self, runs=tuple(by_key[key] for key in sorted(by_key)))


@dataclass(frozen=True)
class Delivered:
    """The settings that the operator delivered last, and the Helm revision that holds them."""

    settings: BackendSettings
    revision: int
    at: datetime


@dataclass(frozen=True)
class Ledger:
    """Everything remembered of one rollout."""

    baseline: BackendSettings | None = None
    """The owned settings found before the first flip; the kill-switch restores them."""
    delivered: Delivered | None = None
    proofs: tuple[Proof, ...] = ()
    readers: tuple[Reader, ...] = ()
    census: CensusRecord | None = None
    kill: Kill | None = None
    past_kills: tuple[Kill, ...] = ()
    resource_version: str | None = None
    """Version of the ConfigMap this was read from; None where there is none yet."""

    def proof(self, component: Component) -> Proof | None:
        return next((proof for proof in self.proofs if proof.component is component), None)
