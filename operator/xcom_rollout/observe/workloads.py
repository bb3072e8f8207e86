"""The progress of a Deployment or StatefulSet in replacing its pods."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.times import parse_time
from xcom_rollout.decide.observed import LoosePod, Workload
from xcom_rollout.release.objects import component_of
from xcom_rollout.release.pods import has_ended, is_ready, is_terminating, runs_task, trouble
from xcom_rollout.release.readers import READERS


def workload_of(item: Json, pods: Sequence[Json]) -> Workload:
    """Return a workload, judged by its status and by the pods that really exist.

    The status alone is not enough: it no longer counts a pod that is terminating, which may keep
    running for minutes.
    """
    spec, status = item["spec"], item.get("status") or {}
    replicas = int(spec.get("replicas", 1))
    mine = [pod for pod in pods if is_pod_of(item, pod) and not runs_task(pod)]
    alive = [pod for pod in mine if not has_ended(pod)]
    wont_roll = _wont_roll(item["kind"], spec) if replicas else ""
    waits = _waits(item["metadata"], replicas, status, alive)
    if waits and wont_roll:
        waits.append(wont_roll)
    return Workload(
        kind=item["kind"],
        name=item["metadata"]["name"],
        component=component_of(item),
        replicas=replicas,
        rolled=not waits,
        wont_roll=wont_roll,
        oldest_pod=None if component_of(item) in READERS else _oldest(alive),
        progress="; ".join(waits) or f"{replicas} of {replicas} pods replaced",
        grace_seconds=_grace_seconds(spec),
        only_ends=bool(waits) and _only_ends(item, replicas, status, alive),
        restless_since=max(
            [*map(_on_the_way_since, filter(_is_on_the_way, alive)), *_progressed(status)],
            default=None,
        ),
    )


def _only_ends(item: Json, replicas: int, status: Json, alive: Sequence[Json]) -> bool:
    """Whether the workload is in its desired state except for pods that are about to end."""
    staying = [pod for pod in alive if not is_terminating(pod)]
    if len(staying) == len(alive):
        return False
    if item["kind"] != "StatefulSet":
        return not _waits(item["metadata"], replicas, status, staying)
    # Its status counts pods until they are gone.
    newest = status.get("updateRevision")
    observed = int(status.get("observedGeneration", 0))
    return (
        observed >= int(item["metadata"].get("generation", 0))
        and len(staying) == replicas
        and bool(newest)
        and all(is_ready(pod) and _revision(pod) == newest for pod in staying)
    )


def _revision(pod: Json) -> object:
    return (pod["metadata"].get("labels") or {}).get("controller-revision-hash")


def _grace_seconds(spec: Json) -> int:
    template = spec.get("template") or {}
    written = (template.get("spec") or {}).get("terminationGracePeriodSeconds")
    return 30 if written is None else int(written)


def _oldest(alive: Iterable[Json]) -> datetime | None:
    made = (
        parse_time(pod["metadata"]["creationTimestamp"]) for pod in alive if not is_terminating(pod)
    )
    return min(made, default=None)


def loose_pods(workloads: Sequence[Json], pods: Iterable[Json]) -> tuple[LoosePod, ...]:
    """Return the long-lived pods that none of these workloads has created."""
    return tuple(
        LoosePod(pod["metadata"]["name"], *_maker(pod))
        for pod in pods
        if not runs_task(pod)
        and not has_ended(pod)
        and not is_terminating(pod)
        and not any(is_pod_of(item, pod) for item in workloads)
    )


def _wont_roll(kind: str, spec: Json) -> str:
    if kind != "StatefulSet":
        return "it is paused: kubectl rollout resume" if spec.get("paused") else ""
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return "its updateStrategy is OnDelete: a pod is replaced only when somebody deletes it"
    partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    if partition:
        return (
            f"its updateStrategy.rollingUpdate.partition is {partition}: pods with a lower "
            "ordinal are not replaced"
        )
    return ""


def _progressed(status: Json) -> list[datetime]:
    """Return when a Deployment last made progress; a StatefulSet does not report it."""
    return [
        parse_time(entry["lastUpdateTime"])
        for entry in status.get("conditions") or []
        if entry["type"] == "Progressing" and entry.get("lastUpdateTime")
    ]


def _is_on_the_way(pod: Json) -> bool:
    return is_terminating(pod) or not is_ready(pod)


def _on_the_way_since(pod: Json) -> datetime:
    metadata = pod["metadata"]
    moments = [parse_time(metadata["creationTimestamp"])]
    if is_terminating(pod):
        # Its grace period counts: ten minutes for a worker that ends its tasks first.
        moments.append(parse_time(metadata["deletionTimestamp"]))
    elif not trouble(pod):
        # A crash-looping pod is ready now and then, without progress.
        moments += [
            parse_time(entry["lastTransitionTime"])
            for entry in (pod.get("status") or {}).get("conditions") or []
            if entry["type"] == "Ready" and entry.get("lastTransitionTime")
        ]
    return max(moments)


def _waits(metadata: Json, replicas: int, status: Json, alive: Sequence[Json]) -> list[str]:
    if int(status.get("observedGeneration", 0)) < int(metadata.get("generation", 0)):
        return ["its change has not been observed yet"]
    waits = []
    updated = int(status.get("updatedReplicas", 0))
    ready = int(status.get("readyReplicas", 0))
    if updated != replicas:
        waits.append(f"{min(updated, replicas)} of {replicas} pods replaced")
    elif ready != replicas:
        waits.append(f"{ready} of {replicas} new pods ready")
    for pod in alive:
        name = pod["metadata"]["name"]
        if is_terminating(pod):
            waits.append(f"{name} is terminating")
        elif not is_ready(pod):
            why = trouble(pod)
            waits.append(f"{name} is not ready" + (f" ({why})" if why else ""))
    staying = sum(not is_terminating(pod) for pod in alive)
    counted = int(status.get("replicas", 0))
    unavailable = int(status.get("unavailableReplicas", 0))
    if not waits and ({staying, counted} != {replicas} or unavailable):
        waits.append(
            f"{replicas} pods are desired, {staying} exist, {counted} are counted, {unavailable} "
            "are unavailable"
        )
    return waits


def is_pod_of(item: Json, pod: Json) -> bool:
    """Return whether a pod belongs to a workload: selected, and not created by another controller.

    A selector may match the pods of another workload, as that of the official chart's default set
    of workers does.
    """
    wanted = (item["spec"].get("selector") or {}).get("matchLabels") or {}
    labels = pod["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    owner = _controller(pod)
    if owner is None:
        return True
    if item["kind"] == "StatefulSet":
        return bool(owner["uid"] == item["metadata"].get("uid"))
    if owner["kind"] != "ReplicaSet":
        return False
    # A ReplicaSet that a Deployment has adopted may have any name.
    return _deployment(owner, labels) in ("", item["metadata"]["name"])


def _controller(pod: Json) -> Json | None:
    owners = pod["metadata"].get("ownerReferences") or []
    return next((each for each in owners if each.get("controller")), None)


def _deployment(replica_set: Json, labels: Json) -> str:
    """Return the Deployment that a ReplicaSet belongs to, by its name; empty for any other name."""
    name, _, suffix = replica_set["name"].rpartition("-")
    return str(name) if suffix == labels.get("pod-template-hash") else ""


def _maker(pod: Json) -> tuple[str, str]:
    """Return kind and name of a pod's creator; empty where it has none."""
    owner = _controller(pod)
    if owner is None:
        return "", ""
    if owner["kind"] == "ReplicaSet":
        deployment = _deployment(owner, pod["metadata"].get("labels") or {})
        if deployment:
            return "Deployment", deployment
    return owner["kind"], owner["name"]
