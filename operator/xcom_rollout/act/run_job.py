"""Run the probe in a pod like those of a component."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from xcom_rollout.act.ask_standby import ask_standby
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.decide.actions import RunJob
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.deliver import delivery_for
from xcom_rollout.probe.job import PROBE_KEY, RUNS_KEY, Mounts, RunsFile, probe_job, runs_json
from xcom_rollout.release.catalog import Catalog, config_maps
from xcom_rollout.release.objects import (
    PodTemplate,
    environment_config_maps,
    list_workloads,
    mounted_config_maps,
    template_of,
)
from xcom_rollout.stored.names import config_map_path, fitted, labels, owner
from xcom_rollout.stored.packing import LIMIT, pack
from xcom_rollout.wiring import Clients


def run_job(clients: Clients, rollout: Rollout, action: RunJob) -> None:
    """Create the Job of this attempt, with the ConfigMaps that its pod mounts.

    A standby pod is asked instead, where there is one.

    The names follow from the attempt, so doing it again finds the objects in place.

    Raises:
        ActionFailed: the template of the component's pods cannot be found.
        ExternalError: Helm could not render the settings, or the cluster refused.
    """
    if ask_standby(clients, rollout, action):
        return
    maps = config_maps(clients.api, clients.memo, rollout.namespace)
    workloads = list_workloads(clients.api, rollout.namespace, rollout.spec.airflow.release)
    template = template_of(action.component, workloads, maps)
    replaced: Mapping[str, str] = {}
    if action.candidate is not None:
        replaced = _candidates(clients, rollout, template, maps, action.candidate)
    mounts = Mounts(
        probe=_probe_config_map(clients, rollout),
        runs=_runs_config_map(clients, rollout, action) if action.runs else None,
        replaced=replaced,
    )
    job = probe_job(rollout, action, template, mounts)
    clients.api.create(object_path(rollout.namespace, "jobs", version="batch/v1"), job)


def differing(
    template: PodTemplate, live: Mapping[str, Json | None], rendered: Mapping[str, Json]
) -> dict[str, Json]:
    """Return the content of the template's ConfigMaps that a delivery would change, by name."""
    used = mounted_config_maps(template) | environment_config_maps(template)
    changed = {}
    for name in sorted(used & rendered.keys()):
        new = _content(rendered[name])
        if new != _content(live.get(name) or {}):
            changed[name] = new
    return changed


def _candidates(
    clients: Clients,
    rollout: Rollout,
    template: PodTemplate,
    maps: Catalog,
    settings: BackendSettings,
) -> dict[str, str]:
    """Create copies of the ConfigMaps as the chart would render them with `settings`.

    Returns the names of the copies by the names of the originals.
    """
    rendered = delivery_for(clients, rollout).render(settings)
    used = mounted_config_maps(template) | environment_config_maps(template)
    live = {name: maps.read(name) for name in sorted(used & rendered.keys())}
    copies = {}
    for name, content in differing(template, live, rendered).items():
        digest = _digest([name, content])
        copies[name] = fitted(f"xbr-{rollout.name}-candidate-{digest}")
        _create_config_map(clients, rollout, copies[name], content)
    return copies


def _probe_config_map(clients: Clients, rollout: Rollout) -> str:
    name = fitted(f"xbr-{rollout.name}-probe-{clients.probe_digest[:8]}")
    content = {"binaryData": {PROBE_KEY: base64.b64encode(clients.probe).decode()}}
    _create_config_map(clients, rollout, name, content)
    return name


def _runs_config_map(clients: Clients, rollout: Rollout, action: RunJob) -> RunsFile:
    runs = runs_json(action.runs)
    content = pack(RUNS_KEY, runs, plain_limit=LIMIT)
    # Named by its content: it outlives its Job, and a later one may have the same number.
    name = fitted(f"xbr-{rollout.name}-runs-{_digest(runs)}")
    _create_config_map(clients, rollout, name, content)
    key = RUNS_KEY if content["data"] else f"{RUNS_KEY}.gz"
    return RunsFile(name, key)


def _create_config_map(clients: Clients, rollout: Rollout, name: str, content: Json) -> None:
    """Create the ConfigMap unless it exists: its name stands for its content."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "immutable": True,
        "metadata": {
            "name": name,
            "namespace": rollout.namespace,
            "labels": labels(rollout.name),
            "ownerReferences": [owner(rollout)],
        },
        **content,
    }
    if not clients.api.known_version(config_map_path(rollout.namespace, name)):
        clients.api.create(config_map_path(rollout.namespace), body)


def _content(config_map: Json) -> Json:
    return {
        "data": config_map.get("data") or {},
        "binaryData": config_map.get("binaryData") or {},
    }


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
