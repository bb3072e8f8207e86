"""The gates that a user asks for, in Airflow's own pods: samples, a recommendation, audits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.operator import RolloutOnCluster
from harness.stack import AirflowStack

Manifest = dict[str, Any]
DAG_ID = "json_report"
ON_PURPOSE = "bare_revert.py"
"""A DAG that sets a pod of its own back to the database backend, as the static audit says too."""
SAMPLES = {
    "decision.json": '{"branch": "a", "rows": 3}',
    "frames.py": "SAMPLES = {'pair': (1, 2), 'names': ['x', 'y']}",
}


def every_gate(manifest: Manifest) -> None:
    gates = manifest["spec"]["gates"]
    gates["roundTrip"]["samplesRef"] = {"name": "samples"}
    gates["audit"]["accepted"] = [{"file": ON_PURPOSE}]
    manifest["spec"]["threshold"] = {"bytes": "1024", "calibrate": {"quantile": "0.9"}}


def accepted(manifest: Manifest) -> None:
    every_gate(manifest)
    manifest["spec"]["gates"]["audit"]["accepted"] += [{"dagId": DAG_ID, "taskId": "summarise"}]


@pytest.fixture
def samples(stack: AirflowStack, rollout: RolloutOnCluster) -> Manifest:
    """The ConfigMap that the rollout names; it is not there yet."""
    words = ("--namespace", rollout.namespace, "delete", "configmap", "samples")
    stack.cluster.kubectl(*words, "--ignore-not-found")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "samples", "namespace": rollout.namespace},
        "data": SAMPLES,
    }


def published(rollout: RolloutOnCluster) -> dict[str, Any]:
    """What the operator wrote for people to read, by key."""
    found = rollout.cluster.kubectl_json(
        *("--namespace", rollout.namespace, "get", "configmap", f"xbr-{rollout.name}-audit")
    )
    return {key: json.loads(text) for key, text in found["data"].items()}


def test_each_gate_holds_says_why_and_is_passed_and_nothing_is_delivered(
    stack: AirflowStack, rollout: RolloutOnCluster, samples: Manifest
) -> None:
    run = stack.api.trigger(DAG_ID)
    stack.api.wait_run(DAG_ID, run, deadline=180)
    revision = rollout.revision()

    rollout.apply(every_gate)
    held = rollout.wait_condition("Proven", "False", reason="SamplesNotFound", deadline=60)
    assert "'samples'" in held["message"]

    stack.cluster.apply(samples)
    rollout.wait_condition("Proven", deadline=300)
    for proof in rollout.status()["proofs"]:
        assert proof["verdict"] == "pass"

    rollout.wait_condition("Calibrated", deadline=120)
    calibration = rollout.status()["calibration"]
    assert int(calibration["recommendedBytes"]) > 0
    assert published(rollout)["calibration.json"]["tasks"]

    held = rollout.wait_condition("Audited", "False", reason="AuditFailed", deadline=180)
    assert f"{DAG_ID}/summarise" in held["message"]
    audits = {audit["kind"]: audit for audit in rollout.status()["audits"]}
    assert set(audits) == {"static", "dynamic"}
    for audit in audits.values():
        assert audit["verdict"] == "fail"
        assert [finding for finding in audit["findings"] if ON_PURPOSE not in finding] == [
            finding for finding in audit["findings"] if DAG_ID in finding
        ]
        assert len([finding for finding in audit["findings"] if DAG_ID in finding]) == 1
    static, dynamic = published(rollout)["static.json"], published(rollout)["dynamic.json"]
    assert static["files"] >= 6
    assert static["unreadable"] == []
    assert {found["file"] for found in static["findings"]} == {ON_PURPOSE, f"{DAG_ID}.py"}
    assert all(found["fix"] for found in static["findings"])
    assert [found["taskId"] for found in dynamic["tasks"] if found["effect"] == "drifts"] == [
        "summarise"
    ]
    assert f"{DAG_ID}/summarise" in rollout.xbr("status", rollout.name, check=False)

    jobs = {kind: audit["job"] for kind, audit in audits.items()}
    rollout.apply(accepted)
    rollout.wait_condition("Audited", deadline=60)
    audits = {audit["kind"]: audit for audit in rollout.status()["audits"]}
    assert {kind: audit["job"] for kind, audit in audits.items()} == jobs, "no new audit"
    assert all(audit["verdict"] == "pass" for audit in audits.values())

    rollout.xbr("prove", rollout.name)
    rollout.wait_condition("Audited", "False", deadline=60)
    rollout.wait_condition("Rehearsed", "False", reason="RehearsalRequired", deadline=400)
    audits = {audit["kind"]: audit for audit in rollout.status()["audits"]}
    assert {audit["attempt"] for audit in audits.values()} == {2}
    assert rollout.revision() == revision, "nothing was delivered"
    rollout.delete()
