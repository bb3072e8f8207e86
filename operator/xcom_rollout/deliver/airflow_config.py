"""The airflow.cfg in a manifest: what Airflow runs, and which chart of the release renders it.

The values of a release contain only what somebody requested. A default of the chart, a template, a
parent chart or a place that no chart reads can change the result, and Airflow reads the file. So
the file shows the present settings, and whether the requested ones have arrived.

Helm writes `# Source: top/charts/airflow/templates/...` above each object: the names below
`charts/` are the keys below which the parent's values hold those of the dependency, aliases
included (seen with Helm 3.22).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from xcom_rollout.clients.errors import ActionFailed
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.yaml_text import parse_yaml
from xcom_rollout.deliver.manifests import documents, source_of
from xcom_rollout.release.airflow_cfg import OWNED_OPTIONS, parsed_options
from xcom_rollout.release.objects import (
    CONFIG_KEY,
    PodTemplate,
    component_of,
    mounted_config_maps,
)

ValuesPath = tuple[str, ...]

_SCHEDULER: Final = "scheduler"
_FOREIGN: Final = re.compile(r"AIRFLOW__[A-Z0-9_]+__[A-Z0-9_]+")


@dataclass(frozen=True)
class AirflowConfig:
    """The owned options in the airflow.cfg of a release."""

    path: ValuesPath = ()
    """Keys of the values below which the chart that renders it has its own."""
    options: Mapping[str, str] = field(default_factory=dict)
    """The owned options that are set, by `section.option`."""
    made_by: ValuesPath | None = None
    """The same according to the manifest, None where it does not show it."""
    problem: str = ""
    """Why none of this is known, for people; empty where it is."""


@dataclass(frozen=True)
class _Found:
    name: str
    path: ValuesPath | None
    """None where the manifest does not show which chart it came from."""
    text: str


def airflow_config(manifest: str, path: ValuesPath | None = None) -> AirflowConfig:
    """Return the owned options in the airflow.cfg of a manifest, as Helm prints it.

    Args:
        path: that of `spec.delivery.helm.valuesPath`; it takes precedence over the manifest.
    """
    texts = documents(manifest)
    found = list(_config_maps(texts))
    if path is not None:
        found = [one for one in found if one.path == path] or found
    if len(found) > 1:
        mounted = _mounted_by_scheduler(texts)
        found = [one for one in found if one.name in mounted] or found
    if not found:
        return AirflowConfig(path or (), problem=_none(manifest))
    read = [_read(one, path) for one in found]
    # Copies of one file, such as one for each component, are equal.
    if any(other != read[0] for other in read):
        return AirflowConfig(path or (), problem=_several(found))
    return read[0]


def _config_maps(texts: Iterable[str]) -> Iterable[_Found]:
    for text in texts:
        if CONFIG_KEY not in text or "ConfigMap" not in text:
            continue
        document = _parsed(text)
        content = (document.get("data") or {}).get(CONFIG_KEY)
        if document.get("kind") == "ConfigMap" and isinstance(content, str):
            yield _Found(str(document["metadata"]["name"]), _path(source_of(text)), content)


def _path(source: str) -> ValuesPath | None:
    if not source:
        return None
    return tuple(source.partition("/templates/")[0].split("/")[2::2])


def _read(found: _Found, path: ValuesPath | None) -> AirflowConfig:
    at = (found.path or ()) if path is None else path
    where = f"ConfigMap {found.name}, key {CONFIG_KEY}"
    sections = parsed_options(found.text)
    if isinstance(sections, str):
        return AirflowConfig(at, problem=f"{where}: cannot be parsed")
    options: dict[str, str] = {}
    for section, option in OWNED_OPTIONS:
        # Airflow is case-sensitive: XCOM_BACKEND is another option, that nothing reads. An option
        # without a value counts as not set.
        if value := sections.get(section, {}).get(option):
            options[f"{section}.{option}"] = value
    return AirflowConfig(at, options, found.path)


def _mounted_by_scheduler(texts: Iterable[str]) -> frozenset[str]:
    names: set[str] = set()
    for text in texts:
        if _SCHEDULER not in text or ("Deployment" not in text and "StatefulSet" not in text):
            continue
        item = _parsed(text)
        if item.get("kind") not in ("Deployment", "StatefulSet"):
            continue
        if component_of(item) == _SCHEDULER:
            template = item["spec"]["template"]
            try:
                names |= mounted_config_maps(
                    PodTemplate(_SCHEDULER, template.get("metadata") or {}, template["spec"])
                )
            except ActionFailed:
                # Its container is not known either; the proof reports that.
                continue
    return frozenset(names)


def _parsed(text: str) -> Json:
    try:
        document = parse_yaml(text)
    except ValueError:
        # Not the one that is searched for: an API server accepted that.
        return {}
    whole = isinstance(document, dict) and isinstance(document.get("metadata"), dict)
    return document if whole else {}


def _none(manifest: str) -> str:
    foreign = _FOREIGN.search(manifest)
    seen = f"; it sets environment variables such as {foreign.group(0)}" if foreign else ""
    return (
        f"the chart renders no ConfigMap with the key {CONFIG_KEY}{seen}. The operator supports "
        "charts with the layout of Apache Airflow's own, which renders that file from "
        "config.<section>.<option>; others, such as the community chart with its airflow.config, "
        "are not supported"
    )


def _several(found: Sequence[_Found]) -> str:
    where = sorted(
        f"ConfigMap {one.name}" + (f" (valuesPath {'.'.join(one.path)})" if one.path else "")
        for one in found
    )
    remedy = (
        "set spec.delivery.helm.valuesPath to the key of the chart that Airflow runs"
        if len({one.path for one in found}) > 1
        else "one chart renders them, so spec.delivery.helm.valuesPath cannot distinguish them: "
        "give them the same content, or mount only one of them in the scheduler"
    )
    return (
        f"{', '.join(where)} contain different {CONFIG_KEY} files, so the one that Airflow uses "
        f"cannot be determined; {remedy}"
    )
