"""Pods of a release as Kubernetes gives them: what they are and how they stand."""

from collections.abc import Mapping
from typing import Any, Final

from xcom_rollout.clients.errors import ActionFailed
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.decide.ledger import Component, RunKey
from xcom_rollout.release.objects import component_of, main_container, release_selector
from xcom_rollout.release.readers import readers_of

_ENDED: Final = ("Succeeded", "Failed")


_MADE_BY_EXECUTOR: Final = "kubernetes_executor=True"
"""Label that KubernetesExecutor gives each of its pods, whatever its template says."""


def list_pods(api: KubeApi, namespace: str, release: str) -> list[Json]:
    """Return the pods of the release that can read XCom.

    Raises:
        KubeError: the cluster could not be asked.
    """
    return readers_of(api.list(object_path(namespace, "pods"), labels=release_selector(release)))


def list_task_pods(api: KubeApi, namespace: str, release: str) -> list[Json]:
    """Return the task pods of KubernetesExecutor in a namespace, but those of another release.

    A pod template of the user's own may lack the chart's labels, or have a `release` of its own
    that means something else. Such a pod may be one of another Airflow in the namespace: waiting
    for it in vain is the lesser evil. Only the chart's labels together tell of another release.

    Raises:
        KubeError: the cluster could not be asked.
    """
    found = api.list(object_path(namespace, "pods"), labels=_MADE_BY_EXECUTOR)
    return [pod for pod in found if not _is_of_another(pod, release)]


def _is_of_another(pod: Json, release: str) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return labels.get("tier") == "airflow" and labels.get("release", release) != release


def run_of(item: Json) -> RunKey | None:
    """Return the DAG run that a task pod of KubernetesExecutor works for.

    Its annotations hold the names. Those in its labels are changed until they are legal there, so
    that a pod would be taken for one of another run; the executor itself reads annotations only.
    """
    names = item["metadata"].get("annotations") or {}
    if names.get("dag_id") and names.get("run_id"):
        return RunKey(names["dag_id"], names["run_id"])
    return None


def runs_task(item: Json) -> bool:
    """Return whether a pod is one of KubernetesExecutor's, also where its run is not known."""
    name, _, value = _MADE_BY_EXECUTOR.partition("=")
    labels = item["metadata"].get("labels") or {}
    return labels.get(name) == value or run_of(item) is not None


def is_worker(item: Json) -> bool:
    """Return whether a pod is one of Celery's workers, which live longer than their tasks."""
    return component_of(item) == Component.WORKER and not runs_task(item)


def is_terminating(item: Json) -> bool:
    return item["metadata"].get("deletionTimestamp") is not None


def has_ended(item: Mapping[str, Any]) -> bool:
    return (item.get("status") or {}).get("phase") in _ENDED


def is_ready(item: Json) -> bool:
    conditions = (item.get("status") or {}).get("conditions") or []
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def container_status(item: Json) -> Mapping[str, Any] | None:
    """Return the status of the container that runs Airflow; None before there is one."""
    statuses = (item.get("status") or {}).get("containerStatuses") or []
    if not statuses:
        return None
    containers = (item.get("spec") or {}).get("containers") or statuses
    try:
        name = main_container(containers, component_of(item))["name"]
    except ActionFailed:
        return None
    return next((status for status in statuses if status["name"] == name), None)


def running_since(status: Mapping[str, Any] | None) -> str:
    """Return since when a container runs, as its status says; empty where it does not."""
    running = ((status or {}).get("state") or {}).get("running") or {}
    return str(running.get("startedAt") or "")


def trouble(item: Json) -> str:
    """Return why a pod does not run, empty where it does or where nothing is known."""
    status = item.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    every = [
        *(status.get("initContainerStatuses") or []),
        *(status.get("containerStatuses") or []),
    ]
    for container in every:
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason and reason not in ("PodInitializing", "ContainerCreating"):
            message = waiting.get("message", "")
            return f"{reason}: {message}" if message else str(reason)
    return ""
