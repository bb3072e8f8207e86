"""Task pods are ended as their own grace period says, and no other pod of their name is."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest
from kubernetes.client import Configuration

from nasty_http import NastyServer, Reply
from xcom_rollout.act.delete_pods import delete_pods
from xcom_rollout.clients.connection import Connection
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.decide.actions import DeletePods, TaskPod
from xcom_rollout.decide.ledger import Ledger, RunKey
from xcom_rollout.decide.observed import Observed
from xcom_rollout.wiring import Clients

PODS = tuple(TaskPod("airflow", f"task-{n}", f"uid-{n}", RunKey("dag", f"run{n}")) for n in (1, 2))
OBSERVED = cast("Observed", SimpleNamespace(ledger=Ledger()))


@pytest.fixture
def server() -> Iterator[NastyServer]:
    with NastyServer() as server:
        yield server


def world_of(server: NastyServer) -> Clients:
    api = KubeApi(Connection(Configuration(host=server.url)))
    return cast("Clients", SimpleNamespace(api=api))


def test_the_pod_of_an_old_attempt_keeps_its_own_grace_period_so_that_on_kill_runs(
    server: NastyServer,
) -> None:
    for pod in PODS:
        path = f"/api/v1/namespaces/airflow/pods/{pod.name}"
        server.answer(path, Reply(body={}), method="DELETE")
    delete_pods(world_of(server), OBSERVED, DeletePods(PODS))
    asked = {request.path: json.loads(request.body) for request in server.asked()}
    assert [path.rpartition("/")[2] for path in sorted(asked)] == ["task-1", "task-2"]
    for request in server.asked():
        assert request.method == "DELETE"
        assert "grace" not in request.query.lower()
    for body in asked.values():
        assert "gracePeriodSeconds" not in body, "a period that is given takes the pod's place"


def test_a_pod_is_ended_by_its_uid_for_its_name_may_stand_for_another_by_now(
    server: NastyServer,
) -> None:
    (pod, _) = PODS
    server.answer("/api/v1/namespaces/airflow/pods/task-1", Reply(409, {"reason": "Conflict"}))
    delete_pods(world_of(server), OBSERVED, DeletePods((pod,)))
    (request,) = server.asked()
    assert json.loads(request.body)["preconditions"] == {"uid": "uid-1"}
