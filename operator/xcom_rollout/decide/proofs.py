"""The proofs: what the probe found in pods cloned from the real ones, with the settings to come."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from xcom_rollout.decide.actions import WriteLedger
from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.executors import (
    Host,
    executor_known,
    hosts_of,
    not_supported,
    pool_unsupported,
    proven_components,
    unsupported,
)
from xcom_rollout.decide.ledger import Component, Drift, Proof, Verdict
from xcom_rollout.decide.observed import JobKind, ProbeJob, ProofResult
from xcom_rollout.decide.probe_jobs import (
    MAY_CONNECT,
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

PROOF_RETRY: Final = timedelta(seconds=60)
"""How long after a failed proof the next attempt begins, if nothing that it proved changes."""
_NOT_CONNECTED: Final = re.compile(
    r"tim(ed|e)[ -]?out|could not connect|cannot connect|can't connect|connection \w*\s?refused"
    r"|connection reset|closed the connection|unreachable|no route|resolve host|name resolution"
    r"|name or service not known|connecttimeout|endpointconnection",
    re.IGNORECASE,
)
"""Messages of database drivers and S3 clients for a connection that failed."""


def proven(s: Situation) -> Finding:
    """Each pod template has a green, current proof of the settings to come."""
    if s.release.settings == s.target:
        return done("Proven", "the proven settings are delivered")
    if s.observed.problems:
        return hold("CannotObserve", some(list(s.observed.problems)))
    samples = s.spec.gates.round_trip.samples_ref
    if samples is not None and s.observed.samples_missing:
        namespace = s.observed.rollout.namespace
        return hold(
            "SamplesNotFound",
            f"spec.gates.roundTrip.samplesRef.name: there is no ConfigMap {samples.name!r} in the "
            f"namespace {namespace!r}; create it with: kubectl create configmap {samples.name} -n "
            f"{namespace} --from-file=FOLDER, or remove samplesRef",
        )
    running: list[str] = []
    components = proven_components(executor_known(s.observed.executor, s.ledger))
    for component in components:
        if _valid(s, s.ledger.proof(component)):
            continue
        request = ProbeRequest(JobKind.PROOF, component, s.observed.digest)
        match newest_attempt(s, request, ProofResult, retry=PROOF_RETRY):
            case Running(job):
                running.append(f"{component} ({job.message or job.name})")
            case Answered(job, result):
                return _record(s, _proof(s, job, result))
            case Failed(job, why):
                broken = ProofResult(Verdict.ERROR, (), (), (), "", message=why)
                return _record(s, _proof(s, job, broken))
            case Due():
                red = _red(s, s.ledger.proof(component))
                return red if red is not None else _start(s, request)
    if running:
        return wait("ProofsRunning", f"proving in clones of {some(running)}")
    return _drift_and_executor(s, components)


def _valid(s: Situation, proof: Proof | None) -> bool:
    return (
        proof is not None
        and proof.verdict is Verdict.PASS
        and proof.digest == s.observed.digest
        and s.now < proof.observed_at + s.spec.proof_max_age()
    )


def _start(s: Situation, request: ProbeRequest) -> Finding:
    storage, gates = s.spec.backend.object_storage, s.spec.gates
    arguments = ["prove", "--expect-path", storage.path]
    arguments += ["--expect-threshold", s.spec.threshold.bytes]
    if storage.compression:
        arguments += ["--expect-compression", storage.compression]
    if gates.preflight.functional_s3:
        arguments.append("--functional-s3")
    samples = gates.round_trip.samples_ref
    job = request_job(
        s,
        request,
        arguments,
        candidate=s.target,
        samples=samples.name if samples is not None else None,
    )
    return act(
        "StartingProof",
        f"starting proof attempt {job.attempt} in a clone of the {request.component}",
        job,
    )


def _proof(s: Situation, job: ProbeJob, result: ProofResult) -> Proof:
    return Proof(
        component=job.component,
        digest=job.digest,
        attempt=job.attempt,
        verdict=result.verdict,
        observed_at=job.finished_at or s.now,
        job=job.name,
        failed=result.failed,
        warnings=result.warnings,
        facts=result.facts,
        drift=result.drift,
        executor=result.executor,
        message=result.message,
    )


def _record(s: Situation, proof: Proof) -> Finding:
    others = tuple(p for p in s.ledger.proofs if p.component is not proof.component)
    return act(
        "RecordingProof",
        f"the proof in the {proof.component} pod finished: {proof.verdict}",
        WriteLedger(
            replace(s.ledger, proofs=(*others, proof)),
            f"proof {proof.attempt} of the {proof.component}: {proof.verdict}",
        ),
    )


def _red(s: Situation, proof: Proof | None) -> Finding | None:
    """Return what holds, until the next attempt is due; None where it is."""
    if proof is None or proof.digest != s.observed.digest or proof.verdict is Verdict.PASS:
        return None
    again = proof.observed_at + PROOF_RETRY
    if s.now >= again:
        return None
    retry = f"The next attempt starts at {again:%H:%M:%SZ}."
    after = min(again - s.now, timedelta(seconds=15))
    if proof.verdict is Verdict.ERROR and not proof.failed:
        return hold(
            "ProofError",
            f"the proof in the {proof.component} pod could not run: {proof.message}. See: kubectl "
            f"describe job {proof.job} -n {s.observed.rollout.namespace}. A Job that could not "
            f"connect: {MAY_CONNECT}. {retry}",
            after=after,
        )
    checks = "; ".join(
        f"check {check.name}: observed {check.observed}, expected {check.expected}. {check.remedy}"
        for check in proof.failed
    )
    if any(_NOT_CONNECTED.search(check.observed) for check in proof.failed):
        checks += f" Where Airflow's own pods connect: {MAY_CONNECT}."
    return hold("ProofFailed", f"in the {proof.component} pod: {checks} {retry}", after=after)


def _drift_and_executor(s: Situation, components: Sequence[Component]) -> Finding:
    # A KubernetesExecutor task pod itself reports LocalExecutor: that is how it runs its one task.
    scheduler = s.ledger.proof(Component.SCHEDULER)
    executor = scheduler.executor if scheduler else ""
    if why := unsupported(executor):
        return not_supported(f"the scheduler runs with [core] executor = {executor!r}", why)
    worker = s.ledger.proof(Component.WORKER)
    pool = dict(worker.facts).get("celeryPool", "") if worker else ""
    if why := pool_unsupported(executor, pool):
        return not_supported(f"[core] executor = {executor!r}", why)
    if (unproven := _unproven_host(s, executor, components)) is not None:
        return unproven
    proofs = [proof for proof in s.ledger.proofs if proof.component in components]
    accepted = s.spec.gates.round_trip.accepted_drift
    for proof in proofs:
        refused = [drift for drift in proof.drift if drift.name not in accepted]
        if refused:
            names = ", ".join(drift.name for drift in refused)
            return hold(
                "DriftNotAccepted",
                f"in the {proof.component} pod, with the new backend: {_describe(refused)}. Use "
                "another version of the provider, or accept the change with "
                f"spec.gates.roundTrip.acceptedDrift: [{names}]; spec.gates.audit finds the tasks "
                "that it affects",
            )
    newest = max(proof.observed_at for proof in proofs)
    return done(
        "ProofsGreen",
        f"{len(components)} proofs are green for digest {s.observed.digest[:12]}, the "
        f"newest of {newest:%Y-%m-%dT%H:%M:%SZ}",
    )


def _unproven_host(s: Situation, executor: str, components: Sequence[Component]) -> Finding | None:
    """Return what holds where tasks run in pods whose template no proof was made of."""
    if not set(proven_components(executor)) <= set(components):
        return hold(
            "CannotObserve",
            f"the scheduler runs with [core] executor = {executor!r}, and {s.observed.executor!r} "
            "is written for it, which decides of which pods proofs are made. Write "
            "the value itself in its place, in airflow.cfg or as a variable of the scheduler",
        )
    workers = [load for load in s.observed.workloads if load.component == Component.WORKER]
    if Host.WORKER in hosts_of(executor) and not workers:
        return hold(
            "CannotObserve",
            f"with [core] executor = {executor!r} tasks run in workers, and no Deployment or "
            "StatefulSet of the release has the label component=worker; the operator finds "
            "Airflow's pods by the labels of its chart",
        )
    return None


def _describe(refused: list[Drift]) -> str:
    return "; ".join(
        f"{drift.name}: {drift.meaning} ({some(list(drift.values))})" for drift in refused
    )
