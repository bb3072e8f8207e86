"""A worker that began too early is told to end as its own grace period says."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

from kubernetes.client import Configuration

from nasty_http import NastyServer, Reply
from xcom_rollout.act.replace_pods import replace_pods
from xcom_rollout.clients.connection import Connection
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.decide.actions import ReplacePods
from xcom_rollout.decide.observed import Pod, Rollout
from xcom_rollout.wiring import Clients

T0 = datetime(2026, 1, 1, tzinfo=UTC)
WORKER = Pod("worker-0", "uid-0", "worker", T0, T0, ready=True, terminating=False)


def test_a_worker_is_deleted_by_its_uid_and_keeps_its_grace_period() -> None:
    with NastyServer() as server:
        server.answer("/api/v1/namespaces/airflow/pods/worker-0", Reply(body={}), method="DELETE")
        api = KubeApi(Connection(Configuration(host=server.url)))
        replace_pods(
            cast("Clients", SimpleNamespace(api=api)),
            cast("Rollout", SimpleNamespace(namespace="airflow")),
            ReplacePods((WORKER,)),
        )
        (request,) = server.asked()
    body = json.loads(request.body)
    assert (request.method, body["preconditions"]) == ("DELETE", {"uid": "uid-0"})
    assert "gracePeriodSeconds" not in body
