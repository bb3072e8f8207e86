"""Rollouts in the API server: read, their status written, annotated."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from xcom_rollout.api import names
from xcom_rollout.api.parse import parse_spec
from xcom_rollout.clients.errors import Conflict
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.decide.observed import Rollout

Raw = dict[str, Any]
"""An object as plain JSON data."""


class ConflictError(Exception):
    """The object has changed since it was read."""


class Rollouts(Protocol):
    """What the loop needs from the API server for the resource itself."""

    def get(self, namespace: str, name: str, *, glance: bool = False) -> Raw | None:
        """Return the current rollout, None where there is none.

        Args:
            glance: whether a cache is enough, which is slightly behind, and costs no request.
        """

    def write_status(self, raw: Raw, status: Mapping[str, Any]) -> Raw:
        """Replace the status of `raw`, provided nobody changed the object since it was read.

        Raises:
            ConflictError: somebody did, or the object is gone.
        """


class ClusterRollouts:
    """The rollouts of a cluster."""

    def __init__(self, api: KubeApi, cached: KubeApi | None = None) -> None:
        """Use the API server.

        Args:
            cached: what glances read; it shares the `versions` of `api`, so that none shows an
                older state than was read or written before. None: glances ask too.
        """
        self._api = api
        self._cached = cached or api

    def get(self, namespace: str, name: str, *, glance: bool = False) -> Raw | None:
        return (self._cached if glance else self._api).find(rollout_path(namespace, name))

    def listed(self, namespace: str) -> list[Mapping[str, Any]]:
        """Return all rollouts of a namespace; `*` stands for every one."""
        return list(self._cached.list(rollouts_path(namespace)))

    def write_status(self, raw: Raw, status: Mapping[str, Any]) -> Raw:
        metadata = raw["metadata"]
        written = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {
                key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion")
            },
            "spec": raw.get("spec"),
            "status": dict(status),
        }
        path = f"{rollout_path(metadata['namespace'], metadata['name'])}/status"
        try:
            return self._api.replace(path, written)
        except Conflict as error:
            raise ConflictError(str(error)) from error


def rollouts_path(namespace: str) -> str:
    """Return the path of the rollouts of a namespace; `*` stands for every one."""
    return (
        f"apis/{names.API_VERSION}/{names.PLURAL}" if namespace == "*" else rollout_path(namespace)
    )


def rollout_path(namespace: str, name: str | None = None) -> str:
    return object_path(namespace, names.PLURAL, name, version=names.API_VERSION)


def read_rollout(raw: Mapping[str, Any]) -> Rollout:
    """Return the rollout that `raw`, an object as read from the API server, declares.

    Raises:
        SpecInvalidError: the spec is not valid.
    """
    metadata = raw["metadata"]
    return Rollout(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        created_at=datetime.fromisoformat(metadata["creationTimestamp"]),
        spec=parse_spec(raw.get("spec")),
        annotations=dict(metadata.get("annotations") or {}),
        deleting=is_deleting(metadata),
        finalized=is_kept(metadata),
    )


def release_of(raw: Mapping[str, Any]) -> str:
    """Return the release that a rollout names; empty where its spec is not valid."""
    spec = raw.get("spec")
    airflow = spec.get("airflow") if isinstance(spec, Mapping) else None
    release = airflow.get("release") if isinstance(airflow, Mapping) else None
    return release if isinstance(release, str) else ""


def is_deleting(metadata: Mapping[str, Any]) -> bool:
    """Whether somebody has asked for the deletion of the rollout."""
    return metadata.get("deletionTimestamp") is not None


def is_kept(metadata: Mapping[str, Any]) -> bool:
    """Whether the rollout carries the finalizer of a kill in progress."""
    return names.FINALIZER in (metadata.get("finalizers") or ())


def is_of_a_kill(raw: Mapping[str, Any]) -> bool:
    """Whether a kill is requested, or open; by the object alone, before any pass over it."""
    metadata, switch = raw["metadata"], (raw.get("spec") or {}).get("killSwitch") or {}
    asked = names.ANNOTATION_KILL in (metadata.get("annotations") or {})
    return asked or is_kept(metadata) or switch.get("engaged") is True
