"""The Kubernetes objects of an Airflow release, found by the labels that its chart sets."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from xcom_rollout.clients.errors import ActionFailed
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.clients.yaml_text import parse_yaml
from xcom_rollout.decide.ledger import Component
from xcom_rollout.release.catalog import Catalog
from xcom_rollout.release.readers import READERS, readers_of, runs_airflow

CONFIG_KEY: Final = "airflow.cfg"
POD_TEMPLATE_KEY: Final = "pod_template_file.yaml"
"""Key in the official chart's ConfigMap from which KubernetesExecutor creates its task pods."""
TASK_CONTAINER: Final = "base"
"""Name that KubernetesExecutor requires for a task pod's main container."""


def release_selector(release: str) -> str:
    """Return the label selector of the release's objects, by the labels of its chart."""
    return f"tier=airflow,release={release}"


def list_workloads(api: KubeApi, namespace: str, release: str) -> list[Json]:
    """Return the Deployments and StatefulSets that can read XCom, each with its `kind`."""
    found: list[Json] = []
    for kind, plural in (("Deployment", "deployments"), ("StatefulSet", "statefulsets")):
        items = api.list(
            object_path(namespace, plural, version="apps/v1"), labels=release_selector(release)
        )
        found += [{**item, "kind": kind} for item in items]
    return sorted(readers_of(found), key=lambda item: (item["kind"], item["metadata"]["name"]))


def component_of(item: Json) -> str:
    return str((item["metadata"].get("labels") or {}).get("component", ""))


@dataclass(frozen=True)
class PodTemplate:
    """The template from which pods of a component are created."""

    component: str
    metadata: Json
    spec: Json

    @property
    def main(self) -> Json:
        """The container that runs Airflow.

        Raises:
            ActionFailed: no container has the name that the chart sets.
        """
        return main_container(self.spec.get("containers") or [], self.component)


def main_container(containers: Sequence[Json], component: str) -> Json:
    """Return the container that runs Airflow's `component`.

    It is found by its name, or as the only candidate. In an unknown component, whose containers may
    have any names, it is the first candidate: what is seen in a wrong one is an error with the name
    of the pod.

    Raises:
        ActionFailed: no container has a name that the chart sets.
    """
    by_name = {container["name"]: container for container in containers}
    for name in (component, TASK_CONTAINER):
        if name in by_name:
            return by_name[name]
    likely = [*filter(runs_airflow, containers)] or containers
    known = component in READERS or component == Component.TASK_POD
    if len(likely) == 1 or (likely and not known):
        return likely[0]
    raise ActionFailed(
        f"none of the containers {', '.join(sorted(by_name)) or '(none)'} of the {component} pod "
        f"is named {component} or {TASK_CONTAINER}, so the one that runs Airflow cannot be "
        "determined"
    )


def workload_template(item: Json) -> PodTemplate:
    """Return the template from which a Deployment or StatefulSet creates its pods."""
    template = item["spec"]["template"]
    return PodTemplate(component_of(item), template.get("metadata") or {}, template["spec"])


def holds_configuration(config_map: Json) -> bool:
    """Return whether a ConfigMap holds airflow.cfg."""
    return CONFIG_KEY in (config_map.get("data") or {})


def template_of(component: Component, workloads: Iterable[Json], maps: Catalog) -> PodTemplate:
    """Return the live template of a component's pods.

    With KubernetesExecutor alone no workload has the component `worker`: its pods are created from
    the file that the scheduler mounts. Where there are workers too, they are the component
    `task-pod`.

    Raises:
        ActionFailed: there is no such template, or it cannot be read.
        KubeError: the cluster could not be asked.
    """
    workloads = list(workloads)
    for item in workloads:
        if component_of(item) == component:
            return workload_template(item)
    if component is Component.SCHEDULER:
        raise ActionFailed(
            f"no Deployment or StatefulSet has the label component={component}; the operator "
            "finds Airflow's pods by the labels of its chart"
        )
    found = _mounted_task_template(workloads, maps)
    if found is not None:
        return replace(found, component=component)
    without = "no workload with the label component=worker and "
    raise ActionFailed(
        f"there is {without if component is Component.WORKER else ''}no ConfigMap with the key "
        f"{POD_TEMPLATE_KEY} mounted by the scheduler, so the template of the pods that run tasks "
        "cannot be found"
    )


def _mounted_task_template(workloads: Iterable[Json], maps: Catalog) -> PodTemplate | None:
    scheduler = template_of(Component.SCHEDULER, workloads, maps)
    mounted = (maps.fact(name, task_template) for name in sorted(mounted_config_maps(scheduler)))
    return next((found for found in mounted if found is not None), None)


def task_template(config_map: Json) -> PodTemplate | None:
    """Return the template of task pods in a ConfigMap, None where it holds none.

    Raises:
        ActionFailed: it holds one that cannot be read.
    """
    text = (config_map.get("data") or {}).get(POD_TEMPLATE_KEY)
    if text is None:
        return None
    where = f"ConfigMap {config_map['metadata']['name']}, key {POD_TEMPLATE_KEY}"
    try:
        pod = parse_yaml(text)
    except ValueError as error:
        raise ActionFailed(f"{where}: not valid YAML: {error}") from error
    if not isinstance(pod, Mapping) or not isinstance(pod.get("spec"), Mapping):
        raise ActionFailed(f"{where}: not a pod template")
    return PodTemplate(Component.WORKER, dict(pod.get("metadata") or {}), dict(pod["spec"]))


def mounted_config_maps(template: PodTemplate) -> frozenset[str]:
    """Return the names of the ConfigMaps that the main container mounts."""
    return frozenset(_mounted(template, "configMap", "name"))


def environment_config_maps(template: PodTemplate) -> frozenset[str]:
    """Return the names of the ConfigMaps from which the main container's environment comes."""
    return frozenset(_from_environment(template.main, "configMapRef", "configMapKeyRef"))


def secrets(template: PodTemplate) -> frozenset[str]:
    """Return the names of the Secrets that the main container mounts or has in its environment."""
    names = {*_mounted(template, "secret", "secretName"), *_mounted(template, "secret", "name")}
    return frozenset({*names, *_from_environment(template.main, "secretRef", "secretKeyRef")})


def mounted_volumes(template: PodTemplate, *others: Json) -> list[Json]:
    """Return the pod's volumes that the main container mounts, or one of these others."""
    mounts = {
        mount["name"]
        for container in (template.main, *others)
        for mount in container.get("volumeMounts") or []
    }
    return [volume for volume in template.spec.get("volumes") or [] if volume["name"] in mounts]


def _mounted(template: PodTemplate, kind: str, key: str) -> Iterable[str]:
    for volume in mounted_volumes(template):
        sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
        for source in sources:
            name = (source.get(kind) or {}).get(key)
            if name:
                yield str(name)


def _from_environment(container: Mapping[str, Any], whole: str, single: str) -> Iterable[str]:
    for source in container.get("envFrom") or []:
        if source.get(whole):
            yield str(source[whole]["name"])
    for variable in container.get("env") or []:
        reference = (variable.get("valueFrom") or {}).get(single)
        if reference:
            yield str(reference["name"])
