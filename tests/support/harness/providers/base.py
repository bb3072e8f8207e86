"""What every provider of a cluster can do."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from harness.images import Image


class Provider(Protocol):
    """A way to a running cluster."""

    @property
    def name(self) -> str:
        """The word that `CLUSTER=` takes."""

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig; exists while the cluster is up."""

    @property
    def routable(self) -> bool:
        """Whether this machine reaches ClusterIPs and pod IPs directly."""

    def alive(self) -> bool:
        """Whether the cluster is up and answers."""

    def up(self) -> None:
        """Bring the cluster up, and return when pods can run; nothing happens if it is up.

        Raises:
            HarnessError: it cannot be brought up here; the message says why.
        """

    def down(self) -> None:
        """Remove all that `up` made, whatever state it is in. Nothing happens if there is none."""

    def load(self, image: Image) -> None:
        """Make an image known to every node.

        Raises:
            HarnessError: the node refused it.
        """

    def collect(self, folder: Path) -> None:
        """Copy the cluster's own logs into a folder, for a person who looks for a cause."""
