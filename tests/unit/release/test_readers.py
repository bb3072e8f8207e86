"""Whatever runs Airflow under the labels of a release can read XCom, known by name or not."""

from typing import Any, cast

import pytest

from xcom_rollout.api.names import LABEL_ROLLOUT
from xcom_rollout.cache.selectors import matches, parse_selector
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.decide.observed import Pod
from xcom_rollout.observe.pods import pods_of
from xcom_rollout.release.objects import list_workloads, release_selector, workload_template
from xcom_rollout.release.pods import list_pods

CFG = {"name": "config", "mountPath": "/opt/airflow/airflow.cfg", "subPath": "airflow.cfg"}
RUNS = {"state": {"running": {"startedAt": "2026-01-01T00:00:05Z"}}}


def container(name: str, image: str = "other:1", **more: Any) -> Json:
    return {"name": name, "image": image, **more}


AIRFLOW = container("scheduler", "airflow:2", volumeMounts=[CFG])


class Release:
    """An API server with pods and Deployments made of the same templates."""

    def __init__(self, *components: tuple[str, list[Json]], **metadata: Any) -> None:
        self.asked: list[str] = []
        self.pods: list[Json] = []
        self.deployments: list[Json] = []
        for component, containers in components:
            labels = {"tier": "airflow", "release": "air", "component": component}
            meta = {"name": component, "uid": component, "namespace": "a", "labels": labels}
            meta["creationTimestamp"] = "2026-01-01T00:00:00Z"
            spec = {"containers": containers}
            statuses = [{"name": each["name"], **RUNS} for each in containers]
            status = {"phase": "Running", "containerStatuses": statuses}
            extra = {} if component == "scheduler" else metadata
            self.pods.append({"metadata": meta | extra, "spec": spec, "status": status})
            template = {"metadata": {"labels": labels}, "spec": spec}
            self.deployments.append({"metadata": meta, "spec": {"template": template}})

    def list(self, path: str, *, labels: str, **_: Any) -> list[Json]:
        self.asked.append(labels)
        found = {"pods": self.pods, "deployments": self.deployments}
        listed = found.get(path.rpartition("/")[2], [])
        wanted = parse_selector(labels)
        return [item for item in listed if matches(wanted, item["metadata"]["labels"])]


def workloads(release: Release) -> list[str]:
    listed = list_workloads(cast("KubeApi", release), "a", "air")
    return [item["metadata"]["name"] for item in listed]


def pods(release: Release) -> list[Pod]:
    return [*pods_of(list_pods(cast("KubeApi", release), "a", "air"))]


@pytest.mark.parametrize(
    ("component", "containers"),
    [
        ("execution-api-server", [container("execution-api-server", "airflow:3")]),
        ("edge-worker", [container("edge-worker")]),
        ("my-api", [container("my-api", volumeMounts=[CFG])]),
        ("my-api", [container("api", "airflow:2"), container("proxy")]),
        ("my-api", [container("api", env=[{"name": "AIRFLOW__CORE__FERNET_KEY"}])]),
        ("my-api", [container("api", volumeMounts=[{"name": "c", "mountPath": "/x/airflow.cfg"}])]),
        ("", [container("api", "airflow:2")]),
    ],
)
def test_a_component_that_runs_airflow_is_waited_for_and_looked_into(
    component: str, containers: list[Json]
) -> None:
    release = Release(("scheduler", [AIRFLOW]), (component, containers))
    assert workloads(release) == sorted([component, "scheduler"])
    assert [pod.name for pod in pods(release)] == sorted([component, "scheduler"])
    assert set(release.asked) == {release_selector("air")}


@pytest.mark.parametrize(
    "component",
    ["statsd", "redis", "pgbouncer", "flower", "airflow-cleanup-pods", "database-cleanup"],
)
def test_a_component_that_is_known_to_read_no_xcom_is_left_out(component: str) -> None:
    release = Release(("scheduler", [AIRFLOW]), (component, [AIRFLOW]))
    assert workloads(release) == ["scheduler"]
    assert [pod.name for pod in pods(release)] == ["scheduler"]


def test_an_unknown_component_that_runs_something_else_is_left_out() -> None:
    other = [container("exporter", env=[{"name": "PORT", "value": "1"}])]
    assert workloads(Release(("scheduler", [AIRFLOW]), ("exporter", other))) == ["scheduler"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"ownerReferences": [{"kind": "Job", "name": "migrations"}]},
        {
            "labels": {
                "tier": "airflow",
                "release": "air",
                "component": "xcom-probe",
                LABEL_ROLLOUT: "demo",
            }
        },
    ],
)
def test_pods_of_jobs_are_left_out(metadata: dict[str, Any]) -> None:
    release = Release(("scheduler", [AIRFLOW]), ("job", [AIRFLOW]), **metadata)
    assert [pod.name for pod in pods(release)] == ["scheduler"]


@pytest.mark.parametrize(
    ("containers", "main"),
    [
        ([container("proxy"), container("api", volumeMounts=[CFG])], "api"),
        ([container("api", volumeMounts=[CFG]), container("beat", volumeMounts=[CFG])], "api"),
        ([container("api", "airflow:2"), container("proxy")], "api"),
        ([container("proxy"), container("my-api", "airflow:2")], "my-api"),
    ],
)
def test_of_several_containers_the_one_that_runs_airflow_is_looked_into(
    containers: list[Json], main: str
) -> None:
    release = Release(("scheduler", [AIRFLOW]), ("my-api", containers))
    assert all(pod.started_at is not None for pod in pods(release)), "else nobody looks into it"
    item = list_workloads(cast("KubeApi", release), "a", "air")[0]
    assert workload_template(item).main["name"] == main
