"""What a user sees when something is wrong, on a real cluster."""

from __future__ import annotations

from typing import Any

import pytest

from harness.operator import ROLLOUT, OperatorInstall, RolloutOnCluster
from harness.stack import NAMESPACE, AirflowStack

Manifest = dict[str, Any]


def attest(rollout: RolloutOnCluster) -> None:
    rollout.xbr("attest", rollout.name, "--evidence", "tests/e2e")


def test_a_missing_bucket_is_named_not_made_and_nothing_is_delivered(
    stack: AirflowStack, rollout: RolloutOnCluster
) -> None:
    def missing_bucket(manifest: Manifest) -> None:
        storage = manifest["spec"]["backend"]["objectStorage"]
        storage["path"] = "s3://aws_default@no-such-bucket/xcom"

    revision = rollout.revision()
    rollout.apply(missing_bucket)
    attest(rollout)
    held = rollout.wait_condition("Proven", "False", reason="ProofFailed", deadline=180)
    # The identity may list its own bucket only, so the store does not show it others.
    assert "s3-list" in held["message"]
    assert "no-such-bucket" in held["message"]
    assert "Check the name of the bucket first" in held["message"]
    failed = [check for proof in rollout.status()["proofs"] for check in proof.get("failed", [])]
    assert {check["name"] for check in failed} == {"s3-list"}
    assert all(check["remedy"] for check in failed)
    assert not stack.minio().bucket_exists("no-such-bucket")
    assert rollout.revision() == revision


def test_an_unknown_release_and_a_second_rollout_are_refused_within_five_seconds(
    stack: AirflowStack, rollout: RolloutOnCluster
) -> None:
    def unknown_release(manifest: Manifest) -> None:
        manifest["spec"]["airflow"]["release"] = "no-such-release"

    unknown = RolloutOnCluster(stack, "unknown")
    second = RolloutOnCluster(stack, "second")
    try:
        unknown.apply(unknown_release)
        found = unknown.wait_condition("Accepted", "False", deadline=5)
        assert found["reason"] == "ReleaseNotFound"
        assert "no-such-release" in found["message"]
        rollout.apply()
        rollout.wait_condition("Accepted", deadline=20)
        second.apply()
        found = second.wait_condition("Accepted", "False", deadline=5)
        assert found["reason"] == "ReleaseOwnedByAnother"
        assert ROLLOUT in found["message"]
    finally:
        for each in (unknown, second, rollout):
            each.delete()


@pytest.mark.long
def test_an_operator_that_is_killed_again_and_again_recovers_every_run_once(
    stack: AirflowStack, operator: OperatorInstall, rollout: RolloutOnCluster
) -> None:
    """SIGKILL while readers roll and while a kill goes on; one task returns late, ignoring TERM."""
    api, database = stack.api, stack.database
    revision = rollout.revision()
    rollout.apply()
    attest(rollout)
    rollout.wait_condition("Proven", deadline=300)
    operator.kill_hard()
    rollout.wait_condition("Ready", deadline=400)
    assert rollout.thresholds_delivered(after=revision) == ["-1", "1048576"]

    slow = api.trigger("offload_slow", {"seconds": 900})
    bystander = api.trigger("bystander", {"seconds": 90})
    api.wait_task("offload_slow", slow, "hold", {"running"}, deadline=180)
    late = api.trigger("late_return", {"seconds": 45})
    api.wait_task("late_return", late, "late", {"running"}, deadline=120)
    row = database.xcom("offload_slow", slow, "produce")
    assert row is not None
    assert row.is_path

    def engage(manifest: Manifest) -> None:
        manifest["spec"]["killSwitch"]["engaged"] = True

    rollout.apply(engage)
    rollout.wait_condition("Reverted", "False", reason="StoppingWriters", deadline=30)
    operator.kill_hard()
    stack.cluster.wait_for("the kill has found runs", lambda: _found(rollout), 200)
    operator.kill_hard()
    rollout.wait_condition("Ready", reason="Reverted", deadline=400)

    assert rollout.thresholds_delivered(after=revision) == ["-1", "1048576", "-1", "database"]
    tries = {}
    for dag, run in (("offload_slow", slow), ("late_return", late)):
        api.wait_run(dag, run, deadline=60)
        assert [row for row in database.xcoms(dag, run) if row.is_path] == []
        tries[dag] = max(task.try_number for task in api.tasks(dag, run))
    # The late one may have ended on its own, on readers, before the second census.
    assert tries["offload_slow"] == 2, "cleared once"
    assert tries["late_return"] <= 2, "cleared once at most"
    runs = rollout.status()["killSwitch"]["runs"]
    assert runs["failed"] == 0
    assert runs["found"] == runs["recovered"] + runs["healed"]
    api.wait_run("bystander", bystander, deadline=180)
    assert {task.try_number for task in api.tasks("bystander", bystander)} == {1}
    for dag in ("offload_slow", "late_return", "bystander"):
        assert not api.request("GET", f"/dags/{dag}")["is_paused"], f"{dag} is still paused"


def test_the_operator_holds_no_right_outside_its_namespaces(
    stack: AirflowStack, operator: OperatorInstall
) -> None:
    account = f"system:serviceaccount:xcom-rollout:{_service_account(operator)}"
    kubectl = stack.cluster.kubectl
    for verb, what, namespace in (
        ("get", "secrets", "kube-system"),
        ("create", "pods", "default"),
        ("list", "nodes", ""),
        ("delete", "namespaces", ""),
    ):
        words = ["auth", "can-i", verb, what, f"--as={account}"]
        words += ["-n", namespace] if namespace else ["--all-namespaces"]
        assert kubectl(*words, check=False).strip().startswith("no"), f"{verb} {what}"
    can = kubectl("auth", "can-i", "create", "jobs", f"--as={account}", "-n", NAMESPACE)
    assert can.strip() == "yes"


def _found(rollout: RolloutOnCluster) -> int:
    kill = rollout.status().get("killSwitch") or {}
    return int(kill.get("runs", {}).get("found", 0))


def _service_account(operator: OperatorInstall) -> str:
    pod = operator.cluster.kubectl_json("-n", "xcom-rollout", "get", "pod", operator.pod())
    return str(pod["spec"]["serviceAccountName"])
