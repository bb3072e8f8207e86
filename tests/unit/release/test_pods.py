"""Task pods are found by what KubernetesExecutor itself puts on them."""

from typing import Any, cast

import pytest

from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.release.pods import list_task_pods


class Pods:
    """A namespace with pods of KubernetesExecutor."""

    def __init__(self, *labels: dict[str, str]) -> None:
        self.labels = labels
        self.asked: list[tuple[str, str]] = []

    def list(self, path: str, *, labels: str, **_: Any) -> list[Json]:
        self.asked.append((path, labels))
        return [
            {"metadata": {"name": str(n), "labels": each}} for n, each in enumerate(self.labels)
        ]


@pytest.mark.parametrize(
    ("labels", "ours"),
    [
        ({}, True),
        ({"tier": "airflow", "component": "worker", "release": "airflow"}, True),
        ({"release": "airflow"}, True),
        ({"release": "stable"}, True),
        ({"tier": "airflow"}, True),
        ({"tier": "batch", "release": "2026-11"}, True),
        ({"tier": "airflow", "component": "worker", "release": "another"}, False),
    ],
)
def test_only_the_charts_own_labels_tell_of_another_release(
    labels: dict[str, str], ours: bool
) -> None:
    pods = Pods(labels)
    found = list_task_pods(cast("KubeApi", pods), "tasks", "airflow")
    assert bool(found) is ours
    assert pods.asked == [("api/v1/namespaces/tasks/pods", "kubernetes_executor=True")]
