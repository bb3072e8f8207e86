"""The pods of a release that can read XCom, in the terms of `decide`."""

from collections.abc import Iterable

from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.times import parse_time, time_or_none
from xcom_rollout.decide.observed import Pod
from xcom_rollout.release.objects import component_of
from xcom_rollout.release.pods import (
    container_status,
    has_ended,
    is_ready,
    is_terminating,
    run_of,
    running_since,
    runs_task,
)


def pods_of(items: Iterable[Json]) -> tuple[Pod, ...]:
    """Return the pods in the terms of `decide`, each once: some are listed in two ways.

    Without those of tasks whose run is not known (`task_pods`): they are not long-lived.
    """
    known = (item for item in items if run_of(item) is not None or not runs_task(item))
    found = {pod.uid: pod for pod in map(_pod, known)}
    return tuple(sorted(found.values(), key=lambda pod: pod.name))


def _pod(item: Json) -> Pod:
    metadata = item["metadata"]
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        component=component_of(item),
        created_at=parse_time(metadata["creationTimestamp"]),
        started_at=time_or_none(running_since(container_status(item))),
        ready=is_ready(item),
        terminating=is_terminating(item),
        run=run_of(item),
        ended=has_ended(item),
        namespace=metadata["namespace"],
        node=str((item.get("spec") or {}).get("nodeName") or ""),
        # Kubernetes sets it to the moment at which the grace period is over.
        gone_by=time_or_none(metadata.get("deletionTimestamp")),
    )
