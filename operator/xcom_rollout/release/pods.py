"""Pods of a release as Kubernetes returns them: what they are, and their state."""

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
"""Label that KubernetesExecutor sets on each of its pods, whatever its template contains."""


def list_pods(api: KubeApi, namespace: str, release: str) -> list[Json]:
    """Return the pods of the release that can read XCom.

    Raises:
        KubeError: the cluster could not be asked.
    """
    return readers_of(api.list(object_path(namespace, "pods"), labels=release_selector(release)))


def list_task_pods(api: KubeApi, namespace: str, release: str) -> list[Json]:
    """Return the task pods of KubernetesExecutor in a namespace, except those of another release.

    A user's own pod template may lack the chart's labels, or have a `release` label with another
    meaning. Such a pod may belong to another Airflow in the namespace: an unnecessary wait for it
    is the lesser evil. Only the chart's labels together prove that it is of another release.

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

    Its annotations have the names. Those in its labels are changed until they are valid label
    values, so that a pod would be mistaken for one of another run; the executor itself reads
    annotations only.
    """
    names = item["metadata"].get("annotations") or {}
    if names.get("dag_id") and names.get("run_id"):
        return RunKey(names["dag_id"], names["run_id"])
    return None


def runs_task(item: Json) -> bool:
    """Return whether KubernetesExecutor created a pod, even where its run is not known."""
    name, _, value = _MADE_BY_EXECUTOR.partition("=")
    labels = item["metadata"].get("labels") or {}
    return labels.get(name) == value or run_of(item) is not None


def is_worker(item: Json) -> bool:
    """Return whether a pod is a Celery worker, which runs longer than its tasks."""
    return component_of(item) == Component.WORKER and not runs_task(item)


def is_terminating(item: Json) -> bool:
    return item["metadata"].get("deletionTimestamp") is not None


def has_ended(item: Mapping[str, Any]) -> bool:
    return (item.get("status") or {}).get("phase") in _ENDED


def is_ready(item: Json) -> bool:
    conditions = (item.get("status") or {}).get("conditions") or []
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def container_status(item: Json) -> Mapping[str, Any] | None:
    """Return the status of the container that runs Airflow; None before it has one."""
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
    """Return since when a container runs, by its status; empty where it does not."""
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
