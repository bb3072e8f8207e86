"""A rollout waits for the build that its spec names: DAGs, image, and what Airflow has parsed.

Real are the operator, the API server, Helm, the chain that brings the DAGs, Airflow's parsing and
database, and the process that looks in each pod; it runs on this machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.apiserver import ApiServer
from harness.paths import REPO
from harness.shell import run
from probe_world import Environment, Pod
from probe_world.dag_chain import DAG_ID, Sources, Volume
from standin.driver import Driver
from standin.kube import Json
from standin.kubelet import API_SERVER_FLAG, Ran, run_here
from standin.node import Node
from standin.place import RELEASE, Place, Site, open_site

pytestmark = [pytest.mark.airflow, pytest.mark.apiserver]

VARIABLE = "APP_SHA"
WITH_DAGS = ("scheduler", "triggerer")


class BuildNode(Node):
    """A node whose pods report their build by a process of their own; the rest is as ever."""

    def __init__(self, kubeconfig: Path, pki: Path) -> None:
        super().__init__("builds", kubeconfig, pki)
        self.container: Pod | None = None
        """What every container has; each image adds its commit, each component its DAGs."""
        self.volumes: dict[str, Volume] = {}

    def _execute(self, namespace: str, pod: str, command: list[str], stdin: bytes) -> Ran:
        if "provenance" not in command:
            return super()._execute(namespace, pod, command, stdin)
        found = self._kube.get(f"/api/v1/namespaces/{namespace}/pods/{pod}")
        component = found["metadata"]["labels"]["component"]
        sha = found["spec"]["containers"][0]["image"].rpartition(":")[2]
        container = self.environment(component, sha)
        return run_here([str(container.python), *command[1:]], container.env, stdin)

    def environment(self, component: str, sha: str) -> Pod:
        """What a process sees in a container of a component, of the image of a commit."""
        assert self.container is not None
        volume = self.volumes.get(component)
        folder = "/no-dags-here" if volume is None else str(volume.dags)
        return self.container.with_env({"AIRFLOW__CORE__DAGS_FOLDER": folder, VARIABLE: sha})


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """A real API server with the CRD of this tree."""
    with ApiServer(API_SERVER_FLAG) as server:
        server.apply_crd(REPO / "crds" / "xcombackendrollouts.yaml")
        yield server


@pytest.fixture(scope="module")
def site(server: ApiServer, pyz: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The chart, and files made once."""
    with open_site(server, tmp_path_factory.mktemp("site"), pyz) as site:
        yield site


@pytest.fixture(scope="module")
def node(site: Site) -> Iterator[BuildNode]:
    node = BuildNode(site.kubeconfig, site.pki)
    with node:
        yield node


@dataclass
class Story:
    """A release of the first build; the second one is merged."""

    place: Place
    node: BuildNode
    sources: Sources
    airflow: Environment
    image: Path
    first: str
    second: str

    def declare(self, expected: str, **gate: Any) -> Driver:
        gate |= {"expectedBuild": expected, "interval": "1s"}
        self.place.declare(gates={"provenance": gate})
        return Driver(self.place)

    def deploy(self, sha: str) -> None:
        """Give the release the image of a commit, as a person does."""
        self.place.helm(
            *("upgrade", RELEASE, str(self.place.site.chart), "--no-hooks", "--reuse-values"),
            *("--set-string", f"images.airflow.tag={sha}"),
        )
        if not self.image.exists():
            self.sources.build(sha, self.image)

    def pull(self) -> None:
        """Let git-sync pull in every pod that has DAGs."""
        for volume in self.node.volumes.values():
            volume.pull()

    def parse(self, sha: str) -> None:
        """Let Airflow parse the DAGs into its database, with the code of an image."""
        env = self.node.environment("scheduler", sha).env
        folders = (str(self.image), env["AIRFLOW__CORE__DAGS_FOLDER"])
        env = {**env, "PYTHONPATH": os.pathsep.join(folders)}
        run(self.airflow.airflow, "dags", "reserialize", env=env, timeout=300)


@pytest.fixture
def story(
    site: Site,
    node: BuildNode,
    airflow: Environment,
    pod: Pod,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> Iterator[Story]:
    sources = Sources(tmp_path / "git")
    first = sources.merge(steps=1)
    sources.sync()
    node.container = pod
    for component in WITH_DAGS:
        folder = tmp_path / component
        folder.mkdir()
        node.volumes[component] = Volume(folder, sources.target)
    name = "builds-" + request.node.name.partition("[")[0].replace("_", "-")[:40].rstrip("-")
    with Place(site, node, name) as place:
        image = tmp_path / "image"
        story = Story(place, node, sources, airflow, image, first, sources.merge(steps=2))
        story.deploy(first)
        place.tick()
        yield story


def reason(status: Json) -> str:
    """The reason of Ready: what the rollout is about."""
    found = [entry for entry in status.get("conditions") or [] if entry["type"] == "Ready"]
    return str(found[0]["reason"]) if found else ""


def sources(status: Json) -> set[str]:
    """What the newest look found to be of another build, or could not see."""
    return {reading.partition(" ")[0] for reading in status["provenance"]["readings"]}


def threshold(place: Place) -> str | None:
    """What is delivered; None while it is the database backend."""
    section = (place.revision().values.get("config") or {}).get("common.io") or {}
    value = section.get("xcom_objectstorage_threshold")
    return None if value is None else str(value)


def test_a_rollout_waits_for_both_hops_and_then_goes_on_by_itself(story: Story) -> None:
    place, second = story.place, story.second
    driver = story.declare(second, dags=[DAG_ID])
    driver.until("the old build to hold", lambda status: reason(status) == "BuildDiffers")
    assert sources(place.status()) >= {"stamp", "image"}
    assert threshold(place) is None, "nothing was delivered"
    for part in (f"are not {second[:7]}", "(APP_SHA)", "Let git-sync pull", "every 1s"):
        assert part in place.said()

    story.sources.sync()
    story.pull()
    driver.until("the first hop", lambda status: "stamp" not in sources(status))
    assert reason(place.status()) == "BuildDiffers", "the image is of the old build"
    assert threshold(place) is None

    story.deploy(second)
    driver.until("the second hop", lambda status: "image" not in sources(status))
    assert sources(place.status()) == {"tags"}
    assert threshold(place) is None, "pulled is not parsed"

    story.parse(second)
    driver.until("a live rollout", lambda status: status.get("phase") == "Live")
    assert place.status()["provenance"]["verdict"] == "fresh"
    assert place.conditions()["BuildConfirmed"] == "True (BuildConfirmed)"


def test_a_build_that_comes_between_the_deliveries_holds_and_a_kill_does_not_wait(
    story: Story,
) -> None:
    place = story.place
    driver = story.declare(story.first, sources=["stamp", "image"])
    driver.until("the first delivery", lambda status: status.get("phase") == "ReadersFirst")
    story.sources.sync()
    story.pull()
    driver.until("the newer DAGs to hold", lambda status: reason(status) == "BuildDiffers")
    assert threshold(place) == "-1", "readers are delivered, and nothing is offloaded"
    assert sources(place.status()) == {"stamp"}
    place.kill()
    driver.until("the way back", lambda status: status.get("phase") == "Reverted")
    assert threshold(place) is None


def test_an_image_that_does_not_tell_its_commit_holds(story: Story) -> None:
    place = story.place
    driver = story.declare(story.first, sources=["image"], imageEnv=["NOBODY_SETS_THIS"])
    driver.until("an unknown build to hold", lambda status: reason(status) == "BuildUnknown")
    assert threshold(place) is None
    assert (
        "is not known (checked: org.opencontainers.image.revision or NOBODY_SETS_THIS)"
        in place.said()
    )
    place.change({"gates": {"provenance": {"imageEnv": [VARIABLE]}}})
    driver.until("the first delivery", lambda status: status.get("phase") == "ReadersFirst")
    assert place.conditions()["BuildConfirmed"] == "True (BuildConfirmed)"
