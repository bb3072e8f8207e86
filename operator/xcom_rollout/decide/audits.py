"""The audits: tasks whose values would fail or change with the new backend, found before the flip.

The findings of an audit are on record; whether they hold the rollout is decided here, by the spec:
accepting a finding needs no new audit.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from xcom_rollout.api.durations import parse_duration
from xcom_rollout.api.v1alpha1 import AcceptedFinding, AuditGate
from xcom_rollout.decide.actions import Report, WriteLedger, reports_name
from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.ledger import (
    Audit,
    AuditFinding,
    AuditKind,
    Component,
    Confidence,
    Effect,
    Verdict,
)
from xcom_rollout.decide.observed import AuditResult, JobKind, ProbeJob
from xcom_rollout.decide.probe_jobs import (
    AUDIT_OF,
    Answered,
    Due,
    Failed,
    ProbeRequest,
    Running,
    newest_attempt,
    request_job,
)
from xcom_rollout.decide.situation import Situation, some
from xcom_rollout.decide.table import act, done, hold, wait

AUDIT_RETRY: Final = timedelta(hours=1)
"""How long after an audit with open findings the next one begins: it may read millions of rows."""
ERROR_RETRY: Final = timedelta(seconds=60)
"""The same after an audit that could not run."""
EVERY_KIND: Final = (AuditKind.STATIC, AuditKind.DYNAMIC)
"""In the order in which they run: the cheap one first."""
_JOB_KIND: Final = {audit: job for job, audit in AUDIT_OF.items()}
_COMPONENT: Final = {AuditKind.STATIC: Component.WORKER, AuditKind.DYNAMIC: Component.SCHEDULER}
"""Task pods have the DAG folder, the scheduler has the database."""
_SURENESS: Final = tuple(Confidence)


def audited(s: Situation) -> Finding:
    """The audits that the spec asks for are current, and nothing that they found is open."""
    gate = s.spec.gates.audit
    if gate is None:
        return done("NotRequired", "spec.gates.audit is not set: no audit is required")
    if s.release.settings == s.target:
        return done("Audited", "the cut-over has taken place")
    running: list[str] = []
    for kind in asked(gate):
        audit = s.ledger.audit(kind)
        if _counts(s, gate, audit):
            continue
        request = ProbeRequest(_JOB_KIND[kind], _COMPONENT[kind], s.observed.digest)
        match newest_attempt(s, request, AuditResult, retry=ERROR_RETRY):
            case Running(job):
                running.append(f"{kind} ({job.message or job.name})")
            case Answered(job, result):
                return _record(s, _audit(s, kind, job, result), Report(kind.value, result.report))
            case Failed(job, why):
                broken = AuditResult(Verdict.ERROR, (), 0, (), (), message=why)
                return _record(s, _audit(s, kind, job, broken))
            case Due():
                error = _error(s, audit)
                return error if error is not None else _start(s, gate, request)
    if running:
        return wait("AuditsRunning", f"auditing: {some(running)}", seconds=2)
    return _open_findings(s, gate)


def asked(gate: AuditGate | None) -> tuple[AuditKind, ...]:
    """Return the audits that a spec asks for."""
    if gate is None:
        return ()
    wanted = {AuditKind.STATIC: gate.static, AuditKind.DYNAMIC: gate.dynamic}
    return tuple(kind for kind in EVERY_KIND if wanted[kind] is not None)


def holding(gate: AuditGate, audit: Audit) -> tuple[AuditFinding, ...]:
    """Return the findings that hold a rollout, the worst first."""
    return tuple(
        found
        for found in audit.findings
        if _matters(gate, audit, found) and not _is_accepted(gate, found)
    )


def accepted(gate: AuditGate, audit: Audit) -> tuple[AuditFinding, ...]:
    """Return the findings that would hold a rollout, had nobody accepted them."""
    return tuple(
        found
        for found in audit.findings
        if _matters(gate, audit, found) and _is_accepted(gate, found)
    )


def unknown(gate: AuditGate, audit: Audit) -> int:
    """Return how many findings that the ledger has no room for may hold a rollout.

    The surest are kept first: where a kept one is not sure enough to matter, those left out are
    not either.
    """
    kept = all(_matters(gate, audit, found) for found in audit.findings)
    return audit.left_out if kept else 0


def verdict(gate: AuditGate, audit: Audit) -> Verdict:
    """Return whether the audit lets a rollout pass, by what its spec accepts."""
    if audit.verdict is Verdict.ERROR:
        return Verdict.ERROR
    red = holding(gate, audit) or unknown(gate, audit)
    return Verdict.FAIL if red else Verdict.PASS


def _matters(gate: AuditGate, audit: Audit, found: AuditFinding) -> bool:
    if audit.kind is AuditKind.DYNAMIC or found.effect is Effect.UNSEEN:
        return True
    least = Confidence(gate.static.fail_on) if gate.static else Confidence.HIGH
    return _SURENESS.index(found.confidence) <= _SURENESS.index(least)


def _is_accepted(gate: AuditGate, found: AuditFinding) -> bool:
    return any(_matches(entry, found) for entry in gate.accepted)


def _matches(entry: AcceptedFinding, found: AuditFinding) -> bool:
    pairs = (
        (entry.dag_id, found.dag_id),
        (entry.task_id, found.task_id),
        (entry.file, found.file),
        (entry.kind, found.kind),
    )
    return all(wanted is None or wanted == seen for wanted, seen in pairs)


def _counts(s: Situation, gate: AuditGate, audit: Audit | None) -> bool:
    """Whether an audit is valid now; one with open findings is valid for a limited time."""
    if audit is None or audit.digest != s.observed.digest or audit.verdict is Verdict.ERROR:
        return False
    if verdict(gate, audit) is Verdict.FAIL:
        return s.now < audit.observed_at + AUDIT_RETRY
    return s.now < audit.observed_at + parse_duration(gate.max_age)


def _start(s: Situation, gate: AuditGate, request: ProbeRequest) -> Finding:
    if request.kind is JobKind.AUDIT_STATIC:
        what = "the DAG code"
        arguments = list(_static_arguments(gate))
        candidate = None
    else:
        what = "the values in the table"
        arguments = list(_dynamic_arguments(s, gate))
        candidate = s.target
    job = request_job(
        s,
        request,
        arguments,
        candidate=candidate,
        deadline=parse_duration(gate.timeout),
    )
    return act(
        "StartingAudit",
        f"starting audit attempt {job.attempt} of {what} in a clone of the {request.component}",
        job,
    )


def _static_arguments(gate: AuditGate) -> Iterator[str]:
    least = gate.static.fail_on if gate.static else Confidence.HIGH
    yield from ("audit", "--static", "--fail-on", least.lower())


def _dynamic_arguments(s: Situation, gate: AuditGate) -> Iterator[str]:
    yield from ("audit", "--dynamic", "--threshold", s.spec.threshold.bytes)
    yield from ("--base", s.spec.backend.object_storage.path)
    if gate.dynamic is not None and gate.dynamic.since is not None:
        seconds = parse_duration(gate.dynamic.since).total_seconds()
        yield from ("--since", f"{seconds:.0f}s")


def _audit(s: Situation, kind: AuditKind, job: ProbeJob, result: AuditResult) -> Audit:
    return Audit(
        kind=kind,
        digest=job.digest,
        attempt=job.attempt,
        verdict=result.verdict,
        observed_at=job.finished_at or s.now,
        job=job.name,
        findings=result.findings,
        left_out=result.left_out,
        failed=result.failed,
        facts=result.facts,
        message=result.message,
    )


def _record(s: Situation, audit: Audit, report: Report | None = None) -> Finding:
    others = tuple(a for a in s.ledger.audits if a.kind is not audit.kind)
    return act(
        "RecordingAudit",
        f"the {audit.kind} audit finished: {len(audit.findings) + audit.left_out} findings",
        WriteLedger(
            replace(s.ledger, audits=(*others, audit)),
            f"{audit.kind} audit {audit.attempt}: {audit.verdict}",
            report,
        ),
    )


def _error(s: Situation, audit: Audit | None) -> Finding | None:
    """Return what holds after an audit that could not run; None where the next one is due."""
    if audit is None or audit.digest != s.observed.digest or audit.verdict is not Verdict.ERROR:
        return None
    again = audit.observed_at + ERROR_RETRY
    if s.now >= again:
        return None
    checks = "; ".join(f"{check.name}: {check.observed}. {check.remedy}" for check in audit.failed)
    return hold(
        "AuditError",
        f"the {audit.kind} audit could not run: {checks or audit.message}. See: kubectl describe "
        f"job {audit.job} -n {s.observed.rollout.namespace}. The next attempt starts at "
        f"{again:%H:%M:%SZ}.",
        after=min(again - s.now, timedelta(seconds=15)),
    )


def _open_findings(s: Situation, gate: AuditGate) -> Finding:
    audits = [audit for kind in asked(gate) if (audit := s.ledger.audit(kind)) is not None]
    red = [audit for audit in audits if verdict(gate, audit) is not Verdict.PASS]
    if red:
        again = min(audit.observed_at for audit in red) + AUDIT_RETRY
        findings = "; ".join(_describe(gate, audit) for audit in red)
        return hold(
            "AuditFailed",
            f"{findings}. {_remedy(s, gate, red)} The next audit starts at {again:%H:%M:%SZ}.",
        )
    taken = sum(len(accepted(gate, audit)) for audit in audits)
    kinds = " and ".join(f"the {audit.kind} audit" for audit in audits)
    if taken:
        return done(
            "AuditsGreen",
            f"{kinds} found nothing unaccepted; spec.gates.audit.accepted accepts {taken}",
        )
    return done("AuditsGreen", f"{kinds} found no task that would fail or change")


def _describe(gate: AuditGate, audit: Audit) -> str:
    found = holding(gate, audit)
    count = len(found) + unknown(gate, audit)
    return (
        f"the {audit.kind} audit has findings that are not accepted ({count}): "
        f"{some(list(map(str, found)))}"
    )


def _remedy(s: Situation, gate: AuditGate, red: Sequence[Audit]) -> str:
    rollout = s.observed.rollout
    found = [entry for audit in red for entry in holding(gate, audit)]
    unread = [entry for entry in found if entry.effect is Effect.UNSEEN]
    sentences = [
        f"The ConfigMap {reports_name(rollout.name)} lists all findings with a remedy for each."
    ]
    if len(unread) < len(found) or any(unknown(gate, audit) for audit in red):
        sentences.append(
            "Change these tasks, or accept them in spec.gates.audit.accepted, by dagId, taskId, "
            "file or kind."
        )
    if unread:
        entries = some([f"{{file: {json.dumps(entry.file)}}}" for entry in unread])
        sentences.append(
            "For a file that could not be read: fix it, or audit a checkout of the bundle with "
            f"xbr audit FOLDER and then add an entry to spec.gates.audit.accepted: {entries}."
        )
    sentences.append(
        f"To request a new audit after a change: kubectl xbr prove {rollout.name} -n "
        f"{rollout.namespace}."
    )
    return " ".join(sentences)
