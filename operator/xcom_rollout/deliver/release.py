"""A Helm release as stored by Helm: in Secrets of its namespace, one for each revision."""

import base64
import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from xcom_rollout.api import names
from xcom_rollout.clients.errors import Malformed
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.clients.memo import Memo
from xcom_rollout.clients.times import parse_time
from xcom_rollout.clients.yaml_text import parse_documents
from xcom_rollout.decide.settings import BackendSettings, read_settings
from xcom_rollout.deliver.airflow_config import AirflowConfig, ValuesPath, airflow_config
from xcom_rollout.deliver.chart import content_digest, dependencies

HISTORY: Final = 10
"""Revisions that Helm keeps by default; the operator never lets it keep fewer than exist."""
_UNREADABLE: Final = (
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
    OSError,
    EOFError,
    zlib.error,
)


@dataclass(frozen=True)
class StoredRelease:
    """The newest revision of a release.

    `values` are those given by the user: what Helm calls the release's config. They may contain
    secrets, so they are never printed.
    """

    name: str
    revision: int
    status: str
    chart_name: str
    chart_version: str
    values: Mapping[str, Any]
    updated_at: datetime
    secret: str
    uid: str
    mark: str
    """Value of the operator's label on the Secret, empty without."""
    chart_digest: str = ""
    """`content_digest` of the chart that this revision was made of."""
    dependencies: tuple[str, ...] = ()
    """Names of the enabled charts that it depends on."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of the Secret."""
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the options that the chart itself sets in `config`, by section."""
    airflow: AirflowConfig = field(default_factory=AirflowConfig)
    """The airflow.cfg of this revision, and the place of its settings in the values."""

    @property
    def settings(self) -> BackendSettings:
        """The owned settings."""
        rendered = None if self.airflow.problem else self.airflow.options
        return read_settings(self.values, rendered, self.airflow.path)


def newest_release(
    api: KubeApi, memo: Memo, namespace: str, name: str, path: ValuesPath | None = None
) -> StoredRelease | None:
    """Return the newest revision, None where the release does not exist.

    Args:
        path: that of `spec.delivery.helm.valuesPath`, None where the spec names none.

    Raises:
        KubeError: the Secrets cannot be read.
        Malformed: the newest one cannot be decoded.
    """
    metadata = list_revisions(api, namespace, name)
    if not metadata:
        return None
    newest = metadata[-1]

    def read() -> StoredRelease | None:
        secret = api.find(secrets_path(namespace, newest["name"]))
        return None if secret is None else decode_release(secret, path)

    # Helm changes a revision's Secret once, when its status becomes final.
    return memo.get(("release", newest["uid"], newest["resourceVersion"], path), read)


def secrets_path(namespace: str, name: str = "") -> str:
    return object_path(namespace, "secrets", name or None)


def list_revisions(api: KubeApi, namespace: str, name: str) -> list[Json]:
    """Return the metadata of the Secrets of a release's revisions, the oldest first.

    Raises:
        KubeError: the Secrets cannot be read.
    """
    items = api.list(secrets_path(namespace), labels=f"owner=helm,name={name}", metadata_only=True)
    return sorted((item["metadata"] for item in items), key=revision_of)


def revision_of(metadata: Json) -> int:
    """Return the number of the revision that a Secret of this metadata holds."""
    return int((metadata.get("labels") or {}).get("version", "0"))


def decode_record(secret: Json) -> Json:
    """Return the content of one of Helm's Secrets: JSON, compressed, encoded twice in base64.

    It contains secrets, and may have megabytes: neither print nor cache it.

    Raises:
        Malformed: it is not that.
    """
    try:
        # Once by Kubernetes, once by Helm.
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        record = json.loads(gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed)
        if not isinstance(record, dict):
            raise ValueError("not an object")
    except _UNREADABLE as error:
        raise _malformed(secret, error) from error
    return record


def decode_release(secret: Json, path: ValuesPath | None = None) -> StoredRelease:
    """Return the release in one of Helm's Secrets.

    Args:
        path: that of `spec.delivery.helm.valuesPath`, None where the spec names none.

    Raises:
        Malformed: it is not that.
    """
    release = decode_record(secret)
    try:
        chart = release["chart"]["metadata"]
        airflow = airflow_config(str(release.get("manifest") or ""), path)
        return StoredRelease(
            name=release["name"],
            revision=int(release["version"]),
            status=release["info"]["status"],
            chart_name=chart["name"],
            chart_version=chart["version"],
            values=release.get("config") or {},
            updated_at=parse_time(release["info"]["last_deployed"]),
            secret=secret["metadata"]["name"],
            uid=secret["metadata"].get("uid", ""),
            mark=(secret["metadata"].get("labels") or {}).get(names.LABEL_DELIVERY, ""),
            chart_digest=content_digest(release["chart"]),
            dependencies=dependencies(release["chart"]),
            labels=secret["metadata"].get("labels") or {},
            options=_options(release["chart"], airflow.path),
            airflow=airflow,
        )
    except _UNREADABLE as error:
        raise _malformed(secret, error) from error


def config_maps(manifest: str) -> Mapping[str, Json]:
    """Return the ConfigMaps of a rendered manifest by name.

    Raises:
        ValueError: the manifest is not YAML.
    """
    try:
        documents = parse_documents(manifest)
    except ValueError as error:
        raise ValueError(f"the rendered manifest is not YAML: {error}") from error
    return {
        document["metadata"]["name"]: document
        for document in documents
        if isinstance(document, dict) and document.get("kind") == "ConfigMap"
    }


def _options(chart: Json, path: ValuesPath) -> dict[str, tuple[str, ...]]:
    config: Any = chart.get("values")
    for name in (*path, "config"):
        config = config.get(name) if isinstance(config, Mapping) else None
    sections = config.items() if isinstance(config, Mapping) else ()
    return {name: tuple(options) for name, options in sections if isinstance(options, Mapping)}


def _malformed(secret: Json, error: Exception) -> Malformed:
    return Malformed(
        f"Secret {secret['metadata']['name']} contains no readable Helm release "
        f"({type(error).__name__}: {error}); inspect it with: helm status"
    )
