"""DAGs come by one chain, the image by another: what is loaded is shown before a trigger.

Real are Git, the example workflow's script, the worktree and the link of git-sync, Airflow's
parsing, its database, and the API server that `xbr` asks; a process on this machine stands for each
container.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from harness.apiserver import ApiServer
from harness.paths import REPO
from harness.shell import run
from probe_world import Environment, Pod
from probe_world.dag_chain import DAG_ID, Sources, Volume
from standin.kube import Json
from standin.kubelet import API_SERVER_FLAG, Ran, run_here
from standin.node import Node
from xcom_rollout.cli import main

pytestmark = [pytest.mark.airflow, pytest.mark.apiserver]

RELEASE = "airflow"
VARIABLE = "APP_SHA"


class ProcessNode(Node):
    """A node on which a command in a pod is a process of this machine."""

    def __init__(self, kubeconfig: Path, pki: Path) -> None:
        super().__init__("two-hops", kubeconfig, pki)
        self.containers: dict[str, Pod] = {}

    def start(self, namespace: str, metadata: Json, spec: Json) -> Json:
        """Create a pod on this node, and let it run at once."""
        body = {"metadata": metadata, "spec": {**spec, "nodeName": self.name}}
        pod = self._kube.create(f"/api/v1/namespaces/{namespace}/pods", body)
        self._say(pod, "Running")
        return pod

    def stop(self, namespace: str, name: str) -> None:
        self._kube.delete(f"/api/v1/namespaces/{namespace}/pods/{name}")

    def _execute(self, namespace: str, pod: str, command: list[str], stdin: bytes) -> Ran:
        del namespace
        container = self.containers[pod]
        program = str(container.python) if command[0] == "python" else command[0]
        return run_here([program, *command[1:]], container.env, stdin)


@dataclass
class Cluster:
    """An Airflow of two pods, each with its own volume, and `xbr` in front of it."""

    node: ProcessNode
    kubeconfig: Path
    namespace: str
    airflow: Environment
    sources: Sources
    right: Pod
    folder: Path
    volumes: dict[str, Volume] = field(default_factory=dict)

    def deploy(self, sha: str | None) -> None:
        """Replace the pods: by those of the image of a commit, or of one that reports none."""
        image = self.folder / f"image-{sha}"
        if sha is not None and not image.exists():
            self.sources.build(sha, image)
        for component in ("scheduler", "triggerer"):
            name = f"airflow-{component}-0"
            if name in self.volumes:
                self.node.stop(self.namespace, name)
            else:
                volume = self.folder / component
                volume.mkdir()
                self.volumes[name] = Volume(volume, self.sources.target)
            dags = self.volumes[name].dags
            changes = {"AIRFLOW__CORE__DAGS_FOLDER": str(dags), "PYTHONPATH": str(image)}
            self.node.containers[name] = self.right.with_env({**changes, VARIABLE: sha})
            labels = {"tier": "airflow", "release": RELEASE, "component": component}
            mount = {"name": "dags", "mountPath": str(self.volumes[name].folder)}
            container = {"name": component, "image": f"app:{sha}", "volumeMounts": [mount]}
            spec = {"containers": [container], "volumes": [{"name": "dags", "emptyDir": {}}]}
            self.node.start(self.namespace, {"name": name, "labels": labels}, spec)

    def pull(self, *components: str) -> None:
        """Let git-sync pull in the pods of these components."""
        for component in components:
            self.volumes[f"airflow-{component}-0"].pull()

    def parse(self) -> None:
        """Let Airflow parse the scheduler's DAG folder into its database."""
        env = self.node.containers["airflow-scheduler-0"].env
        # Airflow's processor puts the folder on the path; this command of 3.0 does not.
        path = f"{env['PYTHONPATH']}{os.pathsep}{env['AIRFLOW__CORE__DAGS_FOLDER']}"
        env = {**env, "PYTHONPATH": path}
        run(self.airflow.airflow, "dags", "reserialize", env=env, timeout=300)

    def command(self, expected: str, *arguments: str) -> list[str]:
        words = ["-n", self.namespace, "provenance", "--release", RELEASE, "--expect", expected]
        return [sys.executable, "-m", "xcom_rollout.cli", *words, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "PYTHONPATH": str(REPO / "operator"),
            "XBR_PROBE": str(self.right.pyz),
        }

    def ask(self, expected: str, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Exit code and answer of `xbr provenance`."""
        done = subprocess.run(
            self.command(expected, *arguments, "-o", "json"),
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """A real API server."""
    with ApiServer(API_SERVER_FLAG) as server:
        yield server


@pytest.fixture(scope="module")
def node(server: ApiServer) -> Iterator[ProcessNode]:
    """A node of it."""
    node = ProcessNode(server.kubeconfig, server.folder / "pki")
    with node:
        yield node


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return itertools.count(1)


@dataclass
class Story:
    """A cluster on which the first build is everywhere, and the second one is merged."""

    cluster: Cluster
    first: str
    second: str


@pytest.fixture
def cluster(
    server: ApiServer,
    node: ProcessNode,
    numbers: Iterator[int],
    airflow: Environment,
    pod: Pod,
    tmp_path: Path,
) -> Cluster:
    """An empty namespace, and empty repositories."""
    namespace = f"two-hops-{next(numbers)}"
    server.kubectl("create", "namespace", namespace)
    sources = Sources(tmp_path / "git")
    return Cluster(node, server.kubeconfig, namespace, airflow, sources, pod, tmp_path)


@pytest.fixture
def story(cluster: Cluster) -> Story:
    """The first build is everywhere, and the second one is merged."""
    first = cluster.sources.merge(steps=1)
    cluster.sources.sync()
    cluster.deploy(first)
    cluster.parse()
    return Story(cluster, first, cluster.sources.merge(steps=2))


def places(answer: dict[str, Any]) -> set[tuple[str, str]]:
    """BuildSource and build of each reading that is not of the commit expected."""
    return {(seen["source"], seen["build"]) for seen in answer["other"]}


@pytest.mark.every_airflow
def test_neither_hop_is_done_when_somebody_wants_to_trigger(story: Story) -> None:
    cluster, first, second = story.cluster, story.first, story.second
    code, answer = cluster.ask(first, "--dag", DAG_ID)
    assert (code, answer["verdict"]) == (0, "fresh"), answer["reason"]
    assert len(answer["pods"]) == 2
    # Merged, and neither synced nor deployed: the trigger of the incident.
    code, answer = cluster.ask(second, "--dag", DAG_ID)
    assert (code, answer["verdict"]) == (1, "stale"), answer
    assert places(answer) == {("stamp", first), ("image", first), ("tags", first[:7])}


@pytest.mark.every_airflow
def test_new_dags_with_an_old_image_are_told_apart(story: Story) -> None:
    cluster, first, second = story.cluster, story.first, story.second
    cluster.sources.sync()
    cluster.pull("scheduler", "triggerer")
    # Pulled, and not parsed.
    code, answer = cluster.ask(second, "--dag", DAG_ID)
    assert (code, answer["verdict"]) == (1, "mixed"), answer["reason"]
    assert places(answer) == {("image", first), ("tags", first[:7])}
    cluster.parse()
    code, answer = cluster.ask(second, "--dag", DAG_ID)
    assert (code, answer["verdict"]) == (1, "mixed"), answer["reason"]
    assert places(answer) == {("image", first)}
    cluster.deploy(second)
    code, answer = cluster.ask(second, "--dag", DAG_ID)
    assert (code, answer["verdict"]) == (0, "fresh"), answer["reason"]


def test_old_dags_with_a_new_image_are_told_apart(story: Story) -> None:
    cluster, first, second = story.cluster, story.first, story.second
    cluster.deploy(second)
    code, answer = cluster.ask(second, "--dag", DAG_ID)
    assert (code, answer["verdict"]) == (1, "mixed"), answer["reason"]
    assert places(answer) == {("stamp", first), ("tags", first[:7])}


def test_git_sync_behind_in_one_pod_is_told_apart(story: Story) -> None:
    cluster, first, second = story.cluster, story.first, story.second
    cluster.sources.sync()
    cluster.deploy(second)
    cluster.pull("scheduler")
    cluster.parse()
    code, answer = cluster.ask(second, "--dag", DAG_ID)
    assert (code, answer["verdict"]) == (1, "mixed"), answer["reason"]
    assert [(seen["source"], seen["where"], seen["build"]) for seen in answer["other"]] == [
        ("stamp", "the pod airflow-triggerer-0", first)
    ]


def test_an_image_that_does_not_tell_its_commit_is_unknown_not_fresh(story: Story) -> None:
    cluster, first = story.cluster, story.first
    cluster.deploy(None)
    code, answer = cluster.ask(first, "--dag", DAG_ID)
    assert (code, answer["verdict"]) == (4, "unknown"), answer
    assert {seen["source"] for seen in answer["unknown"]} == {"image"}
    code, answer = cluster.ask(first, "--dag", DAG_ID, "--without", "image")
    assert (code, answer["verdict"]) == (0, "fresh"), answer["reason"]


def test_waiting_ends_when_both_hops_are_done(story: Story) -> None:
    cluster, second = story.cluster, story.second
    code, answer = cluster.ask(second, "--wait", "--timeout", "1", "--dag", DAG_ID)
    assert (code, answer["verdict"]) == (3, "stale"), answer
    command = cluster.command(second, "--wait", "--interval", "0.5", "--dag", DAG_ID)
    with subprocess.Popen(
        command, env=cluster.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as waiting:
        assert waiting.stderr is not None
        assert waiting.stderr.readline().startswith("not yet: ")
        cluster.sources.sync()
        cluster.pull("scheduler", "triggerer")
        cluster.deploy(second)
        cluster.parse()
        said, _ = waiting.communicate(timeout=300)
        assert waiting.returncode == 0, said
    assert "fresh: all" in said


def test_the_next_task_is_judged_by_its_template_and_a_running_one_is_not(
    server: ApiServer, cluster: Cluster
) -> None:
    first = cluster.sources.merge(steps=1)
    cluster.sources.sync()
    cluster.deploy(first)
    second = cluster.sources.merge(steps=2)
    task = {
        "name": "diagnostic-compute",
        "labels": {"tier": "airflow", "release": RELEASE, "component": "worker"},
        "annotations": {"dag_id": DAG_ID, "run_id": "manual__1", VARIABLE: second},
    }
    base = {"containers": [{"name": "base", "image": f"app:{second}"}]}
    cluster.node.start(cluster.namespace, task, base)
    asked = ("--without", "tags", "--image-label", VARIABLE)

    def deliver(template: dict[str, Any]) -> None:
        labels = {"tier": "airflow", "release": RELEASE, "component": "scheduler"}
        config = {"pod_template_file.yaml": yaml.safe_dump({"kind": "Pod", **template})}
        scheduler = {
            "containers": [
                {
                    "name": "scheduler",
                    "image": f"app:{first}",
                    "volumeMounts": [{"name": "config", "mountPath": "/opt/airflow/config"}],
                }
            ],
            "volumes": [{"name": "config", "configMap": {"name": "airflow-config"}}],
        }
        for item in (
            {"apiVersion": "v1", "kind": "ConfigMap", "data": config}
            | {"metadata": {"name": "airflow-config", "namespace": cluster.namespace}},
            {"apiVersion": "apps/v1", "kind": "Deployment"}
            | {"metadata": {"name": "s", "namespace": cluster.namespace, "labels": labels}}
            | {
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": scheduler},
                }
            },
        ):
            server.apply(json.dumps(item))

    deliver({"spec": {"containers": [{"name": "base", "image": f"app:{first}"}]}})
    code, answer = cluster.ask(first, *asked)
    assert (code, answer["verdict"]) == (0, "fresh"), answer["reason"]
    assert {seen["build"] for seen in answer["taskTemplate"]} == {first}
    (running,) = (pod for pod in answer["pods"] if pod["component"] == "worker")
    assert (running["readings"], "manual__1" in running["note"]) == ([], True)

    deliver({})
    code, answer = cluster.ask(first, *asked)
    assert (code, answer["verdict"]) == (4, "unknown"), answer
    assert "not a pod template" in answer["reason"]

    deliver({"spec": base})
    code, answer = cluster.ask(first, *asked)
    assert (code, answer["verdict"]) == (4, "unknown"), answer
    assert [seen["where"] for seen in answer["unknown"]] == ["the template of task pods"]

    deliver({"metadata": {"annotations": {VARIABLE: second}}, "spec": base})
    code, answer = cluster.ask(first, *asked)
    assert (code, answer["verdict"]) == (1, "mixed"), answer["reason"]
    assert [seen["build"] for seen in answer["other"]] == [second]


def test_a_release_without_pods_is_unknown(cluster: Cluster) -> None:
    done = subprocess.run(
        cluster.command("0" * 40), env=cluster.environment, capture_output=True, check=False
    )
    assert done.returncode == 4
    assert b"no pod of the release 'airflow' runs" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--expect", "main"], "'main' is not a commit"),
        (["--wait"], "--wait requires --expect"),
        (["--without", "tags", "--without", "image", "--without", "stamp"], "nothing to check"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_asked(arguments: list[str], message: str) -> None:
    answer = CliRunner().invoke(main, ["provenance", "--release", RELEASE, *arguments])
    assert answer.exit_code == 2
    assert message in answer.output
