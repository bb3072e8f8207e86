"""Pods in the words of `decide`."""

from datetime import UTC, datetime
from typing import Any

from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.ledger import RunKey
from xcom_rollout.observe.pods import pods_of
from xcom_rollout.release.pods import trouble

STARTED = {"running": {"startedAt": "2026-01-01T00:00:05Z"}}


def pod(component: str = "worker", statuses: Any = (), **metadata: Any) -> Json:
    labels = {"component": component, **metadata.pop("labels", {})}
    return {
        "metadata": {
            "name": "p",
            "namespace": "airflow",
            "uid": "u",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": labels,
            **metadata,
        },
        "status": {"phase": "Running", "containerStatuses": list(statuses)},
    }


def test_a_task_pod_is_known_by_the_real_names_in_its_annotations() -> None:
    (seen,) = pods_of(
        [
            pod(
                labels={"dag_id": "safe", "run_id": "manual__2026-01-01T0000000000-safe"},
                annotations={"dag_id": "a b", "run_id": "manual__2026-01-01T00:00:00+00:00"},
            )
        ]
    )
    assert seen.run == RunKey("a b", "manual__2026-01-01T00:00:00+00:00")


def test_the_start_is_that_of_the_container_that_runs_airflow() -> None:
    sidecar = {"name": "log-groomer", "state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}}}
    (seen,) = pods_of([pod("scheduler", [sidecar, {"name": "scheduler", "state": STARTED}])])
    assert seen.started_at == datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert seen.run is None


def test_a_container_that_waits_again_has_no_start() -> None:
    crashed = {"name": "base", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    (seen,) = pods_of([pod(statuses=[crashed])])
    assert seen.started_at is None


def test_a_pod_that_cannot_be_placed_says_why() -> None:
    item = pod()
    item["status"]["conditions"] = [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/1 nodes: insufficient memory",
        }
    ]
    assert trouble(item) == "Unschedulable: 0/1 nodes: insufficient memory"


def test_a_pod_that_is_being_made_is_no_trouble() -> None:
    waiting = {"name": "base", "state": {"waiting": {"reason": "ContainerCreating"}}}
    assert trouble(pod(statuses=[waiting])) == ""


def test_a_terminating_pod_says_by_when_it_should_have_ended_and_where_it_runs() -> None:
    item = pod(deletionTimestamp="2026-01-01T00:01:00Z")
    item["spec"] = {"nodeName": "node-1"}
    (seen,) = pods_of([item])
    assert seen.terminating
    assert seen.gone_by == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    assert (seen.node, seen.namespace) == ("node-1", "airflow")
