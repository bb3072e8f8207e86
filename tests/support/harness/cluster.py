"""The one object through which tests and the demo talk to a cluster.

`CLUSTER=` chooses the provider: `kind` (Docker), `node` (this Linux machine, as root) or `existing`
(the current kubeconfig). By default it is kind if Docker runs and its node image is available, else
node on Linux as root.

    python -m harness.cluster up | down | status | kubeconfig
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from harness import bundle, images, tools
from harness.forward import PortForward
from harness.paths import cache_dir
from harness.providers import kind
from harness.providers.base import Provider
from harness.providers.existing import ExistingProvider
from harness.providers.kind import KindProvider
from harness.providers.node import NodeProvider
from harness.say import say, step
from harness.shell import HarnessError, run
from harness.waiting import wait_for

T = TypeVar("T")

_PROVIDERS: dict[str, Callable[[], Provider]] = {
    "kind": KindProvider,
    "node": NodeProvider,
    "existing": ExistingProvider,
}
# Built together, while what they share is still compiled.
_TOOLS = ("kubectl", "helm", "minio")


def choose_provider(environment: Mapping[str, str]) -> Provider:
    """The provider that `CLUSTER` names, or the one that fits this machine.

    Raises:
        HarnessError: an unknown name, or nothing fits.
    """
    asked = environment.get("CLUSTER", "")
    if asked:
        if asked not in _PROVIDERS:
            raise HarnessError(f"CLUSTER is {asked!r}: use {', '.join(_PROVIDERS)}")
        return _PROVIDERS[asked]()
    root_linux = sys.platform == "linux" and os.geteuid() == 0
    docker = kind.docker_runs()
    # What there is stays in use, or is repaired or removed by the provider that made it.
    if root_linux and NodeProvider().present():
        return _chosen(NodeProvider(), "its node is on this machine already")
    if docker and KindProvider().present():
        return _chosen(KindProvider(), "its cluster is on this machine already")
    if docker and kind.node_image_in_reach():
        return _chosen(KindProvider(), f"Docker runs and {kind.node_image()} is available")
    if root_linux:
        why = f"{kind.node_image()} is not available" if docker else "no Docker daemon answers"
        return _chosen(NodeProvider(), f"this is Linux, we are root, and {why}")
    raise HarnessError(
        "no cluster can be made here: start Docker (CLUSTER=kind; its node image "
        f"{kind.node_image()} must be in reach), run as root on Linux (CLUSTER=node), or point "
        "KUBECONFIG to a cluster of yours (CLUSTER=existing)"
    )


def _chosen(provider: Provider, reason: str) -> Provider:
    say(f"CLUSTER is not set: using {provider.name} ({reason})")
    return provider


class Cluster:
    """A cluster, up or not."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    @classmethod
    def from_env(cls) -> Cluster:
        """The cluster of the provider that `CLUSTER` names; see `choose_provider`."""
        return cls(choose_provider(os.environ))

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig."""
        return self.provider.kubeconfig

    @property
    def kubectl_command(self) -> list[str]:
        """The words that run kubectl against this cluster."""
        return [str(tools.tool("kubectl")), f"--kubeconfig={self.kubeconfig}"]

    def up(self) -> None:
        """Bring the cluster up; nothing happens if it is. Builds what is not cached first."""
        tools.ensure([*_TOOLS, *provider_tools(self.provider.name)])
        tools.trim()
        with step(f"cluster ({self.provider.name})"):
            self.provider.up()

    def down(self) -> None:
        """Remove the cluster and all that it left on this machine."""
        self.provider.down()

    def alive(self) -> bool:
        """Whether the cluster is up and answers."""
        return self.provider.alive()

    def load_image(self, name: str) -> str:
        """Build tests/e2e/images/<name> if need be, make every node know it, return its reference.

        Raises:
            HarnessError: the build or the load failed.
        """
        image = images.build(name)
        self.provider.load(image)
        return image.ref

    def kubectl(
        self,
        *arguments: str,
        stdin: str | None = None,
        check: bool = True,
        timeout: float | None = None,
    ) -> str:
        """Run kubectl; returns standard output (with standard error too if not `check`).

        Raises:
            CommandError: `check` and it failed.
            HarnessError: it took longer than `timeout` seconds.
        """
        return run(*self.kubectl_command, *arguments, stdin=stdin, check=check, timeout=timeout)

    def kubectl_json(self, *arguments: str) -> Any:
        """Run kubectl with `-o json`, and return what it printed.

        Raises:
            CommandError: it failed.
        """
        return json.loads(self.kubectl(*arguments, "-o", "json"))

    def apply(self, manifest: str | Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
        """Server-side apply of YAML text, or of one or several objects as data.

        Raises:
            CommandError: the API server refused.
        """
        if isinstance(manifest, str):
            text = manifest
        elif isinstance(manifest, Mapping):
            text = json.dumps(manifest)
        else:
            text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifest)})
        return self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)

    def helm(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run helm against this cluster, with its own folders instead of the user's.

        Raises:
            CommandError: `check` and it failed.
        """
        home = cache_dir() / "helm"
        environment = {
            "KUBECONFIG": str(self.kubeconfig),
            "HELM_CACHE_HOME": str(home / "cache"),
            "HELM_CONFIG_HOME": str(home / "config"),
            "HELM_DATA_HOME": str(home / "data"),
        }
        return run(tools.tool("helm"), *arguments, stdin=stdin, check=check, env=environment)

    def wait_for(
        self,
        what: str,
        predicate: Callable[[], T],
        deadline: float,
        *,
        interval: float = 0.5,
    ) -> T:
        """Wait up to `deadline` seconds for `predicate` to return something true.

        The error on timeout shows what was last seen, and the state of all pods.

        Raises:
            WaitTimeoutError: it did not.
        """
        return wait_for(
            what, predicate, deadline, interval=interval, on_timeout=self._pods_overview
        )

    def _pods_overview(self) -> str:
        return self.kubectl("get", "pods", "-A", "-o", "wide", check=False, timeout=30)

    @contextmanager
    def service_url(
        self, namespace: str, service: str, port: int, scheme: str = "http"
    ) -> Iterator[str]:
        """An address of a Service that this machine reaches, such as `http://10.213.64.7:80`.

        The ClusterIP itself where it can be reached (node), else a port-forward while the block
        runs: to one pod, so it ends when that pod does.

        Raises:
            HarnessError: no such Service, or no ready pod behind it.
        """
        if self.provider.routable:
            form = "jsonpath={.spec.clusterIP}"
            address = self.kubectl("--namespace", namespace, "get", "service", service, "-o", form)
            yield f"{scheme}://{address}:{port}"
            return
        command = self.kubectl_command
        with PortForward(command, namespace, f"svc/{service}", port) as forward:
            yield f"{scheme}://{forward.address()}"

    def bundle(self, folder: Path) -> None:
        """Gather all that explains a failure: events, logs, rollouts, Jobs, the node's own logs."""
        with step(f"gathering a bundle in {folder}"):
            bundle.gather(lambda *words: self.kubectl(*words, timeout=60), folder)
            try:
                self.provider.collect(folder / "node")
            except HarnessError as error:
                (folder / "node-logs-failed.txt").write_text(f"{error}\n")


def provider_tools(name: str) -> tuple[str, ...]:
    """The Go programs that a provider itself needs."""
    if name == "node":
        return NodeProvider.tools
    return ("kind",) if name == "kind" else ()


def main(words: Sequence[str]) -> int:
    """`python -m harness.cluster VERB`; returns the exit code."""
    verbs: dict[str, Callable[[Cluster], int]] = {
        "up": _up,
        "down": _down,
        "status": _status,
        "kubeconfig": _kubeconfig,
    }
    if len(words) != 1 or words[0] not in verbs:
        say(f"usage: python -m harness.cluster {'|'.join(verbs)}")
        return 2
    try:
        return verbs[words[0]](Cluster.from_env())
    except HarnessError as error:
        say(str(error))
        return 1


def _up(cluster: Cluster) -> int:
    cluster.up()
    say("look around with:")
    print(f"export KUBECONFIG={cluster.kubeconfig} PATH={tools.tool('kubectl').parent}:$PATH")
    return 0


def _down(cluster: Cluster) -> int:
    cluster.down()
    return 0


def _status(cluster: Cluster) -> int:
    if not cluster.alive():
        print(f"{cluster.provider.name}: not up")
        return 1
    print(f"{cluster.provider.name}: up, kubeconfig {cluster.kubeconfig}")
    print(cluster.kubectl("get", "nodes,pods", "-A", "-o", "wide"))
    return 0


def _kubeconfig(cluster: Cluster) -> int:
    print(cluster.kubeconfig)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
