"""The chart kept in the cluster, like the ledger: what a kill needs is available in any case.

It is kept in immutable Secrets, because fewer people may write those in Airflow's namespace than
ConfigMaps, and without an owner, like the ledger: deleting the resource must not remove a way back.
"""

import base64
import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xcom_rollout.api import names
from xcom_rollout.clients.errors import ActionFailed
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.deliver.release import StoredRelease
from xcom_rollout.stored.names import fitted, labels, selector
from xcom_rollout.wiring import Clients

PART: Final = 900 * 1024
"""Bytes of one part: a Secret holds 1 MiB."""
KEY: Final = "chart"

_RELEASE: Final = f"{names.GROUP}/chart-release"
_NAME: Final = f"{names.GROUP}/chart-name"
_VERSION: Final = f"{names.GROUP}/chart-version"
_CONTENT: Final = f"{names.GROUP}/chart-content"
_ARCHIVE: Final = f"{names.GROUP}/chart-archive"
_OF: Final = f"{names.GROUP}/chart-parts"


@dataclass(frozen=True)
class ChartState:
    """Whether the chart that the release runs is kept in the cluster."""

    kept: bool
    digest: str
    """Content digest of the chart that the release runs; empty where there is no release."""
    why: str = ""
    """Why it is not kept, for people; empty where it is."""


@dataclass(frozen=True)
class KeptChart:
    """The Secrets of one chart, in the order of its parts."""

    archive: str
    """sha256 in hex of the archive."""
    secrets: tuple[str, ...]


@dataclass(frozen=True)
class ChartShelf:
    """The kept charts of one rollout."""

    clients: Clients
    rollout: Rollout

    @property
    def _path(self) -> str:
        return f"api/v1/namespaces/{self.rollout.namespace}/secrets"

    def state(self, stored: StoredRelease) -> ChartState:
        """Return whether the chart of the release is kept; one request for metadata.

        Raises:
            KubeError: the cluster could not be asked.
        """
        digest, listed = stored.chart_digest, self._listed()
        if _complete(listed, stored.name, digest) is not None:
            return ChartState(kept=True, digest=digest)
        chart = f"{stored.chart_name} {stored.chart_version}"
        return ChartState(
            kept=False, digest=digest, why=f"the chart {chart} is not yet kept in the cluster"
        )

    def put(self, stored: StoredRelease, archive: bytes) -> None:
        """Keep the archive as the chart of the release. Doing it again changes nothing.

        Other content of the same version replaces what was kept. That is not an error: the release
        runs it, so its owner wants it, and `helm upgrade --reuse-values` writes the values of the
        release into the chart that Helm records.

        Raises:
            ActionFailed: a Secret of that name holds something else.
            KubeError: the cluster refused.
        """
        parts = [archive[start : start + PART] for start in range(0, len(archive), PART)]
        for number, part in enumerate(parts, start=1):
            body = self._secret(stored, archive, part, number, len(parts))
            name = body["metadata"]["name"]
            if self.clients.api.create(self._path, body):
                continue
            present = self.clients.api.find(f"{self._path}/{name}") or {}
            if present.get("data") != body["data"]:
                raise ActionFailed(
                    f"Secret {self.rollout.namespace}/{name} contains another archive of this "
                    f"chart; remove it with: kubectl delete secret {name} -n "
                    f"{self.rollout.namespace}"
                )
        # A chart with dependencies cannot be made again from Helm's record, so it stays.
        if not stored.dependencies:
            self._remove_replaced(stored)

    def _remove_replaced(self, stored: StoredRelease) -> None:
        version = (stored.name, stored.chart_name, stored.chart_version)
        for metadata in self._listed():
            mine = metadata["annotations"]
            same_version = (mine.get(_RELEASE), mine.get(_NAME), mine.get(_VERSION)) == version
            if same_version and mine.get(_CONTENT) != stored.chart_digest:
                path = f"{self._path}/{metadata['name']}"
                self.clients.api.delete(path, uid=metadata["uid"], grace_seconds=0)

    def file(self, stored: StoredRelease) -> Path | None:
        """Return a file with the kept chart of the release; None where none is kept.

        The file is checked against the digest stored with the archive each time.

        Raises:
            ActionFailed: the Secrets do not hold what was stored there.
            KubeError: the cluster could not be asked.
        """
        kept = _complete(self._listed(), stored.name, stored.chart_digest)
        if kept is None:
            return None
        file = self.clients.work / "charts" / f"{kept.archive}.tgz"
        if file.is_file() and _digest(file.read_bytes()) == kept.archive:
            return file
        archive = b"".join(self._read(name) for name in kept.secrets)
        if _digest(archive) != kept.archive:
            raise ActionFailed(
                f"the kept chart in {', '.join(kept.secrets)} is damaged; remove it, so that the "
                f"operator stores it again, with: kubectl delete secret {' '.join(kept.secrets)} "
                f"-n {self.rollout.namespace}"
            )
        write_whole(file, archive)
        return file

    def _listed(self) -> list[Json]:
        wanted = f"{selector(self.rollout.name)},{names.LABEL_CHART}"
        items = self.clients.api.list(self._path, labels=wanted, metadata_only=True)
        return [{"annotations": {}, **item["metadata"]} for item in items]

    def _read(self, name: str) -> bytes:
        secret = self.clients.api.find(f"{self._path}/{name}") or {}
        return base64.b64decode((secret.get("data") or {}).get(KEY) or "")

    def _secret(
        self, stored: StoredRelease, archive: bytes, part: bytes, number: int, of: int
    ) -> Json:
        digest = stored.chart_digest
        name = fitted(f"xbr-{self.rollout.name}-chart-{digest[:12]}")
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "immutable": True,
            "metadata": {
                "name": name if number == 1 else f"{name}-{number}",
                "namespace": self.rollout.namespace,
                "labels": {**labels(self.rollout.name), names.LABEL_CHART: str(number)},
                "annotations": {
                    _RELEASE: stored.name,
                    _NAME: stored.chart_name,
                    _VERSION: stored.chart_version,
                    _CONTENT: digest,
                    _ARCHIVE: _digest(archive),
                    _OF: str(of),
                },
            },
            "data": {KEY: base64.b64encode(part).decode()},
        }


def write_whole(file: Path, content: bytes) -> None:
    """Write a file atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix="chart-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        os.replace(temporary, file)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def _complete(listed: Sequence[Json], release: str, digest: str) -> KeptChart | None:
    """Return the chart of this content if all its parts are there."""
    mine = {
        metadata["labels"][names.LABEL_CHART]: metadata
        for metadata in listed
        if metadata["annotations"].get(_CONTENT) == digest
        and metadata["annotations"].get(_RELEASE) == release
    }
    first = mine.get("1")
    if first is None:
        return None
    archive, of = first["annotations"].get(_ARCHIVE, ""), first["annotations"].get(_OF, "")
    parts = [mine.get(str(number)) for number in range(1, int(of) + 1)] if of.isdigit() else [None]
    found = [
        part["name"]
        for part in parts
        if part is not None and part["annotations"].get(_ARCHIVE) == archive
    ]
    return KeptChart(archive, tuple(found)) if len(found) == len(parts) else None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
