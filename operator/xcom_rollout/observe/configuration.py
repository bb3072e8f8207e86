"""The configuration of Airflow's pods: when it changed last, and its digest."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from xcom_rollout.clients.errors import ActionFailed, KubeError
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.times import parse_time
from xcom_rollout.decide.executors import proven_components
from xcom_rollout.decide.observed import Release, Rollout
from xcom_rollout.observe.digest import (
    Desired,
    Proving,
    config_map_hash,
    digest,
    secret_hash,
)
from xcom_rollout.observe.start_commands import options_set_at_start
from xcom_rollout.release import catalog
from xcom_rollout.release.airflow_cfg import OWNED_OPTIONS, OWNED_VARIABLES, parsed_options
from xcom_rollout.release.catalog import Catalog
from xcom_rollout.release.objects import (
    CONFIG_KEY,
    PodTemplate,
    component_of,
    environment_config_maps,
    holds_configuration,
    mounted_config_maps,
    secrets,
    template_of,
    workload_template,
)
from xcom_rollout.release.pods import container_status
from xcom_rollout.release.readers import READERS
from xcom_rollout.wiring import Clients

_IMAGES_FROM: Final = READERS - {"worker"}
"""Components whose pods show which image ID a reference stands for."""


@dataclass(frozen=True)
class Configuration:
    """The configuration of a release as one pass saw it."""

    digest: str
    """Empty where it could not be made."""
    changed_at: datetime | None
    problems: tuple[str, ...]
    backend_hash: str = ""
    """Hash of the options that a flip owns; empty where it could not be made."""
    samples_missing: bool = False
    """Whether the spec names a ConfigMap of samples that does not exist."""


def look_at_configuration(
    clients: Clients,
    rollout: Rollout,
    release: Release | None,
    workloads: Sequence[Json],
    pods: Sequence[Json],
    executor: str = "",
) -> Configuration:
    """Return the configuration; what cannot be seen becomes a problem, not an error.

    Args:
        executor: `[core] executor` as far as known; what is proven depends on it.
    """
    if release is None:
        return Configuration("", None, ())
    api, memo, namespace = clients.api, clients.memo, rollout.namespace
    maps = catalog.config_maps(api, memo, namespace)
    kept = catalog.secrets(api, memo, namespace)
    changed_at, backend = None, ""
    try:
        templates = [workload_template(item) for item in workloads]
        components = proven_components(executor)
        proven = tuple(template_of(component, workloads, maps) for component in components)
        every = (*templates, *proven)
        names = configuration_names(every, maps)
        changed_at, backend = last_change(names, maps), backend_hash(names, maps)
        reference = rollout.spec.gates.round_trip.samples_ref
        samples = None if reference is None else maps.fact(reference.name, config_map_hash)
        return Configuration(
            digest(
                Proving(
                    images=image_ids(pods),
                    templates=proven,
                    config_maps={
                        name: maps.fact(name, config_map_hash)
                        for template in proven
                        for name in mounted_config_maps(template)
                        | environment_config_maps(template)
                    },
                    secrets={
                        name: kept.fact(name, secret_hash)
                        for template in proven
                        for name in secrets(template)
                    },
                    chart=(release.chart_name, release.chart_version),
                    desired=Desired.of(rollout, samples),
                    probe=clients.probe_digest,
                )
            ),
            changed_at,
            options_set_at_start(every),
            backend_hash=backend,
            samples_missing=reference is not None and samples is None,
        )
    except (ActionFailed, KubeError) as error:
        return Configuration("", changed_at, (error.message,), backend_hash=backend)


def last_change(names: Iterable[str], maps: Catalog) -> datetime | None:
    """Return when Airflow's configuration last changed, in whole seconds, UTC.

    It is the newest time in the `managedFields` of these ConfigMaps, those that hold airflow.cfg or
    feed the environment. Other mounted ones, such as DAG files, do not affect the backend. None
    where there is no such ConfigMap.
    """
    moments: list[datetime] = []
    for name in names:
        metadata = maps.metadata(name) or {}
        times = [metadata.get("creationTimestamp")]
        times += [entry.get("time") for entry in metadata.get("managedFields") or []]
        moments += [parse_time(text) for text in times if text]
    return max(moments, default=None)


def configuration_names(templates: Iterable[PodTemplate], maps: Catalog) -> tuple[str, ...]:
    """Return the names of the ConfigMaps that hold airflow.cfg or feed the environment."""
    names: set[str] = set()
    for template in templates:
        environment = environment_config_maps(template)
        names |= environment
        names |= {
            name
            for name in mounted_config_maps(template) - environment
            if maps.fact(name, holds_configuration)
        }
    return tuple(sorted(names))


def backend_hash(names: Iterable[str], maps: Catalog) -> str:
    """Return the hash of the options that a flip owns in these ConfigMaps."""
    # A ConfigMap without these options may come and go with any other component, so it is left out.
    # Where none has any, each airflow.cfg is hashed, and a chart has one: so a hash that was
    # recorded for the chart's airflow.cfg alone is still the same. One recorded together with
    # ConfigMaps without these options changes once.
    given = {name: options for name in names if (options := maps.fact(name, owned_options))}
    with_values = {
        name: options
        for name, options in given.items()
        if any(value is not None for value in options.values())
    }
    hashed = with_values or given
    text = json.dumps(hashed, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def owned_options(config_map: Json) -> Mapping[str, str | None]:
    """Return the options that a flip owns, as a ConfigMap contains them: in airflow.cfg or as
    variables."""
    data = config_map.get("data") or {}
    found = {key: value for key, value in data.items() if key in OWNED_VARIABLES}
    text = data.get(CONFIG_KEY)
    if text is not None:
        sections = parsed_options(text)
        if isinstance(sections, str):
            return {**found, CONFIG_KEY: sections}
        for section, option in OWNED_OPTIONS:
            found[f"{section}/{option}"] = sections.get(section, {}).get(option)
    return found


def image_ids(pods: Iterable[Json]) -> dict[str, tuple[str, ...]]:
    """Return which image IDs the image references of the main containers stand for.

    Task pods come and go, so they are left out: the ID of their image is known from the long-lived
    pods, which run the same one. So are unknown components: they are not proven, and their pods may
    come and go too.
    """
    found: dict[str, set[str]] = {}
    for pod in pods:
        status = container_status(pod)
        if status is None or component_of(pod) not in _IMAGES_FROM or not status.get("imageID"):
            continue
        by_name = {container["name"]: container for container in pod["spec"]["containers"]}
        # The status may have a longer form of the image's name than the template.
        found.setdefault(by_name[status["name"]]["image"], set()).add(status["imageID"])
    return {image: tuple(sorted(ids)) for image, ids in sorted(found.items())}
