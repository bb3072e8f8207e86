"""The states of a Job that runs the probe: due, running, answered, or failed until the next try.

A Job is created for a request. Attempts are numbered: those that the ledger has on record are
over, and a newer one shows the state of the request.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from xcom_rollout.api import names
from xcom_rollout.decide.actions import RunJob
from xcom_rollout.decide.bases import base_arguments
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
_ONE_AT_A_TIME: Final = frozenset(
    {JobKind.PROOF, JobKind.AUDIT_STATIC, JobKind.AUDIT_DYNAMIC, JobKind.CALIBRATION}
)
NO_RESULT: Final = "the Job ended without a result"

R = TypeVar("R", bound=ProbeResult)


MAY_CONNECT: Final = (
    "check that its pod (labels tier and release as on Airflow's pods, "
    f"component={names.JOB_COMPONENT}) can reach the database and the bucket: NetworkPolicies, "
    "PgBouncer, a service mesh (spec.gates.jobs)"
)
"""What to check where a Job's pod cannot connect."""
JOB_RETRY: Final = timedelta(seconds=5)
LONGEST_RETRY: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class ProbeRequest:
    """What Jobs are created for."""

    kind: JobKind
    component: Component
    purpose: str
    """What an answer is bound to: a digest, or a moment of a kill."""

    @classmethod
    def of_scheduler(cls, kind: JobKind, purpose: str) -> "ProbeRequest":
        return cls(kind, Component.SCHEDULER, purpose)


@dataclass(frozen=True)
class Due:
    """No attempt is running, and none has failed recently."""


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
    s: Situation,
    request: ProbeRequest,
    result: type[R],
    *,
    retry: timedelta,
    recorded: int | None = None,
) -> Due | Running | Answered[R] | Failed:
    """Return the state of the newest attempt that the ledger does not have yet.

    Args:
        result: type of the Job's answer.
        retry: delay after a failed attempt until the next one is due; each further failed attempt
            doubles it.
        recorded: newest attempt on record; None: as the ledger says for this kind.
    """
    jobs = _attempts(s, request, recorded)
    if not jobs:
        other = _running_for_another(s, request)
        return Due() if other is None else Running(other)
    newest = jobs[-1]
    if newest.state is JobState.RUNNING:
        return Running(newest)
    found = newest.result
    if isinstance(found, result) and found.is_answer:
        return Answered(newest, found)
    delay = min(retry * 2 ** min(len(jobs) - 1, 10), max(retry, LONGEST_RETRY))
    again = (newest.finished_at or newest.created_at) + delay
    if s.now >= again:
        return Due()
    return Failed(newest, _why(newest), again)


def failed_since(s: Situation, request: ProbeRequest, result: type[ProbeResult]) -> list[str]:
    """Return the error of each attempt newer than the last answer on record, oldest first."""
    return [
        _why(job)
        for job in _attempts(s, request)
        if job.state is not JobState.RUNNING
        and not (isinstance(job.result, result) and job.result.is_answer)
    ]


def _attempts(s: Situation, request: ProbeRequest, recorded: int | None = None) -> list[ProbeJob]:
    """Return the attempts that the ledger does not have yet, oldest first."""
    if recorded is None:
        recorded = recorded_attempt(s.ledger, request.kind, request.component)
    jobs = [
        job
        for job in s.observed.jobs
        if job.kind is request.kind
        and job.component is request.component
        and job.digest == request.purpose
        and job.attempt > recorded
    ]
    return sorted(jobs, key=lambda job: job.attempt)


def _why(job: ProbeJob) -> str:
    said = job.message if job.result is None else job.result.message
    return said or NO_RESULT


def _running_for_another(s: Situation, request: ProbeRequest) -> ProbeJob | None:
    """Return a Job of the same kind for another digest: one at a time, however often it changes.

    A kill starts its censuses whatever else runs.
    """
    if request.kind not in _ONE_AT_A_TIME:
        return None
    return next(
        (
            job
            for job in s.observed.jobs
            if job.kind is request.kind
            and job.component is request.component
            and job.state is JobState.RUNNING
        ),
        None,
    )


def request_job(
    s: Situation,
    request: ProbeRequest,
    arguments: Iterable[str],
    *,
    candidate: BackendSettings | None = None,
    deadline: timedelta | None = None,
    samples: str | None = None,
    runs: tuple[RunKey, ...] = (),
) -> RunJob:
    """Return the action that starts the next attempt; see `RunJob` for its arguments."""
    return RunJob(
        kind=request.kind,
        component=request.component,
        attempt=_next_attempt(s, request),
        digest=request.purpose,
        candidate=candidate,
        arguments=tuple(arguments),
        deadline=deadline,
        samples=samples,
        runs=runs,
    )


def rehydrate_arguments(s: Situation) -> tuple[str, ...]:
    accepted = "json-strings" in s.spec.gates.round_trip.accepted_drift
    drift = ("--accept-drift", "json-strings") if accepted else ()
    return ("rehydrate", *drift, *base_arguments(s))


def census_arguments(s: Situation) -> tuple[str, ...]:
    return ("census", *base_arguments(s))


def record_of(job: ProbeJob, result: CensusResult) -> CensusRecord:
    """Return what the ledger keeps of a census."""
    return CensusRecord(
        job=job.name,
        attempt=job.attempt,
        taken_at=job.created_at,
        runs=result.runs,
        purpose=job.digest,
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
        case JobKind.EMPTY:
            return ledger.kill.emptied_attempt if ledger.kill else 0
        case JobKind.REHYDRATE:
            return ledger.kill.rehydrated_attempt if ledger.kill else 0
        case JobKind.VERIFY | JobKind.STANDBY:
            record = None
    return 0 if record is None else record.attempt


def _next_attempt(s: Situation, request: ProbeRequest) -> int:
    """Return a number that no such Job has had, as far as recorded."""
    numbers = [
        job.attempt
        for job in s.observed.jobs
        if job.kind is request.kind and job.component is request.component
    ]
    recorded = recorded_attempt(s.ledger, request.kind, request.component)
    return max(recorded, *numbers, 0) + 1
