"""The pods of a release that can read XCom."""

from collections.abc import Iterable, Mapping
from typing import Any

from xcom_rollout.clients.airflow_objects import component_of, main_container, release_selector
from xcom_rollout.clients.errors import ActionFailed
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.times import parse_time, time_or_none
from xcom_rollout.decide.ledger import RunKey
from xcom_rollout.decide.observed import Pod

_ENDED = ("Succeeded", "Failed")


def list_pods(api: KubeApi, namespace: str, release: str) -> list[Json]:
    """Return the pods of the release that can read XCom.

    Raises:
        KubeError: the cluster could not be asked.
    """
    return api.list(f"api/v1/namespaces/{namespace}/pods", labels=release_selector(release))


def pods_of(items: Iterable[Json]) -> tuple[Pod, ...]:
    """Return the pods in the words of `decide`."""
    return tuple(sorted((_pod(item) for item in items), key=lambda pod: pod.name))


def run_of(item: Json) -> RunKey | None:
    """Return the DAG run that a task pod of KubernetesExecutor works for.

    The annotations hold the real names; those in the labels are made safe for labels.
    """
    for names in (item["metadata"].get("annotations"), item["metadata"].get("labels")):
        if names and names.get("dag_id") and names.get("run_id"):
            return RunKey(names["dag_id"], names["run_id"])
    return None


def is_terminating(item: Json) -> bool:
    return item["metadata"].get("deletionTimestamp") is not None


def has_ended(item: Json) -> bool:
    return (item.get("status") or {}).get("phase") in _ENDED


def is_ready(item: Json) -> bool:
    conditions = (item.get("status") or {}).get("conditions") or []
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def container_status(item: Json) -> Mapping[str, Any] | None:
    """Return the status of the container that runs Airflow; None before there is one."""
    statuses = (item.get("status") or {}).get("containerStatuses") or []
    if not statuses:
        return None
    try:
        return main_container(statuses, component_of(item))
    except ActionFailed:
        return None


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


def _pod(item: Json) -> Pod:
    metadata = item["metadata"]
    status = container_status(item) or {}
    running = (status.get("state") or {}).get("running") or {}
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        component=component_of(item),
        created_at=parse_time(metadata["creationTimestamp"]),
        started_at=time_or_none(running.get("startedAt")),
        ready=is_ready(item),
        terminating=is_terminating(item),
        run=run_of(item),
        ended=has_ended(item),
    )
