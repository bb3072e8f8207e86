"""The whole way on Airflow 3: proofs and readers in its pods, offloading, the kill by REST v2."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

import pytest

from harness.airflow import by_task
from harness.cluster import Cluster
from harness.operator import OperatorInstall, RolloutOnCluster
from harness.stack import AIRFLOW_2, AIRFLOW_3, AirflowStack
from xcom_rollout.clients import ledger_codec

Manifest = dict[str, Any]
SLOW, LATE, BYSTANDER = "offload_slow", "late_return", "bystander"
# What offloading changes on Airflow 3.3; strings that look like JSON keep their type there.
DRIFT = ["key-to-str", "keys-refused", "tuple-to-list"]
COMPONENTS = {"scheduler", "dag-processor", "triggerer", "api-server"}


@pytest.fixture(scope="module")
def airflow3(cluster: Cluster) -> Iterator[AirflowStack]:
    """Airflow 3 in a namespace of its own, which goes afterwards: two Airflows slow each other."""
    with AirflowStack(cluster, AIRFLOW_3) as stack:
        stack.install()
        yield stack
        stack.uninstall(storage=False)
    if cluster.kubectl("get", "namespace", AIRFLOW_2.namespace, "--ignore-not-found"):
        # It must not go on watching a namespace that is gone.
        OperatorInstall(cluster).install()


@pytest.fixture(scope="module")
def live(airflow3: AirflowStack) -> Iterator[RolloutOnCluster]:
    """A rollout that has come through all its steps."""
    OperatorInstall(airflow3.cluster).install()
    rollout = RolloutOnCluster(airflow3)
    rollout.prepare()
    rollout.delete()
    rollout.apply(_accept_drift)
    rollout.xbr("attest", rollout.name, "--evidence", "tests/e2e")
    rollout.wait_condition("Ready", deadline=900)
    yield rollout
    rollout.delete()


def _accept_drift(manifest: Manifest) -> None:
    manifest["spec"]["gates"]["roundTrip"]["acceptedDrift"] = DRIFT


def test_both_pod_templates_are_proven_on_airflow_3(live: RolloutOnCluster) -> None:
    proofs = {proof["component"]: proof for proof in live.status()["proofs"]}
    assert set(proofs) == {"scheduler", "worker"}
    for proof in proofs.values():
        assert proof["verdict"] == "pass"
        assert proof["facts"]["airflow"].startswith("3.")


def test_every_kind_of_pod_that_airflow_3_has_was_looked_into(live: RolloutOnCluster) -> None:
    name = f"xbr-{live.name}-ledger"
    kept = live.cluster.kubectl_json("-n", live.namespace, "get", "configmap", name)
    readers = ledger_codec.from_config_map(kept).readers
    kinds = {kind for reader in readers for kind in COMPONENTS if f"-{kind}-" in reader.pod}
    assert kinds == COMPONENTS
    assert {(reader.error, reader.settings.threshold) for reader in readers} == {("", "1048576")}


def test_readers_come_first_and_the_threshold_next(live: RolloutOnCluster) -> None:
    assert live.thresholds_delivered()[-2:] == ["-1", "1048576"]


def test_two_mebibytes_are_offloaded_and_read_right(live: RolloutOnCluster) -> None:
    api, database, bucket = live.stack.api, live.stack.database, live.stack.xcom_bucket
    run = api.trigger("offload_demo")
    api.wait_run("offload_demo", run, deadline=180)
    row = database.xcom("offload_demo", run, "produce")
    assert row is not None
    assert len(row.value) < 1024
    body = bucket.read(bucket.key_of(row))
    plain = gzip.decompress(body) if row.path.endswith(".gz") else body
    assert len(plain) > 2 * 1024 * 1024
    assert database.received("offload_demo", run)["type"] == "list"


def test_a_kill_recovers_every_offloaded_run_and_touches_no_other(live: RolloutOnCluster) -> None:
    """One run rests between its tasks; a task of another ignores SIGTERM and returns late."""
    api, database = live.stack.api, live.stack.database
    slow = api.trigger(SLOW, {"seconds": 900})
    bystander = api.trigger(BYSTANDER, {"seconds": 90})
    api.wait_task(SLOW, slow, "hold", {"running"}, deadline=180)
    late = api.trigger(LATE, {"seconds": 45})
    api.wait_task(LATE, late, "late", {"running"}, deadline=120)
    row = database.xcom(SLOW, slow, "produce")
    assert row is not None
    assert row.is_path

    live.xbr("kill", live.name, "--reason", "test", "--wait")

    live.wait_condition("Ready", reason="Reverted", deadline=60)
    assert live.thresholds_delivered()[-3:] == ["-1", "1048576", "database"]
    for dag, run in ((SLOW, slow), (LATE, late)):
        api.wait_run(dag, run, deadline=60)
        assert [row for row in database.xcoms(dag, run) if row.is_path] == []
        assert database.received(dag, run)["type"] == "list"
        assert max(task.try_number for task in api.tasks(dag, run)) == 2, "cleared once"
    runs = live.status()["killSwitch"]["runs"]
    assert (runs["found"], runs["recovered"], runs["failed"]) == (2, 2, 0)
    api.wait_run(BYSTANDER, bystander, deadline=180)
    tries = {
        name: task.try_number for name, task in by_task(api.tasks(BYSTANDER, bystander)).items()
    }
    assert set(tries.values()) == {1}, tries
    for dag in (SLOW, LATE, BYSTANDER):
        assert not api.request("GET", f"/dags/{dag}")["is_paused"], f"{dag} is still paused"
