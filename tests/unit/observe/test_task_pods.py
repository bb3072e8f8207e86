"""Where tasks run is told by all that Airflow goes by, and what cannot be told is said."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import pytest

from xcom_rollout.clients.errors import Forbidden
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.decide.ledger import Component, Proof, Verdict
from xcom_rollout.observe.task_pods import task_pods
from xcom_rollout.observe.written import written_for_scheduler
from xcom_rollout.release.catalog import Catalog

T = TypeVar("T")
HOME = "airflow"
FACT = "taskNamespaces."


class Cluster:
    """A task pod in each of some namespaces, of which some are shut; and ConfigMaps."""

    def __init__(self, pods: Sequence[str], shut: Sequence[str], maps: dict[str, Json]) -> None:
        self.pods, self.shut, self.maps = pods, shut, maps

    def list(self, path: str, **_: Any) -> list[Json]:
        namespace = path.split("/")[3]
        if namespace in self.shut:
            raise Forbidden(f"pods is forbidden in {namespace}")
        return [{"metadata": {"name": each}} for each in self.pods if each == namespace]

    def fact(self, name: str, derive: Callable[[Json], T]) -> T | None:
        return derive(self.maps[name]) if name in self.maps else None


def scheduler(*env: Json, config: str = "cfg") -> Json:
    container = {
        "name": "scheduler",
        "env": list(env),
        "envFrom": [{"configMapRef": {"name": "fed"}}],
        "volumeMounts": [{"name": "config", "mountPath": "/opt/airflow/airflow.cfg"}],
    }
    volumes = [{"name": "config", "configMap": {"name": config}}]
    return {
        "metadata": {"name": "s", "labels": {"component": "scheduler"}},
        "spec": {"template": {"spec": {"containers": [container], "volumes": volumes}}},
    }


def proof(**facts: str) -> Proof:
    seen = tuple((FACT + name, value) for name, value in facts.items())
    made = datetime(2026, 1, 1, tzinfo=UTC)
    return Proof(Component.SCHEDULER, "d", 1, Verdict.PASS, made, "job", facts=seen)


def look(
    cfg: str = "[core]\n",
    *env: Json,
    fed: dict[str, str] | None = None,
    seen: Proof | None = None,
    shut: Sequence[str] = (),
) -> tuple[set[str], str]:
    """Return the namespaces in which pods are found, of three that have one, and what is told."""
    maps = {"cfg": {"metadata": {"name": "cfg"}, "data": {"airflow.cfg": cfg}}}
    maps["fed"] = {"metadata": {"name": "fed"}, "data": fed or {}}
    cluster = Cluster((HOME, "tasks", "more"), shut, maps)
    written = written_for_scheduler([scheduler(*env)], cast("Catalog", cluster))
    found, unseen = task_pods(cast("KubeApi", cluster), HOME, "rel", written, seen)
    return {pod["metadata"]["name"] for pod in found}, unseen


def var(option: str, value: str | None, section: str = "KUBERNETES_EXECUTOR") -> Json:
    name = f"AIRFLOW__{section}__{option}"
    if value is None:
        return {"name": name, "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    return {"name": name, "value": value}


MULTI = "[kubernetes_executor]\nmulti_namespace_mode = {}\n"
LIST = "multi_namespace_mode_namespace_list = tasks, more\n"
SINGLE = "[kubernetes_executor]\nnamespace = tasks\n"


@pytest.mark.parametrize(
    ("cfg", "found"),
    [
        ("[core]\n", {HOME}),
        (SINGLE, {HOME, "tasks"}),
        ("[kubernetes]\nnamespace = tasks\n", {HOME, "tasks"}),
        (
            "[kubernetes_executor]\npod_template_file = x\n[kubernetes]\nnamespace = tasks\n",
            {HOME, "tasks"},
        ),
        (MULTI.format("True") + LIST, {HOME, "tasks", "more"}),
        (MULTI.format("t  # all of them") + LIST, {HOME, "tasks", "more"}),
        (MULTI.format("False") + LIST, {HOME}),
    ],
)
def test_the_file_names_the_namespaces(cfg: str, found: set[str]) -> None:
    assert look(cfg) == (found, "")


@pytest.mark.parametrize("section", ["KUBERNETES_EXECUTOR", "KUBERNETES"])
def test_a_variable_beats_the_file(section: str) -> None:
    assert look(SINGLE, var("NAMESPACE", "more", section)) == ({HOME, "more"}, "")


def test_a_variable_turns_on_what_the_file_lists() -> None:
    on = var("MULTI_NAMESPACE_MODE", "True")
    assert look(MULTI.format("False") + LIST, on) == ({HOME, "tasks", "more"}, "")


def test_a_config_map_that_feeds_the_environment_counts_too() -> None:
    fed = {"AIRFLOW__KUBERNETES_EXECUTOR__NAMESPACE": "tasks"}
    assert look(fed=fed) == ({HOME, "tasks"}, "")


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"namespace": "tasks"}, {HOME, "tasks"}),
        ({"namespace": HOME, "multiNamespaceMode": "False"}, {HOME}),
        (
            {
                "namespace": "",
                "multiNamespaceMode": "true",
                "multiNamespaceModeNamespaceList": "tasks,more",
            },
            {HOME, "tasks", "more"},
        ),
    ],
)
def test_the_proof_knows_what_no_manifest_says(facts: dict[str, str], found: set[str]) -> None:
    assert look(seen=proof(**facts)) == (found, "")
    hidden = var("NAMESPACE", None)
    assert look("[core]\n", hidden, seen=proof(**facts)) == (found, ""), "out of a Secret"


def test_what_is_written_after_the_proof_counts_beside_it() -> None:
    assert look(SINGLE, seen=proof(namespace="more")) == ({HOME, "tasks", "more"}, "")


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (look("namespace = tasks\n"), "ConfigMap cfg cannot be parsed"),
        (look("namespace = tasks\n", seen=proof(namespace=HOME)), "cannot be parsed"),
        (look(MULTI.format("True")), "tasks may run in any namespace"),
        (look(seen=proof(namespace="", multiNamespaceMode="1")), "tasks may run in any namespace"),
        (look("[core]\n", var("NAMESPACE", None)), "valueFrom"),
        (look("[core]\n", var("NAMESPACE", None), seen=proof()), "valueFrom"),
        (look(SINGLE, shut=["tasks"]), "'tasks', whose pods the operator may not list"),
        (look(seen=proof(namespace="tasks"), shut=["tasks"]), "'tasks', whose pods"),
    ],
)
def test_what_cannot_be_seen_is_said(told: tuple[set[str], str], words: str) -> None:
    found, unseen = told
    assert found == {HOME}, "what can be seen is"
    assert words in unseen


def test_without_a_scheduler_there_is_the_namespace_of_the_release() -> None:
    cluster = Cluster((HOME,), (), {})
    written = written_for_scheduler([], cast("Catalog", cluster))
    found, unseen = task_pods(cast("KubeApi", cluster), HOME, "rel", written, None)
    assert (len(found), unseen) == (1, "")
