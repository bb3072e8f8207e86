"""How a Job ended."""

from datetime import UTC, datetime

import pytest

from xcom_rollout.clients.kube import Json
from xcom_rollout.observe.jobs import ended_at

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
