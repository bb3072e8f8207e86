"""Which pods of an Airflow release can read XCom: the known ones, and others that run Airflow.

Future charts and teams add components of their own. An unknown one is a reader if it runs Airflow:
a process that keeps the old backend would hand out a path as data.
"""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from xcom_rollout.api.names import LABEL_ROLLOUT
from xcom_rollout.clients.kube import Json

READERS: Final = frozenset(
    {
        "scheduler",
        "webserver",
        "api-server",
        "execution-api-server",
        "triggerer",
        "dag-processor",
        "worker",
        "edge-worker",
    }
)
"""Values of the label `component` whose pods can read XCom."""
NOT_READERS: Final = frozenset(
    {
        "statsd",
        "redis",
        "pgbouncer",
        "flower",
        "airflow-cleanup-pods",
        "database-cleanup",
        "create-user-job",
        "run-airflow-migrations",
    }
)
"""Those of the official chart whose pods never do, though some have Airflow's image and its
configuration."""

_CONFIG_FILE: Final = "airflow.cfg"
_VARIABLES: Final = ("AIRFLOW__", "AIRFLOW_HOME", "AIRFLOW_CONFIG")
"""Prefixes of the variables that only Airflow reads."""


def readers_of(items: Iterable[Json]) -> list[Json]:
    """Return those that can read XCom, of the pods or of the workloads of a release.

    An unknown component counts if it runs the image of a known one, mounts airflow.cfg, or has
    variables of Airflow. The pods of Jobs do not count, nor do the operator's own: they end.
    """
    listed = [item for item in items if not _is_of_a_job(item)]
    known = [item for item in listed if _component(item) in READERS]
    unknown = [item for item in listed if _component(item) not in READERS | NOT_READERS]
    if not unknown:
        return known
    images = {str(container.get("image")) for item in known for container in _airflow(item)}
    found = [item for item in unknown if _airflow(item, images)]
    return [*known, *found]


def runs_airflow(container: Mapping[str, Any]) -> bool:
    """Return whether a container mounts airflow.cfg or has variables that Airflow reads."""
    mounts = container.get("volumeMounts") or []
    paths = [str(mount.get(key) or "") for mount in mounts for key in ("mountPath", "subPath")]
    if any(PurePosixPath(path).name == _CONFIG_FILE for path in paths):
        return True
    return any(str(entry["name"]).startswith(_VARIABLES) for entry in container.get("env") or [])


def _airflow(item: Json, images: Iterable[str] = ()) -> list[Mapping[str, Any]]:
    spec = item.get("spec") or {}
    spec = (spec.get("template") or {}).get("spec") or spec
    return [
        container
        for container in spec.get("containers") or []
        if container.get("image") in images or runs_airflow(container)
    ]


def _component(item: Json) -> str:
    return str((item["metadata"].get("labels") or {}).get("component", ""))


def _is_of_a_job(item: Json) -> bool:
    metadata = item["metadata"]
    owners = metadata.get("ownerReferences") or []
    return LABEL_ROLLOUT in (metadata.get("labels") or {}) or any(
        owner.get("kind") == "Job" for owner in owners
    )
