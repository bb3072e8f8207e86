"""A cluster that is already there: the current kubeconfig. It is neither started nor removed."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from harness import tools
from harness.images import Image
from harness.say import say, step
from harness.shell import HarnessError, run

_LOAD = "EXISTING_LOAD_IMAGE"


class ExistingProvider:
    """The cluster of `$KUBECONFIG` (one file) or `~/.kube/config`, in its current context."""

    name = "existing"
    routable = False

    @property
    def kubeconfig(self) -> Path:
        """See `Provider.kubeconfig`."""
        text = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
        if os.pathsep in text:
            raise HarnessError(f"KUBECONFIG is {text!r}: CLUSTER=existing wants one file")
        return Path(text)

    def alive(self) -> bool:
        """Whether the cluster answers."""
        try:
            self._ready()
        except HarnessError:
            return False
        return True

    def up(self) -> None:
        """Check that the cluster answers."""
        if not self.kubeconfig.exists():
            raise HarnessError(
                f"CLUSTER=existing: {self.kubeconfig} does not exist; set KUBECONFIG"
            )
        self._ready()

    def _ready(self) -> None:
        config = f"--kubeconfig={self.kubeconfig}"
        run(tools.tool("kubectl"), config, "get", "--raw", "/readyz", timeout=30)

    def down(self) -> None:
        """Leave the cluster alone."""
        say("CLUSTER=existing: the cluster is yours, it is left as it is")

    def load(self, image: Image) -> None:
        """Run the command of `EXISTING_LOAD_IMAGE`, with {archive} and {ref} filled in."""
        command = os.environ.get(_LOAD, "")
        if "{archive}" not in command and "{ref}" not in command:
            raise HarnessError(
                f"{_LOAD} is {command!r}: with CLUSTER=existing, set it to the command that makes "
                "a locally built image known to your cluster, with {archive} or {ref} in it, "
                "such as `minikube image load {archive}` or `k3d image import {archive}`"
            )
        words = [
            word.replace("{archive}", str(image.archive)).replace("{ref}", image.ref)
            for word in shlex.split(command)
        ]
        with step(f"loading image {image.name}"):
            run(*words)

    def collect(self, folder: Path) -> None:
        """There is nothing beyond what kubectl shows."""
