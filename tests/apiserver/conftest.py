"""One API server for all tests, with the CRD, the chart repository and a node beside it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import tools
from harness.apiserver import ApiServer
from harness.paths import REPO
from standin.bench import Bench, small_charts
from standin.kubelet import API_SERVER_FLAG
from standin.node import Node
from standin.place import Place, Site, open_site
from standin.story import Outcome, StoryResult, Tellers, tell
from xcom_probe.build import build
from xcom_rollout.clients.kubeconfig import from_kubeconfig
from xcom_rollout.wiring import open_clients

WORKERS = 2
"""Stories told at a time: more than there are cores would only wait for each other."""
CRD = REPO / "crds" / "xcombackendrollouts.yaml"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.apiserver)


@pytest.fixture(scope="session")
def server() -> Iterator[ApiServer]:
    """An API server with the CRD of this tree."""
    with ApiServer(API_SERVER_FLAG) as server:
        server.apply_crd(CRD)
        yield server


@pytest.fixture(scope="session")
def site(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """What all places share."""
    folder = tmp_path_factory.mktemp("site")
    build(folder / "xcom_probe.pyz")
    with open_site(server, folder, folder / "xcom_probe.pyz") as site:
        yield site


@pytest.fixture(scope="session")
def node(site: Site) -> Iterator[Node]:
    with Node("node", site.kubeconfig, site.pki) as node:
        yield node


@pytest.fixture(scope="session")
def tellers(site: Site) -> Iterator[Tellers]:
    with Tellers(site, WORKERS) as tellers:
        yield tellers


@pytest.fixture(scope="session")
def undisturbed(tellers: Tellers) -> StoryResult[Outcome]:
    """The oracle: the story without any fault."""
    return tellers.tell(tell, "undisturbed").result(timeout=200)


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def new_namespace(request: pytest.FixtureRequest, numbers: Iterator[int]) -> Callable[[], str]:
    """Return names for namespaces that say which test they belong to."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    return lambda: f"{words[:40].rstrip('-')}-{next(numbers)}"


@pytest.fixture
def namespace(server: ApiServer, new_namespace: Callable[[], str]) -> str:
    """An empty namespace."""
    name = new_namespace()
    server.kubectl("create", "namespace", name)
    return name


@pytest.fixture
def place(site: Site, node: Node, new_namespace: Callable[[], str]) -> Iterator[Place]:
    """A namespace with an Airflow release, and no rollout yet."""
    with Place(site, node, new_namespace()) as place:
        yield place


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A repository of small charts."""
    with small_charts(tmp_path_factory.mktemp("charts")) as url:
        yield url


@pytest.fixture
def bench(server: ApiServer, namespace: str, repository: str, tmp_path: Path) -> Bench:
    kube = from_kubeconfig(str(server.kubeconfig))
    world = open_clients(kube, helm=str(tools.tool("helm")), work=tmp_path / "work")
    return Bench(server, namespace, repository, world)
