"""The example DAGs in pods: arrays by reference, what a gate says of a fault, which build it was.

What is looked for in the logs is looked for by the commands of docs/runbooks/blobs.md themselves.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.airflow import Bucket, by_task
from harness.paths import IMAGES, REPO
from harness.shell import CommandError, run
from harness.stack import AirflowStack
from harness.waiting import NotYetError
from xcom_dags.stamp import write_stamp

DAGS = REPO / "docs" / "examples" / "dags"
RUNBOOK = REPO / "docs" / "runbooks" / "blobs.md"
IMAGE = "airflow-dags"
DAG = "s43_predictions"
ASSETS = ("ADA", "BTC", "ETH", "SOL", "XRP")
ROWS = 1000
BUCKET, BASE = "predictions", "s3://predictions_s3@predictions/s43"
IDENTITY, SECRET = "predictions", "predictions-password"
ENDPOINT = "http://minio.storage.svc.cluster.local:9000"
VALUES = {
    "config": {
        # What was logged in a pod can be read as long as the pod is there.
        "kubernetes_executor": {"delete_worker_pods": "False"},
        "metrics": {
            "statsd_on": "True",
            "statsd_host": "statsd.storage.svc.cluster.local",
            "metrics_allow_list": "xcom_blob",
        },
    },
}
LISTENER = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("0.0.0.0", 8125))
    print("listening", flush=True)
    while True:
        print(server.recv(65535).decode(), flush=True)
"""


@dataclass(frozen=True)
class Family:
    """The DAGs on a cluster, with all that they need.

    Attributes:
        sha: the commit of the image and of the stamp in the DAG folder.
    """

    stack: AirflowStack
    sha: str

    @property
    def bucket(self) -> Bucket:
        """The bucket of the blobs."""
        return Bucket(self.stack.minio, BUCKET)

    def complete_run(self) -> str:
        """Run the DAG with nothing wrong."""
        run_id = self.stack.api.trigger(DAG, {"rows": ROWS})
        self.stack.api.wait_run(DAG, run_id, deadline=180)
        return run_id

    def verdict(self, run_id: str) -> dict[str, Any]:
        """What the gate returned."""
        row = self.stack.database.xcom(DAG, run_id, "gate")
        assert row is not None
        return dict(json.loads(row.value))

    def references(self, run_id: str) -> dict[str, dict[str, Any]]:
        """What the acquisitions returned, by asset."""
        rows = self.stack.database.xcoms(DAG, run_id)
        found = [json.loads(row.value) for row in rows if row.task_id == "acquire"]
        return {reference["key"]: reference for reference in found}

    def metrics(self) -> list[str]:
        """What has arrived at the StatsD server, a line each."""
        return self.stack.cluster.kubectl("-n", "storage", "logs", "statsd").splitlines()

    def gate_again(self, run_id: str) -> str:
        """Clear the gate as the runbook does; its state when it has ended."""
        self.by_runbook("gate-again", run_id)
        return str(self.stack.api.wait_task(DAG, run_id, "gate", {"success", "failed"}).state)

    def by_runbook(self, name: str, run_id: str = "", **variables: str) -> str:
        """Run the commands of a block of the runbook as a person would; what they print."""
        cluster = self.stack.cluster
        programs = (Path(sys.executable).parent, Path(cluster.kubectl_command[0]).parent)
        words = {
            "PATH": ":".join([*map(str, programs), os.environ["PATH"]]),
            "KUBECONFIG": str(cluster.kubeconfig),
            "NAMESPACE": self.stack.namespace,
            "RELEASE": self.stack.release,
            "AIRFLOW_USER": "admin:admin",
            "DAG": DAG,
            "RUN": run_id,
            "BASE": BASE,
            **variables,
        }
        command = ("bash", "-euo", "pipefail", "-c", runbook_block(name))
        web = self.stack.instance.web_service
        with cluster.service_url(self.stack.namespace, web, 8080) as address:
            return run(*command, env={**words, "AIRFLOW": f"{address}/api/v1"}, timeout=120)


def runbook_block(name: str) -> str:
    """The commands after the comment `<!-- test: NAME -->` in the runbook."""
    pattern = rf"<!-- test: {re.escape(name)} -->\n+```sh\n(.*?)```"
    found = re.findall(pattern, RUNBOOK.read_text(), re.DOTALL)
    assert len(found) == 1, f"{RUNBOOK} has {len(found)} blocks named {name}"
    return str(found[0])


def image_sha() -> str:
    """The commit that the image says it was built from."""
    text = (IMAGES / IMAGE / "Containerfile").read_text()
    (sha,) = re.findall(r"^ARG SHA=([0-9a-f]{40})$", text, re.MULTILINE)
    return str(sha)


def statsd(image: str) -> list[dict[str, Any]]:
    """A server that prints the metrics that it is sent, and its Service."""
    metadata = {"name": "statsd", "namespace": "storage", "labels": {"app": "statsd"}}
    port = {"name": "statsd", "protocol": "UDP"}
    container = {
        "name": "statsd",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", LISTENER],
        "ports": [{**port, "containerPort": 8125}],
    }
    pod = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": metadata["labels"], "ports": [{**port, "port": 8125}]},
        },
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
    ]


@pytest.fixture(scope="module")
def family(stack: AirflowStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Family]:
    """The family installed: an image, a stamped DAG folder, a bucket, rights, a connection."""
    cluster, sha = stack.cluster, image_sha()
    folder = tmp_path_factory.mktemp("dags")
    for file in DAGS.iterdir():
        if file.is_file():
            (folder / file.name).write_text(file.read_text())
    write_stamp(folder, sha)
    cluster.apply(statsd(cluster.load_image(IMAGE)))
    make_bucket(stack)
    policy = run(Path(sys.executable).parent / "xbr", "policy", BASE, "--role", "producer")
    stack.add_identity(IDENTITY, SECRET, json.loads(policy))
    connect(stack)
    try:
        stack.install(VALUES, image=IMAGE, more_dags=[folder])
        cluster.wait_for("the DAG is parsed", lambda: DAG in stack.api.dag_ids(), 90)
        yield Family(stack, sha)
    finally:
        stack.install()
        words = ("--ignore-not-found", "--wait=false")
        cluster.kubectl("-n", stack.namespace, "delete", "pods", "-l", f"dag_id={DAG}", *words)
        cluster.kubectl("-n", "storage", "delete", "pod,service", "statsd", *words)
        stack.api.request("DELETE", f"/dags/{DAG}", accept={404})
        stack.api.request("DELETE", "/connections/predictions_s3", accept={404})
        remove_bucket(stack)
        stack.remove_identity(IDENTITY)


def connect(stack: AirflowStack) -> None:
    """The connection, made in Airflow as a person makes it."""
    connection = {
        "connection_id": "predictions_s3",
        "conn_type": "aws",
        "login": IDENTITY,
        "password": SECRET,
        "extra": json.dumps({"endpoint_url": ENDPOINT, "region_name": "us-east-1"}),
    }
    stack.api.request("DELETE", "/connections/predictions_s3", accept={404})
    stack.api.request("POST", "/connections", body=connection)


def make_bucket(stack: AirflowStack) -> None:
    if not stack.minio().bucket_exists(BUCKET):
        stack.minio().make_bucket(BUCKET)


def remove_bucket(stack: AirflowStack) -> dict[str, bytes]:
    """Remove the bucket; what was in it."""
    if not stack.minio().bucket_exists(BUCKET):
        return {}
    bucket = Bucket(stack.minio, BUCKET)
    objects = {key: bucket.read(key) for key in bucket.sizes()}
    for key in objects:
        stack.minio().remove_object(BUCKET, key)
    stack.minio().remove_bucket(BUCKET)
    return objects


@contextmanager
def without_bucket(family: Family) -> Iterator[None]:
    """Without the bucket; afterwards all is as before."""
    objects = remove_bucket(family.stack)
    try:
        yield
    finally:
        make_bucket(family.stack)
        for key, content in objects.items():
            put(family, key, content)


def put(family: Family, key: str, content: bytes) -> None:
    family.stack.minio().put_object(BUCKET, key, io.BytesIO(content), len(content))


@pytest.fixture(scope="module")
def complete(family: Family) -> str:
    """A run in which nothing was wrong."""
    return family.complete_run()


def key_of(reference: dict[str, Any]) -> str:
    bucket, key = str(reference["uri"]).removeprefix("s3://").split("/", 1)
    assert bucket == BUCKET
    return key


def predicted(asset: str) -> np.ndarray[Any, Any]:
    """What the DAG computes for an asset."""
    start = int.from_bytes(asset.encode(), "big")
    return np.arange(start, start + 4 * ROWS, dtype="<f8").reshape(ROWS, 4)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_five_pods_hand_their_arrays_to_a_sixth_unchanged(family: Family, complete: str) -> None:
    said = family.verdict(complete)
    assert said["verdict"] == "COMPLETE"
    assert said["sha256"] == {asset: sha256(predicted(asset).tobytes()) for asset in ASSETS}
    references = family.references(complete)
    assert set(references) == set(ASSETS)
    for reference in (*references.values(), said["pool"]):
        stored = hashlib.sha256(family.bucket.read(key_of(reference))).digest()
        assert reference["checksum_sha256"] == base64.b64encode(stored).decode()
        assert len(json.dumps(reference)) < 1024
    pool = np.load(io.BytesIO(family.bucket.read(key_of(said["pool"]))))["y"]
    assert np.array_equal(pool, np.concatenate([predicted(asset) for asset in ASSETS]))
    pods = family.stack.cluster.kubectl_json(
        "-n", family.stack.namespace, "get", "pods", "-l", f"dag_id={DAG},run_id={complete}"
    )["items"]
    assert len(pods) == 6


def test_the_log_of_each_pod_says_which_build_it_ran(family: Family, complete: str) -> None:
    lines = family.by_runbook("events", complete).splitlines()
    loaded = [line for line in lines if "event=dag_loaded" in line]
    assert len(loaded) == 5
    assert all(f"champollion_sha={family.sha}" in line for line in loaded)
    (outcome,) = [line for line in lines if "event=s43_acquire_outcome" in line]
    assert "verdict=COMPLETE cohort_count=5 cohort_expected=5" in outcome


def test_metrics_of_the_transport_arrive_at_statsd(family: Family, complete: str) -> None:
    del complete
    seen = family.metrics()
    names = {line.split(":")[0] for line in seen}
    assert {
        "airflow.xcom_blob.write.duration",
        "airflow.xcom_blob.read.duration",
        "airflow.xcom_blob.cohort_count",
        "airflow.xcom_blob.cohort_expected",
    } <= names
    assert "airflow.xcom_blob.cohort_count:5|g" in seen


def test_the_page_and_the_tags_of_the_dag_show_its_build(family: Family, complete: str) -> None:
    del complete
    page = family.stack.api.request("GET", f"/dags/{DAG}/details")
    assert page["doc_md"].startswith(f"**Build** `{family.sha[:7]}` · synced 20")
    assert f"build={family.sha[:7]}" in {tag["name"] for tag in page["tags"]}


def test_provenance_tells_a_fresh_release_from_a_stale_one(family: Family) -> None:
    assert "fresh: all" in family.by_runbook("provenance", SHA=family.sha)
    with pytest.raises(CommandError) as stale:
        family.by_runbook("provenance", SHA="0" * 40)
    assert stale.value.code == 1
    assert "stale:" in stale.value.output


def test_a_killed_pod_makes_the_verdict_inconclusive_and_no_pool(family: Family) -> None:
    stack = family.stack
    run_id = stack.api.trigger(DAG, {"rows": ROWS, "slow": "ETH"})
    asset = f"dag_id={DAG},run_id={run_id},task_id=acquire,map_index={ASSETS.index('ETH')}"

    def works() -> bool:
        """Its own code runs in the pod."""
        words = ("-n", stack.namespace, "logs", "-l", asset, "--tail=-1")
        if "event=dag_loaded" not in stack.cluster.kubectl(*words):
            raise NotYetError("no event yet")
        return True

    stack.cluster.wait_for("the acquisition of ETH runs", works, 120)
    words = ("--grace-period=0", "--force")
    stack.cluster.kubectl("-n", stack.namespace, "delete", "pods", "-l", asset, *words)
    stack.api.wait_task(DAG, run_id, "gate", {"success", "failed"}, deadline=240)
    assert family.verdict(run_id) == {"verdict": "INCONCLUSIVE_TOOLING", "missing": ["ETH"]}
    folder = key_of(family.references(run_id)["ADA"]).rpartition("/")[0]
    stored = {key.removeprefix(f"{folder}/") for key in family.bucket.sizes(folder)}
    assert stored == {f"{each}.npz" for each in ASSETS if each != "ETH"}
    (outcome,) = family.by_runbook("outcome", run_id).splitlines()
    assert 'cohort_count=4 cohort_expected=5 missing="[\\"ETH\\"]"' in outcome
    assert "airflow.xcom_blob.cohort_incomplete:1|c" in family.metrics()

    family.by_runbook("producers-again", run_id)
    family.by_runbook("gate-again", run_id)
    stack.api.wait_run(DAG, run_id, deadline=180)
    assert family.verdict(run_id)["verdict"] == "COMPLETE"
    tries = {task.map_index: task.try_number for task in stack.api.tasks(DAG, run_id)[:5]}
    assert tries == {0: 1, 1: 1, 2: 2, 3: 1, 4: 1}, "only the one that failed ran again"


def test_a_truncated_blob_fails_the_gate_with_key_and_sizes(family: Family, complete: str) -> None:
    reference = family.references(complete)["SOL"]
    key, size = key_of(reference), reference["bytes"]
    whole = family.bucket.read(key)
    put(family, key, whole[: size // 2])
    try:
        assert family.gate_again(complete) == "failed"
        failed = family.by_runbook("failures", complete)
        assert f"event=s43_pred_load_failed severity=error run_id={complete} key=SOL" in failed
        assert "fault=BlobMalformed" in failed
        assert f"has {size // 2} bytes, not {size}" in failed
        listed = family.by_runbook("objects", complete)
        assert re.search(rf"^\s*{size // 2} {re.escape(key)}$", listed, re.MULTILINE)
    finally:
        put(family, key, whole)
    assert family.gate_again(complete) == "success"
    assert family.verdict(complete)["verdict"] == "COMPLETE"


def test_a_gate_without_the_bucket_says_one_fault_of_configuration(
    family: Family, complete: str
) -> None:
    with without_bucket(family):
        assert family.gate_again(complete) == "failed"
        said = family.by_runbook("gate-said", complete)
        assert "AllAbsent: none of 5 blobs" in said
        assert "one fault of transport or configuration" in said
        assert "the bucket of s3://predictions/s43/" in said
        with pytest.raises(CommandError) as refused:
            family.by_runbook("objects", complete)
        assert "NoSuchBucket" in refused.value.output


def test_producers_without_the_bucket_say_so_each(family: Family) -> None:
    stack = family.stack
    with without_bucket(family):
        run_id = stack.api.trigger(DAG, {"rows": ROWS})
        stack.api.wait_run(DAG, run_id, "failed", deadline=180)
        failed = family.by_runbook("failures", run_id).splitlines()
        assert len([line for line in failed if "event=s43_pred_persist_failed" in line]) == 5
        assert all("the bucket of s3://predictions/s43/" in line for line in failed)
        assert "AllAbsent: none of 5 blobs" in family.by_runbook("gate-said", run_id)
        assert by_task(stack.api.tasks(DAG, run_id))["gate"].state == "failed"


def test_the_lifecycle_commands_of_the_runbook_put_the_rule_in(family: Family) -> None:
    said = family.by_runbook("lifecycle", BUCKET=BUCKET, PREFIX="s43/", **family.stack.s3_access())
    assert "7 days: written and read back" in said
    assert said.splitlines()[-1].endswith("7 days: there")
