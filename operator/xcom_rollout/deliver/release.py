"""A Helm release as Helm keeps it: in Secrets of its namespace, one for each revision."""

import base64
import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from xcom_rollout.api import names
from xcom_rollout.clients.errors import Malformed
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.memo import Memo
from xcom_rollout.clients.times import parse_time


@dataclass(frozen=True)
class StoredRelease:
    """The newest revision of a release.

    `values` are those that the user gave: what Helm calls the release's config. They may hold
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


def newest_release(api: KubeApi, memo: Memo, namespace: str, name: str) -> StoredRelease | None:
    """Return the newest revision, None where the release does not exist.

    Raises:
        KubeError: the Secrets cannot be read.
        Malformed: the newest one cannot be decoded.
    """
    path = f"api/v1/namespaces/{namespace}/secrets"
    secrets = api.list(path, labels=f"owner=helm,name={name}", metadata_only=True)
    if not secrets:
        return None
    newest = max(secrets, key=_revision)["metadata"]

    def read() -> StoredRelease | None:
        secret = api.find(f"{path}/{newest['name']}")
        return None if secret is None else decode_release(secret)

    # Helm changes a revision's Secret once, when its status becomes final.
    return memo.get(("release", newest["uid"], newest["resourceVersion"]), read)


def decode_release(secret: Json) -> StoredRelease:
    """Return the release in a Secret of Helm's: JSON, compressed, encoded twice in base64.

    Raises:
        Malformed: it is not that.
    """
    where = f"Secret {secret['metadata']['name']}"
    try:
        # Once by Kubernetes, once by Helm.
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        release = json.loads(gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed)
        chart = release["chart"]["metadata"]
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
        )
    except (
        KeyError,
        TypeError,
        ValueError,
        OSError,
        EOFError,
        zlib.error,
    ) as error:
        raise Malformed(
            f"{where} holds no Helm release that can be read ({type(error).__name__}: {error}); "
            "look at it with: helm status"
        ) from error


def _revision(secret: Json) -> int:
    return int((secret["metadata"].get("labels") or {}).get("version", "0"))
