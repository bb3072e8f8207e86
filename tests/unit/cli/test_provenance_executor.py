"""Whether `xbr provenance` looks at the template of task pods beside workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from xcom_rollout.cli.provenance import tasks_have_pods
from xcom_rollout.clients.kube import Json, KubeApi


class Cluster:
    """A scheduler whose airflow.cfg names an executor, and workers."""

    def __init__(self, executor: str) -> None:
        self.executor = executor

    def list(self, path: str, **_: Any) -> Sequence[Json]:
        if path.endswith("/deployments"):
            return [_deployment("scheduler"), _deployment("worker")]
        if path.endswith("/configmaps"):
            return [self._config()]
        return []

    def find(self, path: str) -> Json | None:
        config = self._config()
        return config if path.endswith(f"/configmaps/{config['metadata']['name']}") else None

    def _config(self) -> Json:
        metadata = {"name": "airflow-config", "uid": self.executor, "resourceVersion": "1"}
        return {
            "metadata": metadata,
            "data": {"airflow.cfg": f"[core]\nexecutor = {self.executor}\n"},
        }


def _deployment(component: str) -> Json:
    mount = {
        "name": "config",
        "mountPath": "/opt/airflow/airflow.cfg",
        "subPath": "airflow.cfg",
    }
    spec = {
        "containers": [{"name": component, "volumeMounts": [mount]}],
        "volumes": [{"name": "config", "configMap": {"name": "airflow-config"}}],
    }
    return {
        "kind": "Deployment",
        "metadata": {
            "name": component,
            "namespace": "airflow",
            "labels": {"tier": "airflow", "component": component, "release": "airflow"},
        },
        "spec": {"template": {"metadata": {}, "spec": spec}},
    }


@pytest.mark.parametrize(
    ("executor", "own"),
    [
        ("CeleryExecutor", False),
        ("CeleryKubernetesExecutor", True),
        ("CeleryExecutor,KubernetesExecutor", True),
        ("company.executors.Own", False),
    ],
)
def test_the_next_task_pod_counts_where_tasks_run_in_workers_and_in_pods(
    executor: str, own: bool
) -> None:
    cluster = cast("KubeApi", Cluster(executor))
    assert tasks_have_pods(cluster, "airflow", "airflow") == own
