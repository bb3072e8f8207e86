"""The audit gate on a real API server: it holds, says why, is passed, and survives any stop."""

from __future__ import annotations

import json

from standin.driver import Driver, Stops
from standin.kube import Json
from standin.place import RELEASE, ROLLOUT, Place

NUMPY: Json = {
    "file": "etl.py",
    "line": 12,
    "dagId": "etl",
    "taskId": "extract",
    "key": "return_value",
    "kind": "ndarray",
    "effect": "fails",
    "today": "none",
    "confidence": "high",
    "fix": "pass it by reference",
}
STRINGS: Json = {
    "dagId": "api",
    "taskId": "fetch",
    "key": "page",
    "kind": "json-str",
    "effect": "drifts",
    "rows": 7,
}
GATES: Json = {"audit": {"static": {}, "dynamic": {}}}
MOST_WRITES = 500


def reason(status: Json) -> str:
    """The reason of Ready: what the rollout is about."""
    found = [entry for entry in status.get("conditions") or [] if entry["type"] == "Ready"]
    return str(found[0]["reason"]) if found else ""


def is_live(status: Json) -> bool:
    return status.get("phase") == "Live"


def jobs(place: Place, kind: str) -> list[str]:
    path = f"/apis/batch/v1/namespaces/{place.namespace}/jobs"
    found = place.kube.list(path, f"xcomrollout.dev/job-kind={kind}")
    return sorted(item["metadata"]["name"] for item in found)


def published(place: Place) -> dict[str, Json]:
    path = f"/api/v1/namespaces/{place.namespace}/configmaps/xbr-{ROLLOUT}-audit"
    return {key: json.loads(text) for key, text in place.kube.get(path)["data"].items()}


def test_a_red_audit_holds_until_its_findings_are_accepted_or_gone(place: Place) -> None:
    place.findings = {"static": [NUMPY], "dynamic": [STRINGS]}
    place.declare(gates=GATES)
    driver = Driver(place)
    driver.until("the audit to hold", lambda status: reason(status) == "AuditFailed")

    assert place.revision().number == 1, "nothing was delivered"
    said = place.said()
    for part in (
        "etl/extract (etl.py:12): ndarray fails",
        "api/fetch",
        "spec.gates.audit.accepted",
    ):
        assert part in said
    static, dynamic = place.status()["audits"]
    assert static["findings"] == ["etl/extract (etl.py:12): ndarray fails"]
    assert dynamic["counts"]["holding"] == 1
    assert static["listRef"]["name"] == f"xbr-{ROLLOUT}-audit"
    lists = published(place)
    assert lists["static.json"]["findings"] == [NUMPY]
    assert lists["dynamic.json"]["tasks"] == [STRINGS]

    place.change({"gates": {"audit": {"accepted": [{"dagId": "etl"}]}}})
    driver.until(
        "the other finding to hold", lambda status: status["audits"][0]["verdict"] == "pass"
    )
    assert reason(place.status()) == "AuditFailed"
    assert len(jobs(place, "audit-static")) == 1, "what is accepted needs no new audit"

    place.findings["dynamic"] = []
    place.ask_for_proofs()
    driver.until("a live rollout", is_live)
    assert driver.errors == []
    assert [len(jobs(place, f"audit-{kind}")) for kind in ("static", "dynamic")] == [2, 2]
    assert len(jobs(place, "proof")) == 4
    assert [audit["counts"]["accepted"] for audit in place.status()["audits"]] == [1, 0]
    assert published(place)["dynamic.json"]["tasks"] == []


def test_stopped_after_every_write_the_gates_are_passed_in_the_same_way(place: Place) -> None:
    place.findings["static"] = [NUMPY]
    place.recommended = 4096
    place.declare(
        gates={"audit": {**GATES["audit"], "accepted": [{"dagId": "etl"}]}},
        threshold={"bytes": "1000", "calibrate": {}},
    )
    driver = Driver(place, Stops(range(1, MOST_WRITES)))
    driver.until("a live rollout", is_live)
    assert driver.errors == []
    assert place.revision().number == 3
    assert jobs(place, "audit-static") == [f"xbr-{ROLLOUT}-audit-static-worker-1"]
    assert jobs(place, "audit-dynamic") == [f"xbr-{ROLLOUT}-audit-dynamic-scheduler-1"]
    assert jobs(place, "calibration") == [f"xbr-{ROLLOUT}-calibration-scheduler-1"]
    assert published(place)["static.json"]["findings"] == [NUMPY]
    kinds = [(audit["kind"], audit["verdict"]) for audit in place.status()["audits"]]
    assert kinds == [("static", "pass"), ("dynamic", "pass")]
    assert place.status()["calibration"]["recommendedBytes"] == "4096"
    assert published(place)["calibration.json"]["recommendedThreshold"] == 4096
    conditions = place.conditions()
    assert conditions["Audited"] == "True (Audited)"
    assert conditions["Calibrated"] == "True (ThresholdBelowRecommendation)"
    recorded = ("record: static audit 1", "record: dynamic audit 1", "record: calibration 1")
    for what in recorded:
        assert any(what in write for write in driver.stopped_after)


def test_a_start_command_that_exports_an_option_holds_before_any_proof(place: Place) -> None:
    def start_with(script: str) -> None:
        args = json.dumps(["bash", "-c", script])
        chart = str(place.site.chart)
        place.helm(
            *("upgrade", RELEASE, chart, "--no-hooks", "--reuse-values"),
            *("--set-json", f"scheduler.args={args}"),
        )

    start_with("export AIRFLOW__CORE__XCOM_BACKEND=x.Y && exec airflow scheduler")
    place.declare()
    driver = Driver(place)
    driver.until("the start command to hold", lambda status: reason(status) == "CannotObserve")
    assert "args of the container scheduler of the scheduler pod" in place.said()
    assert "AIRFLOW__CORE__XCOM_BACKEND" in place.said()
    assert jobs(place, "proof") == []

    start_with("exec airflow scheduler")
    driver.until("a live rollout", is_live)
    assert driver.errors == []


def test_samples_are_mounted_and_another_content_is_proven_anew(place: Place) -> None:
    place.declare(gates={"roundTrip": {"samplesRef": {"name": "mine"}}})
    driver = Driver(place)
    driver.until("missing samples to hold", lambda status: reason(status) == "SamplesNotFound")
    assert jobs(place, "proof") == []
    path = f"/api/v1/namespaces/{place.namespace}/configmaps"
    samples: Json = {"metadata": {"name": "mine"}, "data": {"one.json": "[1]"}}
    place.kube.create(path, {"apiVersion": "v1", "kind": "ConfigMap", **samples})
    place.change({"suspend": False, "rehearsal": {"required": True, "maxAge": "1s"}})
    driver.until("proofs", lambda status: reason(status) == "RehearsalRequired")
    assert place.samples == [["one.json"], ["one.json"]]
    place.kube.merge(f"{path}/mine", {"data": {"two.json": "[2]"}})
    driver.until("new proofs", lambda _: len(place.samples) == 4)
    assert place.samples[2:] == [["one.json", "two.json"]] * 2
