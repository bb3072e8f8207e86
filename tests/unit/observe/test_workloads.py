"""A workload is rolled when all that is left of it is new, ready and counted."""

from typing import Any

import pytest

from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.times import parse_time
from xcom_rollout.decide.observed import LoosePod
from xcom_rollout.observe.workloads import loose_pods, workload_of

LABELS = {"tier": "airflow", "component": "scheduler", "release": "airflow"}


def workload(replicas: int = 1, generation: int = 2, **status: int) -> Json:
    counted = {
        "observedGeneration": 2,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
    }
    return {
        "kind": "Deployment",
        "metadata": {"name": "airflow-scheduler", "generation": generation, "labels": LABELS},
        "spec": {"replicas": replicas, "selector": {"matchLabels": LABELS}},
        "status": counted | status,
    }


LONG_AGO = "2026-01-01T00:00:00Z"
LATELY = "2026-03-01T10:00:00Z"


def pod(name: str = "a", *, ready: bool = True, phase: str = "Running", **metadata: Any) -> Json:
    made = {"name": name, "labels": LABELS, "creationTimestamp": LONG_AGO}
    return {
        "metadata": {**made, **metadata},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


TASK = pod("task", annotations={"dag_id": "d", "run_id": "r"}, deletionTimestamp=LATELY)
GONE = pod("evicted", phase="Failed", ready=False)
OTHER = pod("other") | {"metadata": {"name": "other", "labels": {**LABELS, "component": "worker"}}}


@pytest.mark.parametrize(
    ("item", "pods"),
    [
        (workload(), [pod()]),
        (workload(2), [pod("a"), pod("b")]),
        (workload(0), []),
        (workload(), [pod(), TASK, GONE, OTHER]),
    ],
)
def test_rolled(item: Json, pods: list[Json]) -> None:
    assert workload_of(item, pods).rolled


@pytest.mark.parametrize(
    ("item", "pods", "expected"),
    [
        (workload(generation=3), [pod()], "has not been observed yet"),
        (workload(2, updatedReplicas=1), [pod("a"), pod("b")], "1 of 2 pods replaced"),
        (workload(readyReplicas=0), [pod(ready=False)], "0 of 1 new pods ready; a is not ready"),
        (workload(), [pod("a"), pod("b", deletionTimestamp=LATELY)], "b is terminating"),
        (workload(), [pod("a"), pod("b")], "1 pods are desired, 2 exist"),
        (workload(), [], "0 exist, 1 are counted"),
        (workload(unavailableReplicas=1), [pod()], "1 are unavailable"),
        (workload(replicas=1) | {"status": {}}, [], "has not been observed yet"),
    ],
)
def test_not_rolled(item: Json, pods: list[Json], expected: str) -> None:
    seen = workload_of(item, pods)
    assert not seen.rolled
    assert expected in seen.progress


def test_what_keeps_a_new_pod_from_running_is_told() -> None:
    stuck = pod("new", ready=False)
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    stuck["status"]["containerStatuses"] = [{"name": "scheduler", "state": {"waiting": waiting}}]
    seen = workload_of(workload(updatedReplicas=1, readyReplicas=0), [stuck])
    assert "new is not ready (ImagePullBackOff: no such image)" in seen.progress


def owned(kind: str, owner: str, name: str = "a", **labels: str) -> Json:
    """Return a pod that a controller has made; a StatefulSet's uid is its name here."""
    by = {"kind": kind, "name": owner, "uid": owner, "controller": True}
    return pod(name, ownerReferences=[by], labels={**LABELS, **labels})


def named(kind: str, name: str, **status: int) -> Json:
    item = workload(**status)
    metadata = {"name": name, "uid": name, "generation": 2, "labels": LABELS}
    return item | {"kind": kind, "metadata": metadata}


@pytest.mark.parametrize(
    "other",
    [
        owned("StatefulSet", "airflow-worker-heavy", "b"),
        owned("ReplicaSet", "airflow-worker-heavy-5d", "b", **{"pod-template-hash": "5d"}),
        owned("DaemonSet", "node-worker", "b"),
    ],
)
@pytest.mark.parametrize(
    ("kind", "mine"),
    [
        ("StatefulSet", owned("StatefulSet", "airflow-worker")),
        ("Deployment", owned("ReplicaSet", "airflow-worker-7f", **{"pod-template-hash": "7f"})),
        ("Deployment", owned("ReplicaSet", "adopted", **{"pod-template-hash": "7f"})),
        ("Deployment", pod()),
    ],
)
def test_a_pod_that_another_controller_made_is_none_of_its_own(
    kind: str, mine: Json, other: Json
) -> None:
    """The selector of the official chart's default set of workers selects those of the others."""
    item = named(kind, "airflow-worker")
    assert workload_of(item, [mine, other]).rolled
    assert not workload_of(item, [other]).rolled


def test_an_old_pod_of_a_deployment_is_its_own_whatever_its_replica_set() -> None:
    old = owned("ReplicaSet", "airflow-worker-6e", "old", **{"pod-template-hash": "6e"})
    new = owned("ReplicaSet", "airflow-worker-7f", "new", **{"pod-template-hash": "7f"})
    assert not workload_of(named("Deployment", "airflow-worker"), [old, new]).rolled


def test_of_a_component_that_is_not_the_charts_the_oldest_pod_is_told() -> None:
    """Nothing promises that an upgrade of the chart replaces its pods."""
    own = named("Deployment", "my-api")
    own["metadata"]["labels"] = {**LABELS, "component": "my-api"}
    pods = [pod("new", creationTimestamp=LATELY), pod("old", deletionTimestamp=LATELY)]
    assert workload_of(own, [*pods, pod()]).oldest_pod == parse_time(LONG_AGO)
    assert workload_of(own, pods).oldest_pod == parse_time(LATELY), "an ending one is waited for"
    assert workload_of(named("Deployment", "airflow-scheduler"), pods).oldest_pod is None


ON_DELETE = {"updateStrategy": {"type": "OnDelete"}}
PARTITION = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}


@pytest.mark.parametrize(
    ("kind", "spec", "why"),
    [
        ("StatefulSet", ON_DELETE, "updateStrategy is OnDelete"),
        ("StatefulSet", PARTITION, "rollingUpdate.partition is 2"),
        ("Deployment", {"paused": True}, "it is paused"),
        ("StatefulSet", {"updateStrategy": {"type": "RollingUpdate"}}, ""),
        ("StatefulSet", {"updateStrategy": {"rollingUpdate": {"partition": 0}}}, ""),
        ("StatefulSet", {**ON_DELETE, "replicas": 0}, ""),
        ("StatefulSet", {}, ""),
        ("Deployment", {"paused": False}, ""),
        ("Deployment", {}, ""),
    ],
)
def test_what_keeps_a_workload_from_replacing_its_pods_is_told(
    kind: str, spec: Json, why: str
) -> None:
    item = named(kind, "airflow-triggerer", updatedReplicas=0)
    item["spec"] |= spec
    seen = workload_of(item, [pod()])
    assert why in seen.wont_roll
    assert bool(why) is bool(seen.wont_roll)
    assert seen.wont_roll in seen.progress, "after a delivery, too"


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_stateful_set_is_counted_like_a_deployment(kind: str) -> None:
    assert workload_of(named(kind, "airflow-triggerer"), [pod()]).rolled
    half = workload_of(named(kind, "airflow-triggerer", updatedReplicas=0), [pod()])
    assert half.progress == "0 of 1 pods replaced"


def test_a_pod_that_no_workload_has_made_is_named() -> None:
    items = [named("Deployment", "airflow-worker")]
    daemon = owned("DaemonSet", "node-worker", "loose")
    found = loose_pods(items, [pod(), daemon, TASK, GONE])
    assert found == (LoosePod("loose", "DaemonSet", "node-worker"),)
    daemon["metadata"]["deletionTimestamp"] = LATELY
    assert loose_pods(items, [daemon]) == ()


@pytest.mark.parametrize(
    ("item", "kind", "maker"),
    [
        (owned("ReplicaSet", "my-api-5d", **{"pod-template-hash": "5d"}), "Deployment", "my-api"),
        (owned("ReplicaSet", "my-api"), "ReplicaSet", "my-api"),
        (owned("StatefulSet", "my-api"), "StatefulSet", "my-api"),
        (pod(), "", ""),
    ],
)
def test_what_has_made_a_loose_pod_is_told(item: Json, kind: str, maker: str) -> None:
    """Such as a Deployment whose pods have the labels of the release, and that has not."""
    assert loose_pods([], [item]) == (LoosePod("a", kind, maker),)


def unready(since: str, **state: Any) -> Json:
    item = pod(ready=False)
    item["status"]["conditions"][0]["lastTransitionTime"] = since
    item["status"]["containerStatuses"] = [{"name": "scheduler", "state": state}]
    return item


@pytest.mark.parametrize(
    ("pods", "since"),
    [
        ([pod()], None),
        ([pod(), pod("new", ready=False, creationTimestamp=LATELY)], LATELY),
        ([unready(LATELY)], LATELY),
        ([unready(LATELY, waiting={"reason": "CrashLoopBackOff"})], LONG_AGO),
        (
            [pod(deletionTimestamp="2026-03-01T10:00:30Z", deletionGracePeriodSeconds=30)],
            "2026-03-01T10:00:30Z",
        ),
    ],
    ids=["all ready", "a new one", "restarted", "crashing", "asked to end"],
)
def test_since_when_its_pods_are_on_the_way(pods: list[Json], since: str | None) -> None:
    found = workload_of(workload(), pods).restless_since
    assert found == (None if since is None else parse_time(since))


@pytest.mark.parametrize(("written", "expected"), [(None, 30), (600, 600), (0, 0)])
def test_the_grace_period_of_its_pods_is_that_of_the_template(
    written: int | None, expected: int
) -> None:
    item = workload()
    item["spec"]["template"] = {"spec": {"terminationGracePeriodSeconds": written}}
    assert workload_of(item, []).grace_seconds == expected


def test_a_deployment_without_pods_to_see_tells_when_it_last_made_progress() -> None:
    item = workload(2, updatedReplicas=1)
    item["status"]["conditions"] = [{"type": "Progressing", "lastUpdateTime": LATELY}]
    assert workload_of(item, []).restless_since == parse_time(LATELY)


ENDS: dict[str, Any] = {"deletionTimestamp": "2026-01-01T00:10:00Z"}


def revised(name: str, revision: str, **more: Any) -> Json:
    item = owned("StatefulSet", "airflow-worker", name)
    item["metadata"]["labels"]["controller-revision-hash"] = revision
    item["metadata"].update(more)
    return item


@pytest.mark.parametrize(
    ("item", "pods", "expected"),
    [
        (workload(), [pod()], False),
        (workload(), [pod(), pod("b", **ENDS)], True),
        (workload(), [pod(ready=False), pod("b", **ENDS)], False),
        (workload(replicas=2, updatedReplicas=1), [pod(), pod("c"), pod("b", **ENDS)], False),
    ],
)
def test_whether_nothing_but_pods_that_end_is_left_to_wait_for(
    item: Json, pods: list[Json], expected: bool
) -> None:
    assert workload_of(item, pods).only_ends == expected


@pytest.mark.parametrize(("staying", "expected"), [("new", True), ("old", False), ("", False)])
def test_a_stateful_set_counts_pods_that_end_and_is_judged_by_those_that_stay(
    staying: str, expected: bool
) -> None:
    item = named("StatefulSet", "airflow-worker", readyReplicas=2, updatedReplicas=2)
    item["status"] |= {"updateRevision": "new", "replicas": 2}
    pods = [revised("airflow-worker-0", staying), revised("airflow-worker-1", "new", **ENDS)]
    found = workload_of(item, pods)
    assert (found.rolled, found.only_ends) == (False, expected)
