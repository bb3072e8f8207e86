"""Where tasks run is told by all that Airflow goes by, and what cannot be told is said."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import pytest

from simulation import Simulation
from xcom_rollout.clients.errors import Forbidden
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.decide.ledger import Component, Delivered, Ledger, Proof, Verdict
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.observe.pods import pods_of
from xcom_rollout.observe.task_pods import Proven, TaskNamespaces, task_namespaces, task_pods
from xcom_rollout.observe.written import written_for_scheduler
from xcom_rollout.release.catalog import Catalog
from xcom_rollout.release.pods import run_of

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
        return [task_pod(each) for each in self.pods if each == namespace]

    def fact(self, name: str, derive: Callable[[Json], T]) -> T | None:
        return derive(self.maps[name]) if name in self.maps else None


def task_pod(name: str, *, phase: str = "Running", **annotations: str) -> Json:
    names = annotations or {"dag_id": "etl", "run_id": "scheduled__2026-01-01T00:00:00+00:00"}
    return {
        "metadata": {
            "name": name,
            "namespace": name,
            "labels": {"kubernetes_executor": "True", "dag_id": "etl", "run_id": "scheduled-1a2b"},
            "annotations": names,
        },
        "status": {"phase": phase},
    }


def scheduler(*env: Json, config: str = "cfg") -> Json:
    container = {
        "name": "scheduler",
        "env": list(env),
        "envFrom": [{"configMapRef": {"name": "fed"}}],
        "volumeMounts": [{"name": "config", "mountPath": "/opt/airflow/airflow.cfg"}],
    }
    volumes = [{"name": "config", "configMap": {"name": config}}]
    return {
        "metadata": {"name": "s", "namespace": "more", "labels": {"component": "scheduler"}},
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
    current: bool = True,
    needed: bool = True,
) -> tuple[set[str], str]:
    """Return the namespaces in which pods are found, of three that have one, and what is told."""
    maps = {"cfg": {"metadata": {"name": "cfg"}, "data": {"airflow.cfg": cfg}}}
    maps["fed"] = {"metadata": {"name": "fed"}, "data": fed or {}}
    maps["own"] = {"metadata": {"name": "own"}, "data": {"where": "tasks", "var": "$TEAM"}}
    cluster = Cluster((HOME, "tasks", "more"), shut, maps)
    written = written_for_scheduler([scheduler(*env)], cast("Catalog", cluster))
    proven = Proven(seen, current=current, needed=needed)
    found, unseen = task_pods(
        cast("KubeApi", cluster), HOME, "rel", task_namespaces(written, proven)
    )
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
    seen = proof(namespace="more")
    assert look(SINGLE, seen=seen, current=False) == ({HOME, "tasks", "more"}, "")


@pytest.mark.parametrize(
    ("cfg", "facts"),
    [
        (SINGLE, {"namespace": "more"}),
        (MULTI.format("False") + LIST, {"namespace": "more"}),
        (MULTI.format("False"), {"namespace": "", "multiNamespaceMode": "True"}),
        (
            MULTI.format("True") + "multi_namespace_mode_namespace_list = tasks\n",
            {
                "namespace": "",
                "multiNamespaceMode": "True",
                "multiNamespaceModeNamespaceList": "tasks,more",
            },
        ),
    ],
)
def test_a_namespace_that_was_taken_away_since_the_proof_holds_nothing(
    cfg: str, facts: dict[str, str]
) -> None:
    _, unseen = look(cfg, seen=proof(**facts), current=False, shut=["more"])
    assert unseen == ""
    if "more" in facts.values():
        _, unseen = look(cfg, seen=proof(**facts), shut=["more"])
        assert "'more', whose pods" in unseen, "the proof is of now: a Secret beats the file"


def test_a_namespace_that_is_written_counts_where_an_old_proof_turns_the_list_on() -> None:
    seen = proof(namespace="", multiNamespaceMode="True", multiNamespaceModeNamespaceList="old")
    told = look("[kubernetes_executor]\n" + LIST, seen=seen, current=False, shut=["more", "old"])
    assert told[0] == {HOME, "tasks"}
    assert "'more', whose pods" in told[1]


def field(path: str) -> Json:
    return {"name": NAMESPACE, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def key(name: str, *, optional: bool = False) -> Json:
    reference = {"name": "own", "key": name, "optional": optional}
    return {"name": NAMESPACE, "valueFrom": {"configMapKeyRef": reference}}


NAMESPACE = "AIRFLOW__KUBERNETES_EXECUTOR__NAMESPACE"


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        (field("metadata.namespace"), {HOME, "more"}),
        (key("where"), {HOME, "tasks"}),
        (key("absent", optional=True), {HOME}),
    ],
)
def test_what_the_cluster_itself_keeps_is_read(entry: Json, found: set[str]) -> None:
    assert look("[core]\n", entry) == (found, "")


@pytest.mark.parametrize(
    ("cfg", "env", "fed"),
    [
        ("[core]\n", (var("NAMESPACE", "$(TEAM)"),), {}),
        ("[core]\n", (), {NAMESPACE: "${TEAM}"}),
        ("[core]\n", (key("var"),), {}),
        ("[core]\n", (key("absent"),), {}),
        ("[core]\n", (field("metadata.name"),), {}),
        ("[kubernetes_executor]\nnamespace = $TEAM\n", (), {}),
        (MULTI.format("True") + "multi_namespace_mode_namespace_list = $TEAMS\n", (), {}),
    ],
)
def test_what_is_not_known_is_asked_of_the_proof(
    cfg: str, env: tuple[Json, ...], fed: dict[str, str]
) -> None:
    found, unseen = look(cfg, *env, fed=fed)
    assert found == {HOME}
    assert "no proof saw it" in unseen
    seen = proof(namespace="tasks", multiNamespaceModeNamespaceList="tasks")
    for current in (True, False):
        assert look(cfg, *env, fed=fed, seen=seen, current=current) == ({HOME, "tasks"}, "")


@pytest.mark.parametrize("cfg", ["[core]\n", MULTI.format("True") + "namespace = tasks\n"])
def test_a_proof_of_an_older_version_holds_nothing_that_is_delivered(cfg: str) -> None:
    listed = var("MULTI_NAMESPACE_MODE_NAMESPACE_LIST", None)
    _, unseen = look(cfg, listed, seen=proof())
    assert "no proof saw it" in unseen
    assert look(cfg, listed, seen=proof(), needed=False)[1] == ""


def test_a_list_that_nobody_knows_is_not_said_to_be_missing() -> None:
    listed = var("MULTI_NAMESPACE_MODE_NAMESPACE_LIST", None)
    seen = proof(namespace="", multiNamespaceMode="False")
    _, unseen = look(MULTI.format("True"), listed, seen=seen, current=False, needed=False)
    assert "no proof saw it" in unseen


def test_what_a_proof_can_tell_of_now() -> None:
    seen, rollout = proof(namespace="tasks"), Simulation([]).observe().rollout
    first = Proven.of(Ledger(proofs=(seen,)), rollout, "d")
    assert first == Proven(seen, current=True, needed=True)
    assert not Proven.of(Ledger(proofs=(seen,)), rollout, "other").current
    assert not Proven.of(Ledger(proofs=(seen,)), rollout, "").current
    assert not Proven.of(Ledger(), rollout, "").current
    live = Ledger(delivered=Delivered(BackendSettings(), 1, seen.observed_at))
    assert not Proven.of(live, rollout, "d").needed


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (look("namespace = tasks\n"), "ConfigMap cfg cannot be parsed"),
        (look("namespace = tasks\n", seen=proof(namespace=HOME)), "cannot be parsed"),
        (look(MULTI.format("True")), "tasks may run in any namespace"),
        (look(seen=proof(namespace="", multiNamespaceMode="1")), "tasks may run in any namespace"),
        (look("[core]\n", var("NAMESPACE", None)), "valueFrom"),
        (look("[core]\n", var("NAMESPACE", None), seen=proof()), "valueFrom"),
        (look(SINGLE, shut=["tasks"]), "'tasks', whose pods the operator is not allowed to list"),
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
    found, unseen = task_pods(
        cast("KubeApi", cluster), HOME, "rel", task_namespaces(written, Proven())
    )
    assert (len(found), unseen) == (1, "")


class Listed:
    def __init__(self, *pods: Json) -> None:
        self.pods = list(pods)

    def list(self, _: str, **__: Any) -> list[Json]:
        return self.pods


def unseen(*pods: Json) -> str:
    return task_pods(cast("KubeApi", Listed(*pods)), HOME, "airflow", TaskNamespaces())[1]


def test_a_task_pod_that_does_not_tell_its_run_is_not_taken_for_one_of_another_run() -> None:
    nameless = task_pod("p", role="arn")
    assert run_of(nameless) is None, "a label is no name of a run"
    assert pods_of([nameless]) == (), "nor is it a long-lived pod"
    said = unseen(task_pod("q"), nameless)
    assert "the pod p in p" in said
    assert "pod_mutation_hook" in said
    assert unseen(task_pod("q")) == ""
    assert unseen(task_pod("p", phase="Succeeded", role="arn")) == ""
