"""An API server and its etcd, and nothing else: for tests of what only the API server decides.

No root, no containers, no controllers: objects are stored, validated, admitted and authorized for
real, but nothing acts on them. ServiceAccount admission is off, because without the controller
manager no namespace has its default account, and every pod would be refused. All other admission
plugins are at their defaults.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from harness import tools
from harness.pki import CLUSTER_ADMINS, Pki
from harness.ports import free_port
from harness.processes import Processes
from harness.say import step
from harness.shell import HarnessError, run
from harness.waiting import NotYetError, wait_for

_TOOLS = ("etcd", "kube-apiserver", "kubeadm", "kubectl")
_LOOPBACK = "127.0.0.1"
_START_SECONDS = 60
# Between finding free ports and using them, another program may take one.
_ATTEMPTS = 3


class ApiServer:
    """A context manager: the API server runs, in a temporary folder, while the block does.

    The kubeconfig is an administrator's. A kubelet is reached at its node's InternalIP and its
    `daemonEndpoints` port with a client certificate, so a server of a test that listens on
    127.0.0.1 with TLS can stand for one (pod logs). Start it from a thread that stays: on Linux the
    servers end with the thread that started them, so that a killed test run leaves none.

    Args:
        flags: added to those of kube-apiserver, such as `--feature-gates=...`.
    """

    def __init__(self, *flags: str) -> None:
        self._flags = flags
        self._open = ExitStack()
        self._pki: Pki | None = None
        self._processes: Processes | None = None

    def __enter__(self) -> ApiServer:
        tools.ensure(_TOOLS)
        with step("starting etcd and kube-apiserver"), ExitStack() as opening:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    self._start(opening)
                    break
                except HarnessError as error:
                    opening.close()
                    if attempt == _ATTEMPTS or "address already in use" not in str(error):
                        raise
            # From here on the processes and the folder outlive this method.
            self._open = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    @property
    def folder(self) -> Path:
        """The temporary folder: certificates, kubeconfigs, `processes/*.log`."""
        return self._started().folder

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig."""
        return self._started().kubeconfig("admin")

    @property
    def url(self) -> str:
        """Such as `https://127.0.0.1:40123`."""
        pki = self._started()
        return f"https://{pki.address}:{pki.port}"

    @property
    def kubectl_command(self) -> list[str]:
        """The words that run kubectl against this server."""
        return [str(tools.tool("kubectl")), f"--kubeconfig={self.kubeconfig}"]

    def user_kubeconfig(self, user: str) -> Path:
        """Make a kubeconfig of a user without any right but those bound to the name."""
        name = f"user-{user}"
        self._started().create_user(user, name)
        return self._started().kubeconfig(name)

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl; returns standard output (with standard error too if not `check`).

        Raises:
            CommandError: `check` and it failed.
        """
        return run(*self.kubectl_command, *arguments, stdin=stdin, check=check, timeout=60)

    def kubectl_json(self, *arguments: str) -> Any:
        """Run kubectl with `-o json`, and return what it printed.

        Raises:
            CommandError: it failed.
        """
        return json.loads(self.kubectl(*arguments, "-o", "json"))

    def apply(self, manifest: str) -> str:
        """Server-side apply of a manifest, YAML or JSON.

        Raises:
            CommandError: the API server refused.
        """
        words = ("apply", "--server-side", "--force-conflicts", "-f", "-")
        return self.kubectl(*words, stdin=manifest)

    def apply_crd(self, file: Path) -> None:
        """Apply a CustomResourceDefinition and wait until it is served.

        Raises:
            CommandError: the API server refused.
            HarnessError: it is not served after a minute.
        """
        self.apply(file.read_text())
        established = ("wait", "--for=condition=Established", "--timeout=5s", "-f", str(file))
        # kubectl does not wait for the first condition: until then it gives up at once.
        wait_for(f"the CRD of {file.name}", lambda: self.kubectl(*established), 60)

    def log(self) -> str:
        """The last lines of the API server's log, for a failing test."""
        if self._processes is None:
            return "(the API server was not started)"
        return self._processes.tail("kube-apiserver", 40)

    def _started(self) -> Pki:
        if self._pki is None:
            raise HarnessError("the API server does not run: use `with ApiServer() as server:`")
        return self._pki

    def _start(self, opening: ExitStack) -> None:
        folder = Path(opening.enter_context(tempfile.TemporaryDirectory(prefix="apiserver-")))
        client, peer, port = free_port(), free_port(), free_port()
        pki = Pki(folder, _LOOPBACK, port, "none", "10.96.0.0/16")
        processes = Processes(folder / "processes")
        opening.callback(processes.stop_all, 1)
        pki.create("admin", "super-admin")
        # A test run that is killed takes its servers with it.
        bound = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()
        processes.start(
            "etcd", [*bound, tools.tool("etcd"), *pki.etcd_flags(folder / "etcd", client, peer)]
        )
        processes.start(
            "kube-apiserver",
            [
                *bound,
                tools.tool("kube-apiserver"),
                *pki.apiserver_flags(client),
                "--disable-admission-plugins=ServiceAccount",
                # A loopback address cannot be an endpoint, and there is no cluster to offer it to.
                "--endpoint-reconciler-type=none",
                *self._flags,
            ],
        )

        kubectl = (tools.tool("kubectl"), f"--kubeconfig={pki.kubeconfig('super-admin')}")

        def ready() -> bool:
            try:
                processes.require_alive("etcd", "kube-apiserver")
            except HarnessError as error:
                raise _EndedError(str(error)) from error
            run(*kubectl, "get", "--raw", "/readyz", timeout=20)
            if "default" not in run(*kubectl, "get", "namespaces", timeout=20):
                raise NotYetError("no namespace default")
            return True

        try:
            wait_for(
                *("API server ready", ready, _START_SECONDS),
                interval=0.2,
                on_timeout=lambda: processes.tail("kube-apiserver", 40),
            )
        except _EndedError as error:
            raise HarnessError(str(error)) from error
        run(*kubectl, "apply", "--server-side", "-f", "-", stdin=json.dumps(CLUSTER_ADMINS))
        self._pki, self._processes = pki, processes


class _EndedError(Exception):
    """A program ended while it was waited for: no use in waiting on."""
