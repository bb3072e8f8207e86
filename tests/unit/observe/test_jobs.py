"""How a Job ended."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from xcom_rollout.api import names
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.ledger import CensusRecord, Ledger
from xcom_rollout.decide.observed import JobKind, JobState, ProbeJob, Rollout
from xcom_rollout.observe.jobs import ended_at, list_jobs
from xcom_rollout.stored.names import ANNOTATION_ATTEMPT

AT = "2026-01-01T00:00:09Z"
MOMENT = datetime(2026, 1, 1, 0, 0, 9, tzinfo=UTC)


def condition(kind: str, status: str = "True", reason: str = "") -> Json:
    return {"type": kind, "status": status, "reason": reason, "lastTransitionTime": AT}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, (False, None, "")),
        ({"active": 1, "ready": 1}, (False, None, "")),
        ({"conditions": [condition("Complete", "False")]}, (False, None, "")),
        # Kubernetes announces the end before the pods are gone.
        ({"conditions": [condition("SuccessCriteriaMet")]}, (False, None, "")),
        ({"conditions": [condition("Complete")], "completionTime": AT}, (True, MOMENT, "")),
        (
            {
                "conditions": [
                    condition("FailureTarget"),
                    condition("Failed", reason="DeadlineExceeded"),
                ]
            },
            (True, MOMENT, "DeadlineExceeded"),
        ),
    ],
)
def test_the_end_of_a_job(status: Json, expected: tuple[bool, datetime | None, str]) -> None:
    assert ended_at({"status": status}) == expected


def ended(kind: str) -> Json:
    """Return a Job that has ended."""
    metadata = {
        "name": "j",
        "uid": "u",
        "creationTimestamp": AT,
        "labels": {names.LABEL_KIND: kind, names.LABEL_COMPONENT: "scheduler"},
        "annotations": {ANNOTATION_ATTEMPT: "1", names.ANNOTATION_DIGEST: "d"},
    }
    return {"metadata": metadata, "spec": {}, "status": {"conditions": [condition("Complete")]}}


@pytest.mark.parametrize("kind", [kind for kind in JobKind if kind is not JobKind.STANDBY])
def test_what_each_kind_of_job_found_can_be_read(kind: JobKind) -> None:
    log = "-----BEGIN XCOM PROBE RESULT-----\n{}\n-----END XCOM PROBE RESULT-----\n"
    (found,) = jobs_of(ended(kind), log)
    assert found.state is JobState.BROKEN, "there is nothing in it"
    assert found.message


def test_a_pod_that_waited_and_has_ended_says_nothing_whatever_it_logged() -> None:
    (found,) = jobs_of(ended("standby"), "asked three times")
    assert (found.state, found.message) == (JobState.BROKEN, "its pod has ended")


def jobs_of(item: Json, log: str) -> tuple[ProbeJob, ...]:
    """Return what is seen of a Job whose pod has left a log."""
    pod = {"metadata": {"name": "p"}, "status": {}}
    api = SimpleNamespace(
        list=lambda path, **_: [item] if path.endswith("/jobs") else [pod], log=lambda *_: log
    )
    rollout = cast("Rollout", SimpleNamespace(namespace="n", name="demo", uid="u"))
    return list_jobs(cast("KubeApi", api), Memo(), rollout, Ledger())


def test_the_answer_of_a_census_is_forgotten_once_it_is_on_record() -> None:
    item = ended("census")
    asked: list[str] = []

    def listed(path: str, **_: Any) -> list[Json]:
        asked.append(path)
        return [item] if path.endswith("/jobs") else []

    api = cast("KubeApi", SimpleNamespace(list=listed))
    rollout = cast("Rollout", SimpleNamespace(namespace="n", name="demo", uid="u"))
    memo, open_ledger = Memo(), Ledger()
    recorded = Ledger(census=CensusRecord("j", 1, MOMENT, ()))
    list_jobs(api, memo, rollout, open_ledger)
    once = len(asked)
    list_jobs(api, memo, rollout, open_ledger)
    assert len(asked) == once + 1, "the answer is kept while it is asked for"
    list_jobs(api, memo, rollout, recorded)
    list_jobs(api, memo, rollout, open_ledger)
    assert len(asked) > once + 3, "it was read again: the memory did not keep it"
