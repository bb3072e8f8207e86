"""Choosing a provider, and what each refuses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.cluster import choose_provider
from harness.images import Image
from harness.providers import kind
from harness.providers.existing import ExistingProvider
from harness.providers.node import NodeProvider
from harness.providers.node_network import Addresses, addresses
from harness.shell import HarnessError

IMAGE = Image("app", "localhost/xcom-rollout/app:1", Path("/images/app.tar"))


@pytest.mark.parametrize("name", ["kind", "node", "existing"])
def test_the_environment_names_the_provider(name: str) -> None:
    assert choose_provider({"CLUSTER": name}).name == name


def test_an_unknown_provider_is_refused_with_the_known_ones() -> None:
    with pytest.raises(HarnessError, match="CLUSTER is 'k3d': use kind, node, existing"):
        choose_provider({"CLUSTER": "k3d"})


def test_a_node_range_is_divided_without_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XCOM_ROLLOUT_NODE_CIDR", "10.7.0.0/16")
    where: Addresses = addresses()
    assert (where.host, where.node, where.dns) == ("10.7.0.1", "10.7.0.2", "10.7.64.10")
    assert (where.services, where.pods) == ("10.7.64.0/18", "10.7.128.0/17")


@pytest.mark.parametrize("text", ["10.7.0.0/24", "8.8.0.0/16", "10.7.0.1/16", "pods"])
def test_a_wrong_node_range_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XCOM_ROLLOUT_NODE_CIDR", text)
    with pytest.raises(HarnessError, match=f"XCOM_ROLLOUT_NODE_CIDR is '{text}'"):
        addresses()


def test_kind_takes_another_node_image_and_pod_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIND_NODE_IMAGE", "local/kind-node:v1")
    monkeypatch.setenv("KIND_DISABLE_DEFAULT_CNI", "1")
    config = kind.config()
    assert config["networking"] == {"disableDefaultCNI": True}
    assert config["nodes"] == [{"role": "control-plane", "image": "local/kind-node:v1"}]


@pytest.fixture
def no_docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No Docker daemon answers, and the cache folder (returned) is empty."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-such-socket")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "xcom-rollout"


def test_without_docker_the_default_is_node_and_says_why(
    no_docker: Path,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(NodeProvider, "present", lambda _: False)
    assert choose_provider({}).name == "node"
    said = "using node (this is Linux, we are root, and no Docker daemon answers)"
    assert said in capsys.readouterr().err


def test_without_docker_and_root_it_is_said_what_can_be_done(
    no_docker: Path,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(HarnessError, match=r"start Docker .*CLUSTER=node.*CLUSTER=existing"):
        choose_provider({})


def test_kind_without_docker_is_refused(no_docker: Path) -> None:  # noqa: ARG001
    with pytest.raises(HarnessError, match="no Docker daemon answers: start it, or use"):
        kind.KindProvider().up()


def test_a_kind_cluster_out_of_reach_is_not_called_removed(no_docker: Path) -> None:
    kind.KindProvider().down()
    kubeconfig = no_docker / "kind" / "kubeconfig"
    kubeconfig.parent.mkdir(parents=True)
    kubeconfig.touch()
    with pytest.raises(HarnessError, match="cannot be removed: start Docker first"):
        kind.KindProvider().down()
    assert kubeconfig.exists()


def test_a_wrong_switch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIND_DISABLE_DEFAULT_CNI", "yes")
    with pytest.raises(HarnessError, match="KIND_DISABLE_DEFAULT_CNI is 'yes': use 1"):
        kind.config()


def test_an_existing_cluster_needs_a_way_to_load_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXISTING_LOAD_IMAGE", raising=False)
    with pytest.raises(HarnessError, match=r"EXISTING_LOAD_IMAGE is ''.*minikube image load"):
        ExistingProvider().load(IMAGE)


def test_an_existing_cluster_loads_images_by_the_users_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    monkeypatch.setenv("EXISTING_LOAD_IMAGE", f"sh -c 'echo $0 $1 > {seen}' {{archive}} {{ref}}")
    ExistingProvider().load(IMAGE)
    assert seen.read_text() == "/images/app.tar localhost/xcom-rollout/app:1\n"


def test_several_kubeconfigs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", f"/a{os.pathsep}/b")
    with pytest.raises(HarnessError, match="wants one file"):
        _ = ExistingProvider().kubeconfig
