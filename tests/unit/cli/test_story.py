"""The story that a status tells, and the exit codes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from xcom_rollout.api.status import RolloutStatus
from xcom_rollout.cli.story import estimate, exit_code, progress, render

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def at(seconds: int) -> str:
    return f"{NOW + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": at(-60),
        "observedGeneration": 1,
    }


def rollout(status: dict[str, Any] | None, generation: int = 1) -> dict[str, Any]:
    if status:
        RolloutStatus.model_validate(status)
    metadata = {"name": "demo", "namespace": "airflow", "generation": generation}
    return {"metadata": metadata, "spec": {}, **({"status": status} if status else {})}


def standing(ready: str, stalled: str, reason: str, message: str, **more: Any) -> dict[str, Any]:
    reconciling = "True" if ready == stalled == "False" else "False"
    return {
        "observedGeneration": 1,
        "phase": "Proving",
        "conditions": [
            condition("Ready", ready, reason, message),
            condition("Reconciling", reconciling, reason, message),
            condition("Stalled", stalled, reason, message),
        ],
        **more,
    }


@pytest.mark.parametrize(
    ("ready", "stalled", "code"),
    [("True", "False", 0), ("False", "True", 1), ("False", "False", 3)],
)
def test_the_exit_code_says_how_it_stands(ready: str, stalled: str, code: int) -> None:
    assert exit_code(rollout(standing(ready, stalled, "R", "m"))) == code


@pytest.mark.parametrize(("ready", "stalled"), [("True", "False"), ("False", "True")])
def test_what_was_said_of_an_older_spec_does_not_count(ready: str, stalled: str) -> None:
    raw = rollout(standing(ready, stalled, "R", "m"), generation=2)
    assert exit_code(raw) == 3
    assert "has not seen the newest spec yet" in " ".join(render(raw, NOW))


def test_an_unseen_rollout_asks_for_the_operator() -> None:
    raw = rollout(None)
    assert exit_code(raw) == 3
    said = " ".join(" ".join(render(raw, NOW)).split())
    assert "check that the operator runs and watches this namespace" in said
    assert "waiting for the operator" in progress(raw)


def test_a_failed_check_is_shown_with_what_was_seen_and_what_to_do() -> None:
    proof = {
        "component": "worker",
        "verdict": "fail",
        "digest": "0123456789abcdef",
        "attempt": 2,
        "observedAt": at(-30),
        "job": "xbr-demo-proof-worker-2",
        "failed": [
            {
                "name": "bucket-exists",
                "observed": "404 for bucket 'x'",
                "expected": "bucket 'x'",
                "remedy": "Create the bucket: the operator never does.",
            }
        ],
    }
    raw = rollout(standing("False", "True", "ProofFailed", "in the worker pod", proofs=[proof]))
    text = "\n".join(render(raw, NOW))
    assert "attempt 2, 30 s ago, digest 0123456789ab" in text
    assert "bucket-exists: observed 404 for bucket 'x', expected bucket 'x'" in text
    assert "→ Create the bucket: the operator never does." in text


def kill(**changes: Any) -> dict[str, Any]:
    return {
        "attempt": 1,
        "engagedAt": at(-20),
        "by": "ana",
        "reason": "S3 is down",
        "strategy": "Retrigger",
        "round": 1,
        "writersStoppedAt": at(-16),
        "secondsToWritersStopped": 4,
        "runs": {"found": 10, "stopped": 8, "cleared": 4, "recovered": 1, "failed": 0},
        **changes,
    }


def one_line(raw: dict[str, Any]) -> str:
    return " ".join("\n".join(render(raw, NOW)).split())


def test_a_kill_shows_its_progress_and_an_estimate() -> None:
    raw = rollout(standing("False", "False", "Clearing", "m", killSwitch=kill()))
    text = one_line(raw)
    assert "by ana: S3 is down" in text
    assert "strategy Retrigger" in text
    assert "round" not in text, "the first one is the rule"
    assert "writers stopped 4 s after that" in text
    assert "10 found, 8 stopped, 4 cleared, 1 recovered" in text
    assert "about 24 s to go" in text, "4 runs took 16 s, so 6 take 24 s"
    assert "[writers stopped after 4 s; 10 found, 8 stopped, 4 cleared, 1 recovered]" in progress(
        raw
    )


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"writersStoppedAt": None}, id="writers not stopped"),
        pytest.param({"runs": {"found": 10, "cleared": 0}}, id="none cleared"),
        pytest.param({"runs": {"found": 10, "cleared": 10}}, id="all cleared"),
        pytest.param({"runs": {"found": 10, "cleared": 4, "draining": 6}}, id="the rest ends"),
        pytest.param({"runs": {"found": 10, "cleared": 4, "healed": 6}}, id="the rest is healed"),
        pytest.param({"runs": {}}, id="nothing known"),
    ],
)
def test_there_is_no_estimate_without_a_pace(changes: dict[str, Any]) -> None:
    assert estimate(kill(**changes), NOW) is None


def test_a_kill_shows_its_round_and_the_stages_of_its_strategy() -> None:
    runs = {"found": 9, "draining": 3, "healed": 6}
    shown = kill(strategy="Drain", round=2, runs=runs, finishedRuns="3 values copied back")
    text = one_line(rollout(standing("False", "False", "Draining", "m", killSwitch=shown)))
    assert "strategy Drain, round 2" in text
    assert "9 found, 3 draining, 0 stopped, 0 cleared, 0 recovered, 6 healed" in text
    assert "offloaded values of finished runs: 3 values copied back" in text


def test_writers_that_are_not_stopped_yet_are_said_so() -> None:
    shown = kill(writersStoppedAt=None, secondsToWritersStopped=None, runs={})
    raw = rollout(standing("False", "False", "StoppingWriters", "m", killSwitch=shown))
    assert "writers not stopped yet" in one_line(raw)
    assert "writers" not in progress(raw)


def test_runs_in_trouble_are_shown_with_the_error_and_the_next_try() -> None:
    trouble = [
        {
            "dagId": "etl",
            "runId": f"manual__{number}",
            "stage": "Stopping",
            "error": "403 Forbidden",
            "tries": 3,
            "nextTry": at(40),
        }
        for number in range(2)
    ]
    shown = kill(troubled=trouble, listRef={"name": "xbr-demo-kill-runs"})
    raw = rollout(standing("False", "True", "RunsStuck", "m", killSwitch=shown))
    text = one_line(raw)
    assert (
        "✗ etl/manual__0 (Stopping): 403 Forbidden; 3 tries failed, the next one at 12:00:40Z"
        in text
    )
    assert "kubectl get cm xbr-demo-kill-runs -n airflow" in text
    assert "failing: etl/manual__0 and 1 more: 403 Forbidden" in progress(raw)


def test_a_finished_kill_says_how_long_it_took() -> None:
    done = kill(
        revertedAt=at(-5),
        finishedAt=at(-2),
        secondsToQueued=9,
        runs={"found": 1, "failed": 1},
    )
    raw = rollout(standing("True", "False", "Reverted", "m", killSwitch=done))
    text = one_line(raw)
    assert "reverted 15 s after the engagement" in text
    assert "18 s in all" in text
    assert "the last run 9 s after the engagement" in text
    assert "1 failed" in text
    assert "to go" not in text
    assert "[" not in progress(raw)


def test_rehearsal_and_offloaded_runs_are_told() -> None:
    status = standing(
        *("True", "False", "Live", "m"),
        rehearsal={
            "required": True,
            "valid": True,
            "by": "ana",
            "at": at(-7200),
            "evidence": "https://example.org/1",
            "expiresAt": at(86400),
        },
        offloadedRuns={"count": 3, "takenAt": at(-12), "listRef": {"name": "xbr-demo-runs"}},
    )
    text = "\n".join(render(rollout(status), NOW))
    assert "attested by ana 2 h ago, valid for 24 h more: https://example.org/1" in text
    assert "3, counted 12 s ago; listed in the ConfigMap xbr-demo-runs" in text


def test_a_missing_rehearsal_is_told() -> None:
    status = standing("False", "True", "R", "m", rehearsal={"required": True, "valid": False})
    assert "required, but there is no valid attestation" in "\n".join(render(rollout(status), NOW))


def test_an_audit_shows_the_tasks_that_hold_and_where_the_rest_is() -> None:
    audit = {
        "kind": "static",
        "verdict": "fail",
        "digest": "abc",
        "attempt": 2,
        "observedAt": at(-120),
        "job": "xbr-demo-audit-static-worker-2",
        "counts": {"fails": 3, "drifts": 0, "unseen": 0, "accepted": 1, "holding": 2},
        "findings": ["etl/extract (etl.py:12): ndarray fails"],
        "listRef": {"name": "xbr-demo-audit"},
    }
    status = standing("False", "True", "AuditFailed", "m", audits=[audit])
    text = " ".join("\n".join(render(rollout(status), NOW)).split())
    for part in (
        "3 fails, 1 accepted; attempt 2, 2 min ago",
        "✗ etl/extract (etl.py:12): ndarray fails",
        "and 1 more",
        "ConfigMap xbr-demo-audit, static.json",
    ):
        assert part in text


def test_a_build_that_differs_is_told_with_what_was_seen() -> None:
    seen = {
        "verdict": "mixed",
        "expectedBuild": "0123456789ab",
        "reason": "1 of 3 are not 0123456: ...",
        "observedAt": at(-20),
        "pods": 2,
        "readings": ["image of the pod airflow-scheduler-0 (APP_SHA) is fedcba9"],
        "leftOut": 4,
    }
    status = standing("False", "True", "BuildDiffers", "m", provenance=seen)
    text = " ".join("\n".join(render(rollout(status), NOW)).split())
    for part in (
        "Build mixed: expected 0123456789ab, 2 pods checked 20 s ago",
        "✗ image of the pod airflow-scheduler-0 (APP_SHA) is fedcba9",
        "and 4 more",
    ):
        assert part in text


def test_a_recommended_threshold_is_told() -> None:
    found = {
        "recommendedBytes": "4096",
        "quantile": "0.999",
        "margin": "2",
        "takenAt": at(-60),
        "job": "j",
    }
    status = standing("True", "False", "Live", "m", calibration=found)
    text = " ".join(" ".join(render(rollout(status), NOW)).split())
    assert "Recommended threshold 4096 bytes: 2 times the size below which 0.999 of" in text
