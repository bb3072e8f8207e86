"""What Helm's record shows about a release before a flip, beyond what a delivery needs."""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from xcom_rollout.clients.errors import Malformed
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.check.installed import Record
from xcom_rollout.deliver.chart import dependencies, dependency_sources
from xcom_rollout.deliver.keys import unset_keys
from xcom_rollout.deliver.manifests import objects_of
from xcom_rollout.deliver.release import decode_record

_LOOKUP: Final = re.compile(rb"lookup\s+\S+\s+[\"'`]Secret[\"'`]")
"""How a template finds a key that already exists in the cluster."""


def read_record(secret: Json, path: Sequence[str]) -> tuple[Record, str]:
    """Return the content of a revision's Secret, and its manifest, which holds secrets.

    Args:
        path: keys of the values below which the chart of Airflow has its own.

    Raises:
        Malformed: it holds no release.
    """
    record = decode_record(secret)
    chart: Json = record.get("chart") or {}
    manifest = str(record.get("manifest") or "")
    objects = tuple(objects_of(manifest))
    given = [_below(record.get("config"), path), _below(chart.get("values"), path)]
    return (
        Record(
            airflow_version=_version(given, chart, path),
            size=_size(secret),
            dependencies=dependencies(chart),
            dependencies_problem=_dependencies_problem(chart),
            hooks=tuple(sorted(str(hook.get("name")) for hook in record.get("hooks") or ())),
            plain_jobs=_jobs(objects),
            unset_keys=unset_keys(objects, given),
            looks_up=any(map(_looks_up, chart.get("templates") or ())),
        ),
        manifest,
    )


def _version(given: Iterable[Mapping[str, Any]], chart: Json, path: Sequence[str]) -> str:
    # The official chart decides between Airflow 2 and 3 by this value alone.
    for values in given:
        if values.get("airflowVersion"):
            return str(values["airflowVersion"])
    # The version of a parent's application is not that of Airflow.
    return "" if path else str((chart.get("metadata") or {}).get("appVersion") or "")


def _below(values: Any, path: Sequence[str]) -> Mapping[str, Any]:
    for name in path:
        values = values.get(name) if isinstance(values, Mapping) else None
    return values if isinstance(values, Mapping) else {}


def _size(secret: Json) -> int:
    """Return the bytes of a Secret's data, as Kubernetes counts them: without its own base64."""
    return sum(len(text) * 3 // 4 for text in (secret.get("data") or {}).values())


def _dependencies_problem(chart: Json) -> str:
    try:
        dependency_sources(chart)
    except Malformed as error:
        return error.message
    return ""


def _jobs(objects: Iterable[Json]) -> tuple[str, ...]:
    jobs = (item for item in objects if item.get("kind") == "Job")
    return tuple(sorted(str((job.get("metadata") or {}).get("name")) for job in jobs))


def _looks_up(template: Json) -> bool:
    try:
        return _LOOKUP.search(base64.b64decode(template.get("data") or "")) is not None
    except (binascii.Error, ValueError):
        return False
