"""The whole way on Airflow 3: proofs, a late build, readers, offloading, the kill by REST v2."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.airflow import by_task
from harness.cluster import Cluster
from harness.operator import OperatorInstall, RolloutOnCluster
from harness.stack import AIRFLOW_2, AIRFLOW_3, DAGS, STACK, AirflowStack, public_read
from harness.waiting import NotYetError, wait_for
from xcom_dags.stamp import write_stamp
from xcom_rollout import __version__
from xcom_rollout.cli.vendor import one_file
from xcom_rollout.stored import ledger_codec

Manifest = dict[str, Any]
SLOW, LATE, BYSTANDER = "offload_slow", "late_return", "bystander"
# What offloading changes on Airflow 3.3; strings that look like JSON keep their type there.
DRIFT = ["key-to-str", "keys-refused", "tuple-to-list"]
COMPONENTS = {"scheduler", "dag-processor", "triggerer", "api-server"}
# Builds. The image is of the second one already; the DAGs are not.
FIRST, SECOND = "1" * 40, "2" * 40
LATE_POD = "triggerer"
REMOTE, ARCHIVE = "dags", "dags.zip"
DAGS_FOLDER = "/opt/airflow/dags/repo"


@dataclass(frozen=True)
class Chain:
    """On which the DAGs come: what is published is pulled by a container beside each component.

    Attributes:
        folder: where the DAGs are stamped and packed.
    """

    stack: AirflowStack
    folder: Path

    def publish(self, build: str) -> None:
        """Bring the DAGs of a build to where every pod pulls them from, each second."""
        write_stamp(self.folder, build)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for file in sorted(self.folder.iterdir()):
                archive.write(file, file.name)
        size = packed.tell()
        packed.seek(0)
        self.stack.minio().put_object(REMOTE, ARCHIVE, packed, size)

    def remove(self) -> None:
        """Take away where they pull from."""
        self.stack.minio().remove_object(REMOTE, ARCHIVE)
        self.stack.minio().remove_bucket(REMOTE)

    def let(self, component: str, *command: str) -> None:
        """Run a command in the container that pulls, of the pod of a component."""
        deployment = f"deploy/{self.stack.release}-{component}"
        words = ("-n", self.stack.namespace, "exec", deployment, "-c", "git-sync", "--")
        self.stack.cluster.kubectl(*words, *command)


def _synced_values(image: str) -> dict[str, Any]:
    """Values of a release that records its image's commit, and pulls its DAGs as with git-sync."""
    program = (STACK / "git_sync.py").read_text()
    url = f"http://minio.storage.svc.cluster.local:9000/{REMOTE}/{ARCHIVE}"
    volume = {"name": "dags", "mountPath": "/opt/airflow/dags"}

    def container(name: str, how: str) -> dict[str, Any]:
        return {
            "name": name,
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["python", "-c", program, url, volume["mountPath"], how],
            "volumeMounts": [volume],
        }

    first = {"extraInitContainers": [container("git-sync-init", "once")]}
    ever = {**first, "extraContainers": [container("git-sync", "forever")]}
    return {
        "env": [{"name": "APP_SHA", "value": SECOND}],
        "config": {"core": {"dags_folder": DAGS_FOLDER}},
        "volumes": [{"name": "dags", "emptyDir": {}}],
        "volumeMounts": [{**volume, "readOnly": True}],
        "workers": first,
        **dict.fromkeys(("scheduler", "dagProcessor", "triggerer", "apiServer"), ever),
    }


@pytest.fixture(scope="module")
def chain(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Airflow 3 in a namespace of its own, which goes afterwards: two Airflows slow each other.

    Its DAGs are of the first build, its image is of the second one.
    """
    folder = tmp_path_factory.mktemp("dags")
    for file in (*DAGS.iterdir(), *(DAGS / "stamped").iterdir()):
        if file.is_file():
            (folder / file.name).write_text(file.read_text())
    (folder / "_common.py").write_text(one_file(__version__))
    with AirflowStack(cluster, AIRFLOW_3) as stack:
        stack.bring_storage()
        minio = stack.minio()
        if not minio.bucket_exists(REMOTE):
            minio.make_bucket(REMOTE)
        minio.set_bucket_policy(REMOTE, json.dumps(public_read(REMOTE)))
        chain = Chain(stack, folder)
        chain.publish(FIRST)
        stack.bring_airflow(_synced_values(cluster.load_image(AIRFLOW_3.image)))
        yield chain
        chain.remove()
        stack.uninstall(storage=False)
    if cluster.kubectl("get", "namespace", AIRFLOW_2.namespace, "--ignore-not-found"):
        # It must not continue to watch a namespace that is gone.
        OperatorInstall(cluster).install()


@pytest.fixture(scope="module")
def held(chain: Chain) -> Iterator[RolloutOnCluster]:
    """A rollout that has come to the gate on the build."""
    OperatorInstall(chain.stack.cluster).install()
    rollout = RolloutOnCluster(chain.stack)
    rollout.prepare()
    rollout.delete()
    rollout.apply(_second_build("stamp", "tags"))
    rollout.xbr("attest", rollout.name, "--evidence", "tests/e2e")
    rollout.wait_condition("BuildConfirmed", "False", reason="BuildDiffers", deadline=600)
    yield rollout
    rollout.delete()


@pytest.fixture(scope="module")
def live(held: RolloutOnCluster, chain: Chain) -> RolloutOnCluster:
    """It has come through all its steps, without help, once the last pod had the build."""
    held.apply(_second_build("stamp", "image", "tags"))
    chain.publish(SECOND)
    chain.let(LATE_POD, "rm", "-f", "/tmp/stuck")
    held.wait_condition("Ready", deadline=600)
    return held


def _second_build(*sources: str) -> Callable[[Manifest], None]:
    """Change a manifest so that it wants the second build, seen on these sources."""

    def change(manifest: Manifest) -> None:
        gates = manifest["spec"]["gates"]
        gates["roundTrip"]["acceptedDrift"] = DRIFT
        gates["provenance"] = {
            "expectedBuild": SECOND,
            "sources": sources,
            "dags": ["stamped"],
            "interval": "2s",
        }

    return change


def _stamped_otherwise(rollout: RolloutOnCluster) -> set[str]:
    """The components with DAGs of another build, in a release of several."""
    seen = rollout.status()["provenance"]
    if seen["verdict"] != "mixed":
        raise NotYetError(f"{seen}")
    stamps = [reading for reading in seen["readings"] if reading.startswith("stamp ")]
    return {kind for reading in stamps for kind in COMPONENTS if f"-{kind}-" in reading}


def test_a_rollout_is_held_while_the_pods_are_of_another_build(held: RolloutOnCluster) -> None:
    seen = held.status()["provenance"]
    assert (seen["verdict"], seen["pods"]) == ("stale", len(COMPONENTS))
    said = held.conditions()["BuildConfirmed"]["message"]
    assert said.startswith("stale: 5 of 5 are not 2222222: stamp of the pod "), said
    assert held.thresholds_delivered() == ["database"], "nothing was delivered"


def test_a_release_with_one_pod_that_is_late_is_mixed_and_held(
    held: RolloutOnCluster, chain: Chain
) -> None:
    chain.let(LATE_POD, "touch", "/tmp/stuck")
    chain.publish(SECOND)
    wait_for("one late pod", lambda: _stamped_otherwise(held) == {LATE_POD}, 30)
    assert held.conditions()["BuildConfirmed"]["reason"] == "BuildDiffers"
    assert held.thresholds_delivered() == ["database"], "nothing was delivered"


def test_it_goes_on_by_itself_once_every_pod_is_of_the_build(live: RolloutOnCluster) -> None:
    seen = live.status()["provenance"]
    # The stamp and the image of four pods, the template of task pods, the tag of the DAG.
    assert seen["reason"] == "all 10 that were seen are 2222222"
    assert (seen["verdict"], seen["pods"]) == ("fresh", len(COMPONENTS))
    assert live.conditions()["BuildConfirmed"]["reason"] == "BuildConfirmed"
    assert live.thresholds_delivered() == ["database", "-1", "1048576"]


def test_both_pod_templates_are_proven_on_airflow_3(live: RolloutOnCluster) -> None:
    proofs = {proof["component"]: proof for proof in live.status()["proofs"]}
    assert set(proofs) == {"scheduler", "worker"}
    for proof in proofs.values():
        assert proof["verdict"] == "pass"
        assert proof["facts"]["airflow"].startswith("3.")


def test_the_static_audit_reads_the_dags_that_task_pods_pull(live: RolloutOnCluster) -> None:
    (audit,) = (audit for audit in live.status()["audits"] if audit["kind"] == "static")
    # All of them but the module that .airflowignore names.
    assert (audit["facts"]["folder"], audit["facts"]["files"]) == (DAGS_FOLDER, "8")


def test_every_kind_of_pod_that_airflow_3_has_was_looked_into(live: RolloutOnCluster) -> None:
    name = f"xbr-{live.name}-ledger"
    kept = live.cluster.kubectl_json("-n", live.namespace, "get", "configmap", name)
    readers = ledger_codec.from_config_map(kept).readers
    kinds = {kind for reader in readers for kind in COMPONENTS if f"-{kind}-" in reader.pod}
    assert kinds == COMPONENTS
    assert {(reader.error, reader.settings.threshold) for reader in readers} == {("", "1048576")}


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


def test_a_kill_recovers_every_offloaded_run_and_touches_no_other(
    live: RolloutOnCluster, chain: Chain
) -> None:
    """One run rests between its tasks; a task of another ignores SIGTERM and returns late.

    The DAGs are of another build by then, which holds no kill.
    """
    api, database = live.stack.api, live.stack.database
    slow = api.trigger(SLOW, {"seconds": 900})
    bystander = api.trigger(BYSTANDER, {"seconds": 90})
    api.wait_task(SLOW, slow, "hold", {"running"}, deadline=180)
    late = api.trigger(LATE, {"seconds": 45})
    api.wait_task(LATE, late, "late", {"running"}, deadline=120)
    row = database.xcom(SLOW, slow, "produce")
    assert row is not None
    assert row.is_path
    chain.publish(FIRST)

    live.xbr("kill", live.name, "--reason", "test", "--wait")

    live.wait_condition("Ready", reason="Reverted", deadline=60)
    assert live.thresholds_delivered()[-2:] == ["-1", "database"]
    for dag, run in ((SLOW, slow), (LATE, late)):
        api.wait_run(dag, run, deadline=60)
        assert [row for row in database.xcoms(dag, run) if row.is_path] == []
        assert database.received(dag, run)["type"] == "list"
    assert max(task.try_number for task in api.tasks(SLOW, slow)) == 2, "cleared once"
    # The late one may have ended on its own, on readers, before the second census.
    assert max(task.try_number for task in api.tasks(LATE, late)) <= 2, "cleared once at most"
    runs = live.status()["killSwitch"]["runs"]
    assert runs["failed"] == 0
    assert runs["found"] == runs["recovered"] + runs["healed"] >= 1
    api.wait_run(BYSTANDER, bystander, deadline=180)
    tries = {
        name: task.try_number for name, task in by_task(api.tasks(BYSTANDER, bystander)).items()
    }
    assert set(tries.values()) == {1}, tries
    for dag in (SLOW, LATE, BYSTANDER):
        assert not api.request("GET", f"/dags/{dag}")["is_paused"], f"{dag} is still paused"
