"""A cluster in Docker, by kind.

`KIND_NODE_IMAGE` names another node image than kind's own. `KIND_DISABLE_DEFAULT_CNI=1` is for a
node image that brings its own pod network.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

from harness import tools
from harness.images import Image
from harness.paths import cache_dir
from harness.say import say, step
from harness.shell import CommandError, HarnessError, locked, run

CLUSTER_NAME = "xcom-rollout"
_UP_SECONDS = 300
_DNS_SECONDS = 120


def docker_runs() -> bool:
    """Whether a Docker daemon answers."""
    if shutil.which("docker") is None:
        return False
    try:
        run("docker", "info", "--format", "{{.ServerVersion}}", timeout=20)
    except HarnessError:
        return False
    return True


def node_image_in_reach() -> bool:
    """Whether the node image is here, or its registry knows it."""
    ref = node_image()
    for command in (("image", "inspect", ref), ("manifest", "inspect", ref)):
        try:
            run("docker", *command, timeout=20)
        except HarnessError:
            continue
        return True
    return False


def node_image() -> str:
    """`KIND_NODE_IMAGE`, else the official image of the Kubernetes version that we test with."""
    return os.environ.get("KIND_NODE_IMAGE") or f"kindest/node:{tools.KUBERNETES_VERSION}"


def config() -> dict[str, object]:
    """kind's configuration file (JSON is YAML)."""
    text = os.environ.get("KIND_DISABLE_DEFAULT_CNI", "")
    if text not in ("", "0", "1"):
        raise HarnessError(f"KIND_DISABLE_DEFAULT_CNI is {text!r}: use 1, or leave it out")
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": CLUSTER_NAME,
        "networking": {"disableDefaultCNI": text == "1"},
        "nodes": [{"role": "control-plane", "image": node_image()}],
    }


class KindProvider:
    """One kind cluster with one node."""

    name = "kind"
    routable = False

    @property
    def kubeconfig(self) -> Path:
        """See `Provider.kubeconfig`; the user's own kubeconfig is not touched."""
        return cache_dir() / "kind" / "kubeconfig"

    def present(self) -> bool:
        """Whether Docker holds a node of this cluster, running or not."""
        label = f"label=io.x-k8s.kind.cluster={CLUSTER_NAME}"
        try:
            return bool(run("docker", "ps", "--all", "--quiet", "--filter", label).strip())
        except HarnessError:
            return False

    def alive(self) -> bool:
        """Whether the cluster exists and its API server answers."""
        if not self.kubeconfig.exists() or not self.present():
            return False
        try:
            self._kubectl("get", "--raw", "/readyz", timeout=30)
        except HarnessError:
            return False
        return True

    def up(self) -> None:
        """See `Provider.up`."""
        if not docker_runs():
            raise HarnessError(
                "CLUSTER=kind needs Docker, and no Docker daemon answers: start it, or use "
                "CLUSTER=node (Linux as root) or CLUSTER=existing"
            )
        with locked("kind"):
            self._restore_kubeconfig()
            if self.alive():
                say("the kind cluster is up already")
            else:
                self._kind("delete", "cluster", "--name", CLUSTER_NAME)
                with step(f"starting kind with {node_image()}"):
                    self._create()
            # kind itself only waits for the node, and ends well even if that never gets ready.
            self._wait_dns()

    def _create(self) -> None:
        self.kubeconfig.parent.mkdir(exist_ok=True)
        try:
            self._kind(
                *("create", "cluster", "--name", CLUSTER_NAME, "--config", "-"),
                *("--wait", f"{_UP_SECONDS}s"),
                stdin=json.dumps(config()),
            )
        except CommandError as error:
            raise HarnessError(
                f"{error}\nIf the node image is not available, name another one in "
                "KIND_NODE_IMAGE, or use CLUSTER=node (Linux as root)"
            ) from error

    def _restore_kubeconfig(self) -> None:
        """Write the kubeconfig again if the cache folder was emptied while the cluster was up."""
        if self.kubeconfig.exists() or not self.present():
            return
        self.kubeconfig.parent.mkdir(exist_ok=True)
        # A node that is stopped cannot provide it; `up` replaces the cluster then.
        with suppress(CommandError):
            self._kind("export", "kubeconfig", "--name", CLUSTER_NAME)

    def _wait_dns(self) -> None:
        dns = ("--namespace", "kube-system")
        try:
            self._kubectl(
                *(*dns, "rollout", "status", "deployment/coredns", f"--timeout={_DNS_SECONDS}s")
            )
        except CommandError as error:
            logs = self._kubectl(*dns, "logs", "deployment/coredns", "--tail=20", check=False)
            seen = self._kubectl("get", "nodes,pods", "-A", "-o", "wide", check=False)
            raise HarnessError(
                f"kind is up, but its cluster DNS is not after {_DNS_SECONDS} s:\n{error}\n"
                f"{seen}{logs}\nA node that is not Ready has no pod network: "
                "KIND_DISABLE_DEFAULT_CNI=1 is only for a node image that brings its own. "
                "Remove the cluster with `make cluster-down`"
            ) from error

    def down(self) -> None:
        """See `Provider.down`.

        Raises:
            HarnessError: no Docker daemon answers, and there was a cluster when one last did.
        """
        if not docker_runs():
            if self.kubeconfig.exists():
                raise HarnessError(
                    "no Docker daemon answers, so the kind cluster cannot be removed: start Docker "
                    f"first. If the cluster is gone already, delete {self.kubeconfig}"
                )
            return
        with locked("kind"), step("removing the kind cluster"):
            self._kind("delete", "cluster", "--name", CLUSTER_NAME)
            self.kubeconfig.unlink(missing_ok=True)

    def load(self, image: Image) -> None:
        """See `Provider.load`."""
        node = f"{CLUSTER_NAME}-control-plane"
        listed = run(
            *("docker", "exec", node, "ctr", "--namespace", "k8s.io"),
            *("images", "list", "--quiet", f"name=={image.ref}"),
        )
        if image.ref in listed.split():
            return
        with step(f"loading image {image.name}"):
            self._kind("load", "image-archive", str(image.archive), "--name", CLUSTER_NAME)

    def collect(self, folder: Path) -> None:
        """See `Provider.collect`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._kind("export", "logs", str(folder), "--name", CLUSTER_NAME)

    def _kind(self, *arguments: str, stdin: str | None = None) -> str:
        environment = {"KUBECONFIG": str(self.kubeconfig)}
        return run(tools.tool("kind"), *arguments, stdin=stdin, env=environment)

    def _kubectl(self, *arguments: str, check: bool = True, timeout: float | None = None) -> str:
        flag = f"--kubeconfig={self.kubeconfig}"
        return run(tools.tool("kubectl"), flag, *arguments, check=check, timeout=timeout)
