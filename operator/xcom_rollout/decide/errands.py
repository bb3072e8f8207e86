"""The life of a Job that runs the probe: due, running, and answered or failed for a while.

A Job is sent on an errand. What comes of it counts by its attempt: one that the ledger has on
record is over, and a newer one tells how the errand stands.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from xcom_rollout.decide.actions import RunJob
from xcom_rollout.decide.ledger import (
    Audit,
    AuditKind,
    Calibration,
    CensusRecord,
    Component,
    Ledger,
    Proof,
    RunKey,
)
from xcom_rollout.decide.observed import CensusResult, JobKind, JobState, ProbeJob, ProbeResult
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.decide.situation import Situation

AUDIT_OF: Final = {
    JobKind.AUDIT_STATIC: AuditKind.STATIC,
    JobKind.AUDIT_DYNAMIC: AuditKind.DYNAMIC,
}
NO_RESULT: Final = "the Job ended without a result"

R = TypeVar("R", bound=ProbeResult)


@dataclass(frozen=True)
class Errand:
    """What Jobs are sent for."""

    kind: JobKind
    component: Component
    purpose: str
    """What an answer is bound to: a digest, or the kill that wants to know."""


@dataclass(frozen=True)
class Due:
    """No attempt is under way, and none has failed a moment ago."""


@dataclass(frozen=True)
class Running:
    job: ProbeJob


@dataclass(frozen=True)
class Answered(Generic[R]):
    """The Job found what it was sent for, and the ledger does not have it yet."""

    job: ProbeJob
    result: R


@dataclass(frozen=True)
class Failed:
    """The Job ended without an answer; the next attempt is due at `again`."""

    job: ProbeJob
    why: str
    again: datetime


def newest_attempt(
    s: Situation, errand: Errand, result: type[R], *, retry: timedelta
) -> Due | Running | Answered[R] | Failed:
    """Return how the newest attempt stands that the ledger does not have yet.

    Args:
        result: what the Job brings back when it has an answer.
        retry: how long a failed attempt keeps the next one from being due.
    """
    recorded = recorded_attempt(s.ledger, errand.kind, errand.component)
    jobs = [
        job
        for job in s.observed.jobs
        if job.kind is errand.kind
        and job.component is errand.component
        and job.digest == errand.purpose
        and job.attempt > recorded
    ]
    if not jobs:
        return Due()
    newest = max(jobs, key=lambda job: job.attempt)
    if newest.state is JobState.RUNNING:
        return Running(newest)
    found = newest.result
    if isinstance(found, result) and found.is_answer:
        return Answered(newest, found)
    again = (newest.finished_at or newest.created_at) + retry
    if s.now >= again:
        return Due()
    why = found.message if found is not None else newest.message
    return Failed(newest, why or NO_RESULT, again)


def send(
    s: Situation,
    errand: Errand,
    arguments: Iterable[str],
    *,
    candidate: BackendSettings | None = None,
    deadline: timedelta | None = None,
    samples: str | None = None,
    runs: tuple[RunKey, ...] = (),
    old_runs: frozenset[RunKey] = frozenset(),
) -> RunJob:
    """Return the action that makes the next attempt; see `RunJob` for what it is given."""
    return RunJob(
        kind=errand.kind,
        component=errand.component,
        attempt=_next_attempt(s, errand),
        digest=errand.purpose,
        candidate=candidate,
        arguments=tuple(arguments),
        deadline=deadline,
        samples=samples,
        runs=runs,
        old_runs=old_runs,
    )


def count_offloaded(
    s: Situation,
    kind: JobKind,
    purpose: str,
    *,
    runs: tuple[RunKey, ...] = (),
    old_runs: frozenset[RunKey] = frozenset(),
) -> RunJob:
    """Return the action that counts offloaded values: in all runs in flight, or in `runs`."""
    return send(
        s,
        Errand(kind, Component.SCHEDULER, purpose),
        ("census", "--base", s.spec.backend.object_storage.path),
        runs=runs,
        old_runs=old_runs,
    )


def record_of(job: ProbeJob, result: CensusResult, *, after_revert: bool = False) -> CensusRecord:
    """Return what the ledger keeps of a census."""
    return CensusRecord(
        job=job.name,
        attempt=job.attempt,
        taken_at=job.created_at,
        runs=result.runs,
        old_runs=job.old_runs,
        after_revert=after_revert,
    )


def recorded_attempt(ledger: Ledger, kind: JobKind, component: Component) -> int:
    """Return the newest attempt that the ledger has on record, 0 for none."""
    record: Proof | Audit | Calibration | CensusRecord | None = None
    match kind:
        case JobKind.PROOF:
            record = ledger.proof(component)
        case JobKind.AUDIT_STATIC | JobKind.AUDIT_DYNAMIC:
            record = ledger.audit(AUDIT_OF[kind])
        case JobKind.CALIBRATION:
            record = ledger.calibration
        case JobKind.CENSUS:
            record = ledger.census
        case JobKind.VERIFY:
            record = None  # the kill itself says whether it is verified
    return 0 if record is None else record.attempt


def _next_attempt(s: Situation, errand: Errand) -> int:
    """Return a number that no such Job has had, as far as is remembered."""
    numbers = [
        job.attempt
        for job in s.observed.jobs
        if job.kind is errand.kind and job.component is errand.component
    ]
    recorded = recorded_attempt(s.ledger, errand.kind, errand.component)
    return max(recorded, *numbers, 0) + 1
