"""A threshold recommended from the values in the table. It is advice: it never holds a rollout."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from xcom_rollout.api.v1alpha1 import Calibration as Wanted
from xcom_rollout.decide.actions import Report, WriteLedger
from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.ledger import Calibration, Component
from xcom_rollout.decide.observed import CalibrationResult, JobKind, ProbeJob
from xcom_rollout.decide.probe_jobs import (
    Answered,
    Failed,
    ProbeRequest,
    Running,
    newest_attempt,
    request_job,
)
from xcom_rollout.decide.situation import Situation
from xcom_rollout.decide.table import act, done, wait

RETRY: Final = timedelta(minutes=10)
"""How long after a calibration that failed the next one is tried: nothing waits for it."""
BELOW_RECOMMENDATION: Final = "ThresholdBelowRecommendation"


def calibrated(s: Situation) -> Finding:
    """A threshold has been recommended, if the spec asks for it; the target may differ from it."""
    wanted = s.spec.threshold.calibrate
    if wanted is None:
        return done(
            "NotRequired", "spec.threshold.calibrate is not set: no threshold is recommended"
        )
    record = s.ledger.calibration
    if record is not None and (_is_current(s, wanted, record) or s.release.settings == s.target):
        return _compared(s, record)
    if s.release.settings == s.target:
        return done("NotCalibrated", "the cut-over took place without a recommended threshold")
    request = ProbeRequest(JobKind.CALIBRATION, Component.SCHEDULER, _purpose(s, wanted))
    match newest_attempt(s, request, CalibrationResult, retry=RETRY):
        case Running(job):
            return wait("Calibrating", f"measuring the values in the table ({_seen(job)})")
        case Answered(job, result):
            return _record(s, wanted, job, result)
        case Failed(why=why, again=again):
            return done(
                "NotCalibrated",
                f"the values could not be measured: {why}; the next try is at {again:%H:%M:%SZ} "
                "and blocks nothing",
            )
    arguments = ("calibrate", "--quantiles", wanted.quantile, "--margin", wanted.margin)
    base = ("--base", s.spec.backend.object_storage.path)
    return act(
        "StartingCalibration",
        "measuring the sizes of the values in the table",
        request_job(s, request, (*arguments, *base)),
    )


def _is_current(s: Situation, wanted: Wanted, record: Calibration) -> bool:
    return (
        record.digest == _purpose(s, wanted) and s.now < record.observed_at + s.spec.proof_max_age()
    )


def _purpose(s: Situation, wanted: Wanted) -> str:
    return f"{s.observed.digest}/{wanted.quantile}/{wanted.margin}"


def _seen(job: ProbeJob) -> str:
    return job.message or job.name


def _record(s: Situation, wanted: Wanted, job: ProbeJob, result: CalibrationResult) -> Finding:
    record = Calibration(
        digest=job.digest,
        attempt=job.attempt,
        observed_at=job.finished_at or s.now,
        job=job.name,
        recommended=result.recommended,
        quantile=wanted.quantile,
        margin=wanted.margin,
        facts=result.facts,
    )
    return act(
        "RecordingCalibration",
        f"the recommended threshold is {record.recommended} bytes",
        WriteLedger(
            replace(s.ledger, calibration=record),
            f"calibration {job.attempt}: {record.recommended} bytes",
            Report("calibration", result.report),
        ),
    )


def _compared(s: Situation, record: Calibration) -> Finding:
    if record.recommended == 0:
        return done("Calibrated", "the table holds no inline value to measure")
    target = int(s.spec.threshold.bytes)
    basis = (
        f"{record.margin} times the size below which {record.quantile} of the values stay inline"
    )
    if target < record.recommended:
        return done(
            BELOW_RECOMMENDATION,
            f"spec.threshold.bytes: {target} is below the recommended {record.recommended} "
            f"({basis}): values that control the flow of DAGs may be offloaded. This does not "
            f'block the rollout; to follow the recommendation, set bytes: "{record.recommended}"',
        )
    return done(
        "Calibrated",
        f"spec.threshold.bytes: {target} is not below the recommended {record.recommended} "
        f"({basis})",
    )
