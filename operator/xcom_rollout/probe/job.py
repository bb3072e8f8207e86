"""The Job that runs the probe, made from the template of the pods that it represents. Pure.

The main container keeps everything that decides what Airflow sees: image, environment, volumes,
identity, placement. What would change the outcome or never end is left out:

- init containers: the chart's wait for database migrations, which are done, as the running pods
  prove. Only the static audit keeps the others, since one of them may fetch the DAGs (git-sync);
- sidecars: a Job does not end before all of its containers have;
- health checks and lifecycle hooks: there is no server to check;
- the label `component`, which is replaced: a Service or a Deployment, and the operator, would treat
  the pod as one of its own. `tier` and `release` stay, because NetworkPolicies, such as the chart's
  in front of PgBouncer, select Airflow's pods by them;
- the labels that KubernetesExecutor sets on its pods;
- rules that spread pods: they would keep the pod off the node where its model runs.
"""

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from xcom_rollout.api import names
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.actions import RunJob
from xcom_rollout.decide.ledger import RunKey
from xcom_rollout.decide.observed import JobKind, Rollout
from xcom_rollout.release.objects import PodTemplate, mounted_volumes
from xcom_rollout.stored.names import (
    ANNOTATION_ATTEMPT,
    PROBE_CONTAINER,
    job_name,
    labels,
    owner,
)

PROBE_FOLDER: Final = "/opt/xcom-probe"
PROBE_KEY: Final = "xcom_probe.pyz"
RUNS_FOLDER: Final = "/opt/xcom-probe-runs"
RUNS_KEY: Final = "runs.json"
RUNS_VOLUME: Final = "xcom-probe-runs"

SAMPLES_FOLDER: Final = "/opt/xcom-probe-samples"
SAMPLES_VOLUME: Final = "xcom-probe-samples"

DEADLINES: Final = {
    JobKind.PROOF: 300,
    JobKind.AUDIT_STATIC: 1800,
    JobKind.AUDIT_DYNAMIC: 1800,
    JobKind.CALIBRATION: 600,
    JobKind.CENSUS: 300,
    JobKind.EMPTY: 300,
    JobKind.REHYDRATE: 1800,
    JobKind.STANDBY: 1800,
    JobKind.VERIFY: 120,
}
"""Seconds that a Job of each kind may take, the start of its pod included."""
KEPT: Final = 3600
"""Seconds for which an ended Job is kept."""

_POD_FIELDS_DROPPED: Final = (
    "initContainers",
    "ephemeralContainers",
    "topologySpreadConstraints",
    "hostname",
    "subdomain",
    "readinessGates",
)
_CONTAINER_FIELDS_KEPT: Final = (
    "image",
    "imagePullPolicy",
    "env",
    "envFrom",
    "resources",
    "securityContext",
    "volumeMounts",
    "volumeDevices",
    "workingDir",
)
_MIGRATIONS: Final = "wait-for-airflow-migrations"
_LABELS_DROPPED: Final = ("chart", "heritage", "kubernetes_executor", "airflow-worker")
_NO_SIDECARS: Final = {
    "sidecar.istio.io/inject": "false",
    "linkerd.io/inject": "disabled",
}


def runs_json(runs: Iterable[RunKey]) -> str:
    """Return a list of runs as the probe reads it."""
    return json.dumps([{"dagId": run.dag_id, "runId": run.run_id} for run in runs])


@dataclass(frozen=True)
class RunsFile:
    """Where the list of requested runs is: compressed where it would not fit otherwise."""

    config_map: str
    key: str = RUNS_KEY


@dataclass(frozen=True)
class Mounts:
    """Names of the ConfigMaps that the Job's pod mounts in addition to those of its template."""

    probe: str
    runs: RunsFile | None = None
    replaced: Mapping[str, str] | None = None
    """ConfigMaps of the template that a copy replaces, with the copy's name."""


def probe_job(rollout: Rollout, action: RunJob, template: PodTemplate, mounts: Mounts) -> Json:
    """Return the Job of one attempt.

    Raises:
        ActionFailed: the template has no container that runs Airflow.
    """
    name = job_name(rollout.name, action)
    job_labels = {
        **labels(rollout.name),
        names.LABEL_KIND: str(action.kind),
        names.LABEL_COMPONENT: str(action.component),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": rollout.namespace,
            "labels": job_labels,
            "annotations": {
                names.ANNOTATION_DIGEST: action.digest,
                ANNOTATION_ATTEMPT: str(action.attempt),
            },
            "ownerReferences": [owner(rollout)],
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": _seconds(action),
            "ttlSecondsAfterFinished": KEPT,
            "template": {
                "metadata": {
                    "labels": {
                        **_pod_labels(template),
                        **_NO_SIDECARS,
                        **rollout.spec.gates.jobs.labels,
                        **_chart_labels(template),
                        **job_labels,
                    },
                    "annotations": {
                        **_pod_annotations(template),
                        **_NO_SIDECARS,
                        **rollout.spec.gates.jobs.annotations,
                    },
                },
                "spec": _pod_spec(action, template, mounts),
            },
        },
    }


def _seconds(action: RunJob) -> int:
    if action.deadline is None:
        return DEADLINES[action.kind]
    return max(1, int(action.deadline.total_seconds()))


def _pod_labels(template: PodTemplate) -> dict[str, str]:
    """Labels of the template: some grant the pod its cloud identity."""
    given = template.metadata.get("labels") or {}
    return {key: value for key, value in given.items() if key not in _LABELS_DROPPED}


def _chart_labels(template: PodTemplate) -> dict[str, str]:
    """The labels by which policies select Airflow's pods, without those of a reader."""
    given = template.metadata.get("labels") or {}
    kept = {key: given[key] for key in ("tier", "release") if key in given}
    return {**kept, "component": names.JOB_COMPONENT}


def _pod_annotations(template: PodTemplate) -> dict[str, str]:
    given = template.metadata.get("annotations") or {}
    return {key: value for key, value in given.items() if not key.startswith("checksum/")}


def _pod_spec(action: RunJob, template: PodTemplate, mounts: Mounts) -> Json:
    spec = copy.deepcopy(template.spec)
    for field in _POD_FIELDS_DROPPED:
        spec.pop(field, None)
    affinity = dict(spec.pop("affinity", None) or {})
    affinity.pop("podAntiAffinity", None)
    if affinity:
        spec["affinity"] = affinity
    before = _init_containers(action, template)
    volumes = copy.deepcopy(mounted_volumes(template, *before))
    container = _container(action, template.main, mounts)
    volumes += _lost_volumes(container, volumes)
    _add_volume(container, volumes, PROBE_CONTAINER, mounts.probe, PROBE_FOLDER)
    if mounts.runs is not None:
        _add_volume(container, volumes, RUNS_VOLUME, mounts.runs.config_map, RUNS_FOLDER)
    if mounts.replaced:
        _replace_config_maps(container, volumes, mounts.replaced)
    if action.samples is not None:
        _add_volume(container, volumes, SAMPLES_VOLUME, action.samples, SAMPLES_FOLDER)
    return {
        **spec,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 5,
        **({"initContainers": before} if before else {}),
        "containers": [container],
        "volumes": volumes,
    }


def _init_containers(action: RunJob, template: PodTemplate) -> list[Json]:
    if action.kind is not JobKind.AUDIT_STATIC:
        return []
    return [
        copy.deepcopy(container)
        for container in template.spec.get("initContainers") or []
        # An init container that restarts is a native sidecar of Kubernetes.
        if container["name"] != _MIGRATIONS and container.get("restartPolicy") != "Always"
    ]


def _container(action: RunJob, main: Json, mounts: Mounts) -> Json:
    kept = {
        field: copy.deepcopy(main[field]) for field in _CONTAINER_FIELDS_KEPT if main.get(field)
    }
    arguments = [*action.arguments]
    if mounts.runs is not None:
        arguments += ["--runs-file", f"{RUNS_FOLDER}/{mounts.runs.key}"]
    if action.samples is not None:
        arguments += ["--samples", SAMPLES_FOLDER]
    return {
        "name": PROBE_CONTAINER,
        **kept,
        # The image's own `python`, as its Airflow processes find it; no shell, no entrypoint.
        "command": ["python", f"{PROBE_FOLDER}/{PROBE_KEY}", *arguments, "--markers"],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _lost_volumes(container: Json, volumes: list[Json]) -> list[Json]:
    """Return an empty folder for each mount whose volume a StatefulSet would have claimed."""
    there = {volume["name"] for volume in volumes}
    wanted = {mount["name"] for mount in container.get("volumeMounts") or []}
    return [{"name": name, "emptyDir": {}} for name in sorted(wanted - there)]


def _add_volume(
    container: Json, volumes: list[Json], name: str, config_map: str, path: str
) -> None:
    volumes.append({"name": name, "configMap": {"name": config_map}})
    container.setdefault("volumeMounts", []).append(
        {"name": name, "mountPath": path, "readOnly": True}
    )


def _replace_config_maps(container: Json, volumes: list[Json], replaced: Mapping[str, str]) -> None:
    references: list[Any] = []
    for volume in volumes:
        sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
        references += [source.get("configMap") for source in sources]
    references += [source.get("configMapRef") for source in container.get("envFrom") or []]
    references += [
        (variable.get("valueFrom") or {}).get("configMapKeyRef")
        for variable in container.get("env") or []
    ]
    for reference in references:
        if reference is not None:
            reference["name"] = replaced.get(reference["name"], reference["name"])
