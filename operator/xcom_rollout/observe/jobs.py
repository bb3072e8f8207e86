"""The Jobs that run the probe, and what each of them found."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from xcom_rollout.api import names
from xcom_rollout.clients.errors import KubeError, Malformed
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.clients.memo import Memo
from xcom_rollout.clients.times import parse_time, time_or_none
from xcom_rollout.decide.ledger import AuditKind, Component, Ledger
from xcom_rollout.decide.observed import JobKind, JobState, ProbeJob, ProbeResult, Rollout
from xcom_rollout.decide.probe_jobs import recorded_attempt
from xcom_rollout.probe import result as probe_output
from xcom_rollout.probe.audit_result import audit_result
from xcom_rollout.probe.standby import JOB_LABEL, kept_answer
from xcom_rollout.release.pods import is_terminating, trouble
from xcom_rollout.stored.names import ANNOTATION_ATTEMPT, PROBE_CONTAINER, selector

_READ: Final[Mapping[JobKind, Callable[[Mapping[str, Any]], ProbeResult]]] = {
    JobKind.PROOF: probe_output.proof_result,
    JobKind.AUDIT_STATIC: partial(audit_result, kind=AuditKind.STATIC),
    JobKind.AUDIT_DYNAMIC: partial(audit_result, kind=AuditKind.DYNAMIC),
    JobKind.CALIBRATION: probe_output.calibration_result,
    JobKind.CENSUS: probe_output.census_result,
    JobKind.VERIFY: probe_output.census_result,
    JobKind.EMPTY: probe_output.empty_result,
    JobKind.REHYDRATE: probe_output.rehydrate_result,
}
_LATE: Final = timedelta(seconds=10)
"""Age from which on a Job whose pod has not started is looked up in the Events."""


def list_jobs(api: KubeApi, memo: Memo, rollout: Rollout, ledger: Ledger) -> tuple[ProbeJob, ...]:
    """Return the rollout's Jobs, with the results of those that the ledger has not recorded.

    Raises:
        KubeError: the cluster could not be asked.
    """
    namespace = rollout.namespace
    items = api.list(
        object_path(namespace, "jobs", version="batch/v1"), labels=selector(rollout.name)
    )
    jobs = [job for item in items if (job := _job(api, memo, namespace, ledger, item))]
    jobs += _answers(memo, rollout)
    return tuple(sorted(jobs, key=lambda job: job.name))


def _answers(memo: Memo, rollout: Rollout) -> Iterator[ProbeJob]:
    """Yield the last questions to a standby pod, as if Jobs had been sent for them."""
    for kind in (JobKind.CENSUS, JobKind.EMPTY):
        answer = kept_answer(memo, rollout, kind)
        if answer is None:
            continue
        result: ProbeResult | None = None
        message = ""
        try:
            result = _READ[kind](answer.document)
        except Malformed as error:
            message = error.message
        yield ProbeJob(
            name=answer.pod,
            kind=kind,
            component=Component.SCHEDULER,
            attempt=answer.attempt,
            digest=answer.digest,
            created_at=answer.asked_at,
            state=JobState.BROKEN if result is None else JobState.FINISHED,
            finished_at=answer.asked_at,
            result=result,
            message=message,
        )


def ended_at(item: Json) -> tuple[bool, datetime | None, str]:
    """Return whether a Job has ended, when, and Kubernetes' reason for a failure."""
    status = item.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            moment = time_or_none(status.get("completionTime") or condition["lastTransitionTime"])
            failed = condition["type"] == "Failed"
            return True, moment, str(condition.get("reason", "")) if failed else ""
    return False, None, ""


def _job(api: KubeApi, memo: Memo, namespace: str, ledger: Ledger, item: Json) -> ProbeJob | None:
    metadata = item["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    try:
        kind = JobKind(labels[names.LABEL_KIND])
        component = Component(labels[names.LABEL_COMPONENT])
        attempt = int(annotations[ANNOTATION_ATTEMPT])
        digest = str(annotations[names.ANNOTATION_DIGEST])
    except (KeyError, ValueError):
        # Somebody's copy with our labels, not a Job of ours.
        return None
    ended, finished_at, reason = ended_at(item)
    result: ProbeResult | None = None
    message = ""
    if not ended and kind is JobKind.STANDBY and _is_ending(api, namespace, item):
        state, message = JobState.BROKEN, "its pod is terminating"
    elif ended and kind is JobKind.STANDBY:
        state, message = JobState.BROKEN, "its pod has ended"  # without an answer
    elif not ended:
        state = JobState.RUNNING
        message = _progress(api, namespace, item)
    elif attempt <= recorded_attempt(ledger, kind, component):
        state = JobState.FINISHED
        # A census of thousands of runs is large, and is not needed again.
        memo.forget(("job", metadata["uid"]))
    else:
        try:
            state, result, message = memo.get(
                ("job", metadata["uid"]), lambda: _outcome(api, namespace, item, kind, reason)
            )
        except KubeError as error:
            # A step that needs its answer asks again; a revert does not.
            state, message = JobState.BROKEN, f"its log cannot be read: {error.message}"
    return ProbeJob(
        name=metadata["name"],
        kind=kind,
        component=component,
        attempt=attempt,
        digest=digest,
        created_at=parse_time(metadata["creationTimestamp"]),
        state=state,
        finished_at=finished_at,
        result=result,
        message=message,
    )


def _outcome(
    api: KubeApi, namespace: str, item: Json, kind: JobKind, reason: str
) -> tuple[JobState, ProbeResult | None, str]:
    """Return the result of a Job that has ended, or why it has none."""
    log = None
    for pod in _pods(api, namespace, item):
        log = api.log(namespace, pod["metadata"]["name"], PROBE_CONTAINER) or log
    if log is None:
        why = last_warning(api, namespace, item["metadata"]["name"])
        overdue = item["spec"].get("activeDeadlineSeconds")
        ended = (
            f"it did not end within {overdue} s"
            if reason == "DeadlineExceeded"
            else (f"there is no log of it ({reason or 'its pod is gone'})")
        )
        return JobState.BROKEN, None, f"{ended}: {why}" if why else ended
    try:
        return JobState.FINISHED, _READ[kind](probe_output.find_result(log)), ""
    except Malformed as error:
        return JobState.BROKEN, None, error.message


def _progress(api: KubeApi, namespace: str, item: Json) -> str:
    """Return what prevents a Job from running; empty where nothing does."""
    if (item.get("status") or {}).get("ready"):
        return ""
    pods = _pods(api, namespace, item)
    if any(pod["status"].get("phase") != "Pending" for pod in pods):
        return ""
    problem = next((why for pod in pods if (why := trouble(pod))), "")
    created = parse_time(item["metadata"]["creationTimestamp"])
    if problem or datetime.now(UTC) - created < _LATE:
        return problem
    # A volume that cannot be mounted, or an exhausted quota, shows only in Events.
    return last_warning(api, namespace, item["metadata"]["name"])


def _is_ending(api: KubeApi, namespace: str, item: Json) -> bool:
    """Whether each pod of a Job is terminating; the Job itself shows it only once they are gone."""
    pods = _pods(api, namespace, item)
    return bool(pods) and all(is_terminating(pod) for pod in pods)


def _pods(api: KubeApi, namespace: str, item: Json) -> list[Json]:
    return api.list(
        object_path(namespace, "pods"),
        # The first label is the key of the cache.
        labels=f"{names.LABEL_ROLLOUT},{JOB_LABEL}={item['metadata']['name']}",
    )


def last_warning(api: KubeApi, namespace: str, job: str) -> str:
    """Return the latest warning about a Job or its pods, empty where there is none.

    The Job's pod is deleted when its time is over, and then only its Events show what was wrong.
    """
    events = api.list(object_path(namespace, "events"), fields="type=Warning")
    about = [
        event for event in events if _subject(event) == job or _subject(event).startswith(f"{job}-")
    ]
    warnings = [
        event for event in about if event.get("reason") not in ("DeadlineExceeded", "BackOff")
    ]
    if not warnings:
        return ""
    latest = max(warnings, key=_event_time)
    return f"{latest.get('reason', '')}: {latest.get('message', '')}"


def _subject(event: Json) -> str:
    return str((event.get("involvedObject") or {}).get("name", ""))


def _event_time(event: Json) -> Any:
    text = event.get("lastTimestamp") or event.get("eventTime")
    return parse_time(text or event["metadata"]["creationTimestamp"])
