"""A real Kubernetes node on this Linux machine, as host processes, from package registries alone.

Everything lies in two folders: `/var/lib/xcom-rollout-node` (data) and `/run/xcom-rollout-node`
(sockets, process records, logs). All programs run in a network namespace of their own
(see node_network) and all pods in a cgroup of their own, so that `down` finds every one of them,
also after a crash of this harness, a SIGKILL, or a reboot.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import debian, images, tools
from harness.images import Image
from harness.pki import CLUSTER_ADMINS, Pki
from harness.processes import Processes
from harness.providers import node_config, node_network
from harness.providers.node_cleanup import (
    forget_foreign,
    kill_cgroup,
    make_cgroup,
    record_foreign,
    stop_shims,
    unmount_below,
)
from harness.say import say, step
from harness.shell import HarnessError, locked, run
from harness.waiting import wait_for

ROOT = Path("/var/lib/xcom-rollout-node")
RUN = Path("/run/xcom-rollout-node")
NODE_NAME = "xcom-rollout"
CGROUP = "/xcom-rollout-node"
PACKAGES = (
    *("containerd", "runc", "containernetworking-plugins"),
    *("iptables", "iproute2", "conntrack", "util-linux"),
)
_TOOLS = (
    *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    *("kube-proxy", "kubelet", "kubeadm", "kubectl", "coredns", "pause"),
)
# Every program of a live node.
_PROGRAMS = (
    *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    *("containerd", "kubelet", "kube-proxy"),
)
_API_PORT = 6443


class NodeProvider:
    """The node. One per machine."""

    name = "node"
    routable = True
    kubeconfig = ROOT / "admin.conf"
    tools = _TOOLS

    def __init__(self) -> None:
        self._where = node_network.addresses()
        self._began = time.monotonic()
        self._processes = Processes(RUN / "processes")
        self._pki = Pki(ROOT, self._where.node, _API_PORT, NODE_NAME, self._where.services)

    def present(self) -> bool:
        """Whether `up` ever began and `down` did not follow."""
        return ROOT.exists() or RUN.exists()

    def alive(self) -> bool:
        """Whether every program runs and the API server answers."""
        if not self.kubeconfig.exists() or not node_network.exists():
            return False
        try:
            self._processes.require_alive(*_PROGRAMS)
            self._kubectl("get", "--raw", "/readyz")
        except HarnessError:
            return False
        return True

    def up(self) -> None:
        """See `Provider.up`."""
        _require_root_linux()
        with locked("node"):
            if self.alive():
                say("the node is up already")
                return
            self._prepare()
            self._remove()
            with step("starting the node"):
                try:
                    self._start()
                except BaseException:
                    say(f"logs: {self._processes.folder}; remove all with `make cluster-down`")
                    raise

    def down(self) -> None:
        """See `Provider.down`."""
        _require_root_linux()
        with locked("node"), step("removing the node"):
            self._remove()

    def load(self, image: Image) -> None:
        """See `Provider.load`."""
        listed = self._ctr("images", "list", "--quiet", f"name=={image.ref}")
        if image.ref in listed.split():
            return
        with step(f"loading image {image.name}"):
            self._ctr("images", "import", str(image.archive))

    def collect(self, folder: Path) -> None:
        """See `Provider.collect`."""
        folder.mkdir(parents=True, exist_ok=True)
        for log in self._processes.folder.glob("*.log"):
            shutil.copy2(log, folder / log.name)

    def _prepare(self) -> None:
        """All that can be prepared before anything is started: packages, programs, images."""
        debian.install(PACKAGES)
        tools.ensure(_TOOLS)
        images.build("pause")
        images.build("coredns")

    def _start(self) -> None:
        self._began = time.monotonic()
        pause, coredns = images.build("pause"), images.build("coredns")
        for folder in (ROOT, RUN):
            folder.mkdir(parents=True, mode=0o700)
        record_foreign(ROOT)
        make_cgroup(CGROUP)
        node_network.create(self._where)
        self._write_configs(pause.ref)
        self._start_program(
            "containerd", "/usr/bin/containerd", "--config", ROOT / "containerd.toml"
        )
        self._create_pki()
        # etcd's ports are the namespace's own: nothing else can hold them.
        self._start_program(
            "etcd", tools.tool("etcd"), *self._pki.etcd_flags(ROOT / "etcd", 2379, 2380)
        )
        self._start_program(
            "kube-apiserver", tools.tool("kube-apiserver"), *self._pki.apiserver_flags(2379)
        )
        with ThreadPoolExecutor() as pool:
            loaded = [pool.submit(self._load_when_up, image) for image in (pause, coredns)]
            self._wait_apiserver()
            # Started before the API server is ready, the controller manager would exit.
            self._apply([CLUSTER_ADMINS], kubeconfig="super-admin")
            self._start_controllers()
            for done in loaded:
                done.result()
        self._start_node_agents()
        self._apply(node_config.cluster_dns(self._where, coredns.ref))
        self._wait("node Ready", self._node_ready, 60)
        self._wait("CoreDNS available", self._dns_ready, 60)

    def _write_configs(self, sandbox_image: str) -> None:
        cni = ROOT / "cni"
        cni.mkdir()
        _json(cni / "10-pods.conflist", node_config.cni(self._where, ROOT / "cni-data"))
        (ROOT / "containerd.toml").write_text(node_config.containerd(ROOT, RUN, cni, sandbox_image))
        (ROOT / "resolv.conf").write_text(f"nameserver {self._where.dns}\n")
        (ROOT / "pod-logs").mkdir()
        ca = self._pki.file("ca.crt")
        _json(ROOT / "kubelet.json", node_config.kubelet(ROOT, RUN, self._where, ca, CGROUP))
        _json(
            ROOT / "kube-proxy.json",
            node_config.kube_proxy(self._pki.kubeconfig("kube-proxy"), NODE_NAME, self._where),
        )

    def _create_pki(self) -> None:
        self._pki.create("admin", "super-admin", "controller-manager", "scheduler", "kubelet")
        self._pki.create_user("system:kube-proxy", "kube-proxy")

    def _start_controllers(self) -> None:
        pki = self._pki
        controller = pki.kubeconfig("controller-manager")
        self._start_program(
            "kube-controller-manager",
            tools.tool("kube-controller-manager"),
            f"--kubeconfig={controller}",
            f"--authentication-kubeconfig={controller}",
            f"--authorization-kubeconfig={controller}",
            "--bind-address=127.0.0.1",
            f"--client-ca-file={pki.file('ca.crt')}",
            f"--cluster-signing-cert-file={pki.file('ca.crt')}",
            f"--cluster-signing-key-file={pki.file('ca.key')}",
            f"--root-ca-file={pki.file('ca.crt')}",
            f"--service-account-private-key-file={pki.file('sa.key')}",
            "--use-service-account-credentials=true",
            f"--flex-volume-plugin-dir={ROOT / 'volume-plugins'}",
            # At the default rate, starting all controllers alone takes five seconds.
            "--kube-api-qps=300",
            "--kube-api-burst=500",
            # There is one of it, and an election would cost seconds at each start.
            "--leader-elect=false",
        )
        scheduler = pki.kubeconfig("scheduler")
        self._start_program(
            "kube-scheduler",
            tools.tool("kube-scheduler"),
            f"--kubeconfig={scheduler}",
            f"--authentication-kubeconfig={scheduler}",
            f"--authorization-kubeconfig={scheduler}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
        )

    def _start_node_agents(self) -> None:
        self._start_program(
            "kubelet",
            tools.tool("kubelet"),
            f"--config={ROOT / 'kubelet.json'}",
            f"--kubeconfig={self._pki.kubeconfig('kubelet')}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={self._where.node}",
            f"--root-dir={ROOT / 'kubelet'}",
            f"--cert-dir={ROOT / 'kubelet' / 'pki'}",
        )
        self._start_program(
            "kube-proxy", tools.tool("kube-proxy"), f"--config={ROOT / 'kube-proxy.json'}"
        )

    def _start_program(self, name: str, *command: str | Path) -> None:
        self._processes.start(name, node_network.inside(*command))

    def _wait_apiserver(self) -> None:
        def ready() -> bool:
            self._processes.require_alive("etcd", "kube-apiserver")
            self._kubectl("get", "--raw", "/readyz", kubeconfig="super-admin")
            return True

        self._wait("API server ready", ready, 60)

    def _load_when_up(self, image: Image) -> None:
        def answers() -> bool:
            self._processes.require_alive("containerd")
            self._ctr("version")
            return True

        wait_for("containerd answers", answers, 30, interval=0.25, on_timeout=self._all_tails)
        self._ctr("images", "import", str(image.archive))

    def _node_ready(self) -> bool:
        self._processes.require_alive(*_PROGRAMS)
        form = "jsonpath={.status.conditions[?(@.type=='Ready')]}"
        seen = json.loads(self._kubectl("get", "node", NODE_NAME, "-o", form) or "{}")
        if seen.get("status") != "True":
            raise HarnessError(str(seen))
        return True

    def _dns_ready(self) -> bool:
        form = "jsonpath={.status}"
        command = ("--namespace", "kube-system", "get", "deployment", "coredns", "-o", form)
        status = json.loads(self._kubectl(*command))
        if not status.get("availableReplicas"):
            raise HarnessError(str(status))
        return True

    def _wait(self, what: str, predicate: Callable[[], bool], deadline: float) -> None:
        wait_for(what, predicate, deadline, interval=0.25, on_timeout=self._all_tails)
        say(f"  {what} {time.monotonic() - self._began:.1f} s after the start")

    def _all_tails(self) -> str:
        return "\n".join(f"--- {name}\n{self._processes.tail(name, 8)}" for name in _PROGRAMS)

    def _apply(self, objects: Sequence[dict[str, object]], kubeconfig: str = "admin") -> None:
        items = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        command = ("apply", "--server-side", "--force-conflicts", "-f", "-")
        self._kubectl(*command, kubeconfig=kubeconfig, stdin=items)

    def _kubectl(self, *arguments: str, kubeconfig: str = "admin", stdin: str | None = None) -> str:
        config = f"--kubeconfig={self._pki.kubeconfig(kubeconfig)}"
        return run(tools.tool("kubectl"), config, *arguments, stdin=stdin, timeout=30)

    def _ctr(self, *arguments: str) -> str:
        return run("ctr", "--address", RUN / "containerd.sock", "--namespace", "k8s.io", *arguments)

    def _remove(self) -> None:
        """Remove everything that could be there, without assuming that any of it is."""
        # These first: the kubelet would start again what is stopped below.
        # (Their data goes too: nothing is lost by a short grace.)
        self._processes.stop_all(grace=1)
        kill_cgroup(CGROUP)
        stop_shims(RUN / "containerd.sock")
        unmount_below(ROOT, RUN)
        node_network.remove()
        forget_foreign(ROOT)
        for folder in (RUN, ROOT):
            if folder.exists():
                shutil.rmtree(folder)


def _require_root_linux() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        raise HarnessError(
            "CLUSTER=node makes a Kubernetes node of this machine, which needs Linux and root; "
            "use CLUSTER=kind (Docker) or CLUSTER=existing (your current kubeconfig) instead"
        )


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2))
