"""The status of a rollout, made from what was seen and decided. Pure, and the only writer of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from xcom_rollout.api.durations import parse_duration
from xcom_rollout.api.names import DOMAIN_CONDITIONS, Condition
from xcom_rollout.api.v1alpha1 import AuditGate
from xcom_rollout.decide.actions import WriteLedger, reports_name
from xcom_rollout.decide.audits import accepted, asked, holding, unknown, verdict
from xcom_rollout.decide.decision import Decision, Progress, StepFinding
from xcom_rollout.decide.ledger import (
    Audit,
    BuildSeen,
    Calibration,
    Effect,
    Kill,
    Proof,
    RecoveringRun,
    RunStage,
)
from xcom_rollout.decide.observed import Observed
from xcom_rollout.decide.requests import Attestation, attestation
from xcom_rollout.decide.situation import Situation

MOST_HISTORY: Final = 50
MOST_FINDINGS: Final = 20
"""Findings of an audit that the status shows; the ConfigMap has them all."""
MESSAGE_LIMIT: Final = 4096
"""Longest condition message, in characters; the API convention allows 32768."""

OBSERVE_FAILED: Final = "ObserveFailed"
ACTION_FAILED: Final = "ActionFailed"
FAILED: Final = (OBSERVE_FAILED, ACTION_FAILED)
"""Reasons of a pass that ended in an error."""
INVALID_SPEC: Final = "InvalidSpec"

Status = dict[str, Any]


def summarize(
    observed: Observed, decision: Decision, now: datetime, previous: Mapping[str, Any]
) -> Status:
    """Return the whole status as plain JSON data.

    Unchanged input gives an unchanged status, so that an idle rollout causes no write: a condition
    keeps its `lastTransitionTime` until its status changes.
    """
    s = Situation(observed, now)
    ledger, release = observed.ledger, observed.release
    status: Status = {
        "observedGeneration": observed.rollout.generation,
        "phase": decision.phase,
        "conditions": _conditions(s, decision, previous.get("conditions") or []),
        "history": _history(decision, now, previous.get("history") or []),
        "proofs": [_proof(s, proof) for proof in ledger.proofs],
    }
    if gate := s.spec.gates.audit:
        wanted = (ledger.audit(kind) for kind in asked(gate))
        status["audits"] = [_audit(s, gate, audit) for audit in wanted if audit is not None]
    if s.spec.threshold.calibrate and ledger.calibration is not None:
        status["calibration"] = _calibration(s, ledger.calibration)
    if release is not None:
        settings = release.settings
        status["delivery"] = {"revision": release.revision, "settings": settings.describe()}
        if release.values_path:
            status["delivery"]["valuesPath"] = ".".join(release.values_path)
        if settings.reads_offloaded:
            status["threshold"] = settings.threshold
    status["rehearsal"] = _rehearsal(s)
    if s.spec.gates.provenance is not None and ledger.build is not None:
        status["provenance"] = _provenance(ledger.build)
    if ledger.census is not None:
        status["offloadedRuns"] = {
            "count": len(ledger.census.runs),
            "takenAt": _time(ledger.census.taken_at),
            "listRef": {"name": offloaded_runs_name(observed.rollout.name)},
        }
    if ledger.kill is not None:
        status["killSwitch"] = _kill(observed.rollout.name, ledger.kill)
    return status


def offloaded_runs_name(rollout: str) -> str:
    """Return the name of the ConfigMap with the list of runs that hold offloaded values."""
    return f"xbr-{rollout}-offloaded-runs"


def failure(
    generation: int,
    reason: str,
    message: str,
    now: datetime,
    previous: Mapping[str, Any],
    *,
    accepted: bool = True,
    lasting: bool = False,
) -> Status:
    """Return the previous status with a pass that failed: invalid spec, or an error.

    `accepted` is False when the spec itself is invalid, `lasting` says that passes have failed for
    long: both need a person.
    """
    before = _by_type(previous)
    held = lasting or not accepted
    new = _of_failure(reason, message, before, generation, held=held)
    if not accepted:
        new[Condition.ACCEPTED] = ("False", reason, message)
    conditions = before | {
        kind: _condition(kind, *values, generation, now, before) for kind, values in new.items()
    }
    status = dict(previous)
    status.setdefault("phase", "Refused" if not accepted else "Preparing")
    if not accepted:
        status["phase"] = "Refused"
    status["observedGeneration"] = generation
    status["conditions"] = _in_order(conditions.values())
    return status


def failure_lasts(status: Mapping[str, Any]) -> bool:
    """Whether the status shows a failure that has lasted."""
    stalled = _by_type(status).get(Condition.STALLED, {})
    return stalled.get("status") == "True" and stalled.get("reason") in FAILED


def still_failing(decided: Status, previous: Mapping[str, Any], now: datetime) -> Status:
    """Return what was decided, with the failure that the previous status shows.

    For a try after a failed one: otherwise the status would alternate between progress and failure
    with each try.
    """
    before = _by_type(previous)
    shown = before.get(Condition.READY, {})
    if shown.get("reason") not in FAILED:
        return decided
    generation, present = decided["observedGeneration"], _by_type(decided)
    held = failure_lasts(previous)
    failed = _of_failure(shown["reason"], shown["message"], present, generation, held=held)
    conditions = present | {
        kind: _condition(kind, *values, generation, now, before) for kind, values in failed.items()
    }
    return decided | {"conditions": _in_order(conditions.values())}


def _of_failure(
    reason: str,
    message: str,
    present: Mapping[str, Mapping[str, Any]],
    generation: int,
    *,
    held: bool,
) -> dict[str, tuple[str, str, str]]:
    """Return the condition of a failure; what waits for a person, by `present`, is kept."""
    values = {
        Condition.READY: ("False", reason, message),
        Condition.RECONCILING: (_flag(not held), reason, message),
        Condition.STALLED: (_flag(held), reason, message),
    }
    stalled = present.get(Condition.STALLED, {})
    if (
        not held
        and stalled.get("status") == "True"
        and stalled.get("reason") not in FAILED
        and stalled.get("observedGeneration") == generation
    ):
        values[Condition.STALLED] = _kept(stalled)
    return values


def _by_type(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {str(entry["type"]): entry for entry in status.get("conditions") or []}


def _in_order(conditions: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(conditions, key=lambda entry: _ORDER.index(entry["type"]))


_ORDER: Final = (Condition.READY, Condition.RECONCILING, Condition.STALLED, *DOMAIN_CONDITIONS)
_GATES: Final = (
    Condition.PROVEN,
    Condition.CALIBRATED,
    Condition.AUDITED,
    Condition.REHEARSED,
    Condition.BUILD_CONFIRMED,
    Condition.ARMED,
)
"""Conditions that a kill leaves as they were."""


def _not_asked_for(s: Situation) -> frozenset[str]:
    """Return the conditions that the spec does not ask for: they are not shown."""
    wanted = {
        Condition.CALIBRATED: s.spec.threshold.calibrate,
        Condition.AUDITED: s.spec.gates.audit,
        Condition.BUILD_CONFIRMED: s.spec.gates.provenance,
    }
    return frozenset(kind for kind, value in wanted.items() if value is None)


def _conditions(
    s: Situation, decision: Decision, previous: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    before = {str(entry["type"]): entry for entry in previous}
    generation = s.observed.rollout.generation
    current = decision.current.finding
    progress = current.progress
    values: dict[str, tuple[str, str, str]] = {
        Condition.READY: (_flag(progress is Progress.DONE), current.reason, current.message),
        Condition.RECONCILING: (
            _flag(progress in (Progress.ACTING, Progress.WAITING)),
            current.reason,
            current.message,
        ),
        Condition.STALLED: _stalled(decision),
    }
    # Not all steps were evaluated; the next pass evaluates all of them.
    kept = _is_upkeep(decision) and before.get(Condition.READY, {}).get("status") == "True"
    if kept:
        values = {kind: _kept(before[kind]) for kind in values if kind in before}
    killing = s.ledger.kill is not None or s.kill_request is not None
    for kind in DOMAIN_CONDITIONS:
        if kind in _not_asked_for(s):
            continue
        findings = [found for found in decision.findings if found.condition == kind]
        if kept and kind in before:
            values[kind] = _kept(before[kind])
        elif findings:
            values[kind] = _of_findings(findings, decision)
        elif kind in before and (
            isinstance(current.action, WriteLedger) or (killing and kind in _GATES)
        ):
            # Nothing in the world has changed for a step that is about to be evaluated again.
            values[kind] = _kept(before[kind])
        elif killing and kind in (Condition.READERS_CONFIRMED, Condition.OFFLOADING):
            values[kind] = ("False", "KillSwitchEngaged", "the kill-switch is engaged")
        elif killing or kind not in (Condition.REVERTED, Condition.RECOVERED):
            values[kind] = ("False", "NotReached", f"waits for: {decision.current.step}")
    return [
        _condition(kind, *values[kind], generation, s.now, before)
        for kind in _ORDER
        if kind in values
    ]


def _is_upkeep(decision: Decision) -> bool:
    """Whether the action only repeats a check, which is not worth an entry."""
    current = decision.current.finding
    return current.progress is Progress.DONE and current.action is not None


def _stalled(decision: Decision) -> tuple[str, str, str]:
    """Return what is blocked, even where the rest continues."""
    held = [found.finding for found in decision.findings if found.finding.progress is Progress.HELD]
    shown = held[0] if held else decision.current.finding
    return _flag(bool(held)), shown.reason, shown.message


def _of_findings(findings: Sequence[StepFinding], decision: Decision) -> tuple[str, str, str]:
    open_findings = [found for found in findings if found.finding.progress is not Progress.DONE]
    if open_findings:
        shown = decision.current if decision.current in open_findings else open_findings[0]
        return "False", shown.finding.reason, shown.finding.message
    last = findings[-1].finding
    # A non-blocking step may be held while all later ones are done.
    reached_end = Progress.DONE in (
        decision.current.finding.progress,
        decision.findings[-1].finding.progress,
    )
    passed = reached_end or decision.findings[-1].condition != findings[-1].condition
    return _flag(passed), last.reason, last.message


def _condition(
    kind: str,
    status: str,
    reason: str,
    message: str,
    generation: int,
    now: datetime,
    before: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    old = before.get(kind)
    changed = old is None or old.get("status") != status
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message[:MESSAGE_LIMIT],
        "observedGeneration": generation,
        "lastTransitionTime": _time(now) if changed else old["lastTransitionTime"],  # type: ignore[index]
    }


def _kept(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(entry["status"]), str(entry["reason"]), str(entry["message"])


def _history(
    decision: Decision, now: datetime, previous: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the history: one entry for each change of the phase or of its reason.

    Waiting is left out: it is the time between two entries.
    """
    entries = list(previous)
    current = decision.current.finding
    worth_an_entry = current.progress is not Progress.WAITING and not _is_upkeep(decision)
    if worth_an_entry and (not entries or entries[-1].get("event") != current.reason):
        entries.append(
            {"at": _time(now), "event": current.reason, "message": current.message[:512]}
        )
    return entries[-MOST_HISTORY:]


def _rehearsal(s: Situation) -> Status:
    required = s.spec.rehearsal.required
    found = attestation(s.observed.rollout, s.now)
    if not isinstance(found, Attestation):
        return {"required": required, "valid": False}
    return {
        "required": required,
        "valid": True,
        "by": found.by,
        "at": _time(found.at),
        "evidence": found.evidence,
        "expiresAt": _time(found.expires_at),
    }


def _proof(s: Situation, proof: Proof) -> Status:
    failed = [
        {
            "name": check.name,
            "observed": check.observed,
            "expected": check.expected,
            "remedy": check.remedy,
        }
        for check in proof.failed
    ]
    return _without_none(
        {
            "component": str(proof.component),
            "verdict": str(proof.verdict),
            "observedAt": _time(proof.observed_at),
            "attempt": proof.attempt,
            "digest": proof.digest,
            "expiresAt": _time(proof.observed_at + s.spec.proof_max_age()),
            "job": proof.job,
            "failed": failed or None,
            "warnings": [check.observed for check in proof.warnings] or None,
            "facts": dict(proof.facts) or None,
            "message": proof.message or None,
        }
    )


def _audit(s: Situation, gate: AuditGate, audit: Audit) -> Status:
    found, taken = holding(gate, audit), accepted(gate, audit)
    effects = [entry.effect for entry in audit.findings]
    listed = {"name": reports_name(s.observed.rollout.name)} if not audit.message else None
    return _without_none(
        {
            "kind": str(audit.kind),
            "verdict": str(verdict(gate, audit)),
            "digest": audit.digest,
            "attempt": audit.attempt,
            "observedAt": _time(audit.observed_at),
            "expiresAt": _time(audit.observed_at + parse_duration(gate.max_age)),
            "job": audit.job,
            "counts": {str(effect): effects.count(effect) for effect in Effect}
            | {"accepted": len(taken), "holding": len(found) + unknown(gate, audit)},
            "facts": dict(audit.facts) or None,
            "findings": [str(entry) for entry in found[:MOST_FINDINGS]] or None,
            "listRef": listed,
            "message": _trouble(audit) or None,
        }
    )


def _trouble(audit: Audit) -> str:
    checks = (f"{check.name}: {check.observed}. {check.remedy}" for check in audit.failed)
    return audit.message or "; ".join(checks)


def _calibration(s: Situation, record: Calibration) -> Status:
    return _without_none(
        {
            "recommendedBytes": str(record.recommended),
            "quantile": record.quantile,
            "margin": record.margin,
            "takenAt": _time(record.observed_at),
            "job": record.job,
            "facts": dict(record.facts) or None,
            "listRef": {"name": reports_name(s.observed.rollout.name)},
        }
    )


def _provenance(seen: BuildSeen) -> Status:
    return _without_none(
        {
            "verdict": str(seen.verdict),
            "expectedBuild": seen.question.expected,
            "reason": seen.reason,
            "observedAt": _time(seen.observed_at),
            "pods": len(seen.question.pods),
            "readings": list(seen.readings) or None,
            "leftOut": seen.left_out or None,
        }
    )


STILL_RUNNING: Final = (
    "Airflow accepts the stop, but the run continues: a teardown task is pending, or its DAG is "
    "paused or missing"
)
MOST_STUCK: Final = 20
"""Runs with an error that the status shows; the ConfigMap has them all."""


def kill_runs_name(rollout: str) -> str:
    """Return the name of the ConfigMap with the runs of the kill, one by one."""
    return f"xbr-{rollout}-kill-runs"


def _kill(rollout: str, kill: Kill) -> Status:
    stages = Counter(run.stage for run in kill.runs)
    troubled = [
        run for run in kill.runs if run.error or (run.stage is RunStage.STOPPING and run.tries > 1)
    ]
    return _without_none(
        {
            "attempt": kill.attempt,
            "engagedAt": _time(kill.engaged_at),
            "by": kill.by,
            "reason": kill.reason,
            "strategy": str(kill.strategy),
            "round": kill.round,
            "writersStoppedAt": _moment(kill.writers_stopped_at),
            "revertedAt": _moment(kill.reverted_at),
            "finishedAt": _moment(kill.finished_at),
            "secondsToWritersStopped": _seconds(kill, kill.writers_stopped_at),
            "secondsToQueued": _seconds(kill, kill.queued_at),
            "finishedRuns": kill.finished_values or None,
            "runs": {
                "found": len(kill.runs),
                "draining": stages[RunStage.DRAINING],
                "stopped": sum(
                    stages[stage]
                    for stage in (
                        RunStage.STOPPED,
                        RunStage.EMPTIED,
                        RunStage.CLEARED,
                        RunStage.RECOVERED,
                        RunStage.FAILED,
                    )
                ),
                "cleared": sum(
                    stages[stage]
                    for stage in (RunStage.CLEARED, RunStage.RECOVERED, RunStage.FAILED)
                ),
                "recovered": stages[RunStage.RECOVERED],
                "healed": stages[RunStage.HEALED],
                "failed": stages[RunStage.FAILED],
            },
            "troubled": [_troubled(run) for run in troubled[:MOST_STUCK]] or None,
            "listRef": {"name": kill_runs_name(rollout)} if kill.runs else None,
        }
    )


def _troubled(run: RecoveringRun) -> Status:
    return _without_none(
        {
            "dagId": run.key.dag_id,
            "runId": run.key.run_id,
            "stage": str(run.stage),
            "error": run.error or STILL_RUNNING,
            "tries": run.tries,
            "nextTry": _moment(run.next_try),
        }
    )


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else _time(moment)


def _seconds(kill: Kill, moment: datetime | None) -> int | None:
    return None if moment is None else round((moment - kill.engaged_at).total_seconds())


def _without_none(values: Status) -> Status:
    return {key: value for key, value in values.items() if value is not None}


def _flag(value: bool) -> str:
    return "True" if value else "False"


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
