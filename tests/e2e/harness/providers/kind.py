"""A cluster in Docker, by kind.

`KIND_NODE_IMAGE` names another node image than kind's own. `KIND_DISABLE_DEFAULT_CNI=1` is for a
node image that brings its own pod network.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from harness import tools
from harness.images import Image
from harness.paths import cache_dir
from harness.say import say, step
from harness.shell import CommandError, HarnessError, locked, run

CLUSTER_NAME = "xcom-rollout"
_UP_SECONDS = 300


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
        """Whether `up` ever began and `down` did not follow."""
        return self.kubeconfig.exists()

    def alive(self) -> bool:
        """Whether the cluster exists and its API server answers."""
        try:
            if CLUSTER_NAME not in self._kind("get", "clusters").split():
                return False
            config_flag = f"--kubeconfig={self.kubeconfig}"
            run(tools.tool("kubectl"), config_flag, "get", "--raw", "/readyz", timeout=30)
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
            if self.alive():
                say("the kind cluster is up already")
                return
            self._kind("delete", "cluster", "--name", CLUSTER_NAME)
            self.kubeconfig.parent.mkdir(exist_ok=True)
            with step(f"starting kind with {node_image()}"):
                try:
                    self._kind(
                        *("create", "cluster", "--name", CLUSTER_NAME, "--config", "-"),
                        *("--wait", f"{_UP_SECONDS}s"),
                        stdin=json.dumps(config()),
                    )
                except CommandError as error:
                    raise HarnessError(
                        f"{error}\nIf the node image cannot be had, name another one in "
                        "KIND_NODE_IMAGE, or use CLUSTER=node (Linux as root)"
                    ) from error

    def down(self) -> None:
        """See `Provider.down`."""
        if not docker_runs():
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
