"""The template of the pods that run tasks, as KubernetesExecutor reads it."""

from collections.abc import Callable
from typing import TypeVar, cast

import pytest

from xcom_rollout.clients.errors import ActionFailed
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.ledger import Component
from xcom_rollout.release.catalog import Catalog
from xcom_rollout.release.objects import POD_TEMPLATE_KEY, task_template, template_of

T = TypeVar("T")


def config_map(**data: str) -> Json:
    return {"metadata": {"name": "airflow-config"}, "data": data}


def test_the_template_is_read() -> None:
    text = "metadata: {labels: {tier: airflow}}\nspec: {containers: [{name: base, image: a}]}"
    found = task_template(config_map(**{POD_TEMPLATE_KEY: text}))
    assert found is not None
    assert (found.component, found.main["image"]) == ("worker", "a")
    assert found.metadata == {"labels": {"tier": "airflow"}}


def test_another_config_map_has_none() -> None:
    assert task_template(config_map(other="x")) is None


@pytest.mark.parametrize("text", ["", "[]", "kind: Pod", "a: ["])
def test_what_is_no_template_is_named(text: str) -> None:
    with pytest.raises(ActionFailed, match=r"airflow-config, key pod_template_file\.yaml"):
        task_template(config_map(**{POD_TEMPLATE_KEY: text}))


class Maps:
    """The one ConfigMap of a release."""

    def __init__(self, **data: str) -> None:
        self.held = config_map(**data)

    def fact(self, name: str, derive: Callable[[Json], T]) -> T | None:
        return derive(self.held) if name == self.held["metadata"]["name"] else None


def workload(component: str) -> Json:
    container: Json = {"name": component, "image": f"of-{component}"}
    volumes: list[Json] = []
    if component == "scheduler":
        container["volumeMounts"] = [{"name": "config", "mountPath": "/opt/airflow/pod_templates"}]
        volumes = [{"name": "config", "configMap": {"name": "airflow-config"}}]
    return {
        "metadata": {"name": component, "labels": {"component": component}},
        "spec": {"template": {"spec": {"containers": [container], "volumes": volumes}}},
    }


TEMPLATE = {POD_TEMPLATE_KEY: "spec: {containers: [{name: base, image: of-tasks}]}"}
BOTH = [workload("scheduler"), workload("worker")]


def image(component: Component, workloads: list[Json], **data: str) -> tuple[str, str]:
    found = template_of(component, workloads, cast("Catalog", Maps(**data)))
    return found.component, found.main["image"]


def test_beside_workers_the_pods_of_tasks_have_a_template_of_their_own() -> None:
    assert image(Component.WORKER, BOTH, **TEMPLATE) == ("worker", "of-worker")
    assert image(Component.TASK_POD, BOTH, **TEMPLATE) == ("task-pod", "of-tasks")


def test_without_workers_it_is_that_of_the_component_worker() -> None:
    assert image(Component.WORKER, BOTH[:1], **TEMPLATE) == ("worker", "of-tasks")


@pytest.mark.parametrize("component", [Component.WORKER, Component.TASK_POD])
def test_where_nothing_that_the_scheduler_mounts_has_it_that_is_said(component: Component) -> None:
    workloads = BOTH if component is Component.TASK_POD else BOTH[:1]
    with pytest.raises(ActionFailed, match=r"no ConfigMap with the key pod_template_file\.yaml"):
        image(component, workloads)
