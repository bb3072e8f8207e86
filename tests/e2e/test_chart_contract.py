"""The Airflow chart of the tests does what the official one was seen to do, where it matters.

Each row of what was found on the official chart is a case: what the values are, where to look in
the manifest, and what is there. These need Helm and no cluster.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import tools
from harness.rendered import KEYLESS, Objects, helm_template, render
from harness.shell import run
from harness.stack import AIRFLOW_2, AIRFLOW_3, CHART, Instance, object_storage_values

Check = Callable[[Any], bool]
ABSENT = "absent"
"""Nothing is there."""
RENEWED = "renewed"
"""Another text at each render of the same values."""
CELERY = {"executor": "CeleryExecutor"}
DEPLOYED = {**CELERY, "workers": {"persistence": {"enabled": False}}}
SPLIT = {"splitApiServersIntoCoreAndExecution": True}
HOOKS = {"migrateDatabaseJob": {"useHelmHooks": True}, "createUserJob": {"useHelmHooks": True}}
# The stack brings its DAGs as a volume of its own.
BARE = {"volumes": None, "volumeMounts": None}
GIT = {
    **BARE,
    "dags": {"gitSync": {"enabled": True, "repo": "https://git.invalid/dags", "subPath": "a"}},
}
BUNDLES = [
    {"name": "local", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle"},
    {"name": "git", "classpath": "airflow.providers.git.bundles.git.GitDagBundle"},
]
SETS = {**CELERY, "workers": {"celery": {"sets": [{"name": "big", "queue": "big", "replicas": 2}]}}}
OWN_TEMPLATE = "metadata: {labels: {team: a}}\nspec: {containers: [{name: base}]}"
SPEC = ("spec", "template", "spec")


@dataclass(frozen=True)
class Fact:
    """One thing that the chart does.

    Attributes:
        row: of the table of what breaks, or `holds`.
        where: kind and name (without the release's) of an object, and the way to a member of it. In
            a list, a text names the item; `yaml` goes into a text that is YAML.
        there: what is there; a part of it where it is a mapping.
    """

    row: str
    where: tuple[Any, ...]
    there: Any
    values: dict[str, Any] = field(default_factory=dict)
    instance: Instance = AIRFLOW_3

    def __str__(self) -> str:
        return f"{self.row}: Airflow {self.instance.major} {' '.join(map(str, self.where))}"


def text(pattern: str) -> Check:
    """A text in which this is found."""
    return lambda found: re.search(pattern, found, re.MULTILINE) is not None


def secret(pattern: str) -> Check:
    """A text in base64 in which this is found."""
    return lambda found: text(pattern)(base64.b64decode(found).decode())


def cfg(pattern: str, **more: Any) -> dict[str, Any]:
    """Fields of a fact about airflow.cfg."""
    return {"where": ("ConfigMap", "config", "data", "airflow.cfg"), "there": text(pattern), **more}


def labelled(component: str, kind: str = "Deployment", **more: Any) -> list[Fact]:
    """What makes a component one that the operator finds and handles."""
    instance: Instance = more.get("instance", AIRFLOW_3)
    labels = {"tier": "airflow", "component": component, "release": instance.release}
    pods = ("spec", "template", "metadata")
    return [
        Fact("holds", (kind, component, "metadata", "labels"), labels, **more),
        Fact("holds", (kind, component, *pods, "labels"), labels, **more),
        Fact("holds", (kind, component, *SPEC, "containers", component, "name"), component, **more),
        Fact(
            "holds",
            (kind, component, *pods, "annotations", "checksum/airflow-config"),
            text("^[0-9a-f]{64}$"),
            **more,
        ),
    ]


TASKS = ("ConfigMap", "config", "data", "pod_template_file.yaml", "yaml")
ONCE = {"helm.sh/hook": "pre-install"}
HOOKED = {"helm.sh/hook": "post-install,post-upgrade"}
UPSTREAM = {"fullnameOverride": AIRFLOW_3.release, "labels": {"team": "data"}}

FACTS = [
    *labelled("scheduler", instance=AIRFLOW_2),
    *labelled("webserver", instance=AIRFLOW_2),
    *labelled("triggerer", instance=AIRFLOW_2),
    *labelled("scheduler"),
    *labelled("dag-processor"),
    *labelled("triggerer"),
    *labelled("triggerer", "StatefulSet", values={"triggerer": {"persistence": {"enabled": True}}}),
    *labelled("api-server"),
    *labelled("worker", "StatefulSet", values=CELERY),
    *labelled("worker", values=DEPLOYED),
    # A worker takes no more when it is told to end, and goes on with its tasks.
    *(
        Fact("holds", ("StatefulSet", "worker", *SPEC, *path), there, CELERY)
        for path, there in (
            (("containers", "worker", "env", "DUMB_INIT_SETSID"), {"value": "0"}),
            (("containers", "worker", "args"), ["bash", "-c", "exec airflow celery worker"]),
            (("containers", "worker", "command"), ABSENT),
            (
                ("containers", "worker", "livenessProbe", "exec", "command", 2),
                text(r"exec /entrypoint python -m celery --app \S+ inspect ping -d \S+hostname"),
            ),
            (("containers", "worker", "livenessProbe", "periodSeconds"), 60),
        )
    ),
    Fact(
        "holds",
        ("StatefulSet", "worker", *SPEC, "terminationGracePeriodSeconds"),
        600,
        {**CELERY, "workers": {"terminationGracePeriodSeconds": None}},
    ),
    Fact(
        "holds",
        ("Deployment", "worker", "spec", "strategy", "rollingUpdate"),
        {"maxSurge": "100%", "maxUnavailable": "50%"},
        DEPLOYED,
    ),
    Fact(
        "holds",
        ("StatefulSet", "worker-big", *SPEC, "containers", "worker", "args", 2),
        text("^exec airflow celery worker -q big$"),
        SETS,
    ),
    *labelled("scheduler", values={"useStandardNaming": True}),
    *labelled("scheduler", values=UPSTREAM),
    Fact("holds", (*TASKS, "metadata", "labels"), {"tier": "airflow", "component": "worker"}),
    Fact("holds", (*TASKS, "spec", "containers", "base", "name"), "base"),
    Fact("holds", **cfg(r"^xcom_backend = airflow\..*$", values=object_storage_values(1048576))),
    Fact(
        "holds",
        **cfg(r"^xcom_objectstorage_threshold = 1048576$", values=object_storage_values(1048576)),
    ),
    Fact("holds", ("Service", "webserver", "spec", "ports", 0, "port"), 8080, instance=AIRFLOW_2),
    Fact("holds", ("Service", "api-server", "spec", "ports", 0, "port"), 8080),
    Fact("holds", ("Job", "run-airflow-migrations", "metadata", "annotations"), HOOKED, HOOKS),
    Fact("holds", ("Job", "create-user", "metadata", "annotations"), HOOKED, HOOKS),
    Fact("holds", ("Secret", "fernet-key", "metadata", "annotations"), ONCE, KEYLESS[AIRFLOW_3]),
    Fact("holds", ("Secret", "redis-password", "metadata", "annotations"), ONCE, CELERY),
    Fact("holds", ("Secret", "broker-url", "metadata", "annotations"), ONCE, CELERY),
    Fact(
        "holds", ("Secret", "broker-url", "data", "connection"), secret("^redis://:.+@.+"), CELERY
    ),
    Fact("1", ("Secret", "jwt-secret", "data", "jwt-secret"), RENEWED, KEYLESS[AIRFLOW_3]),
    Fact("1", ("Secret", "jwt-secret", "metadata", "annotations"), ABSENT, KEYLESS[AIRFLOW_3]),
    Fact(
        "2",
        (*TASKS, "spec", "containers", "base", "env", "AIRFLOW__API_AUTH__JWT_SECRET", "valueFrom"),
        {"secretKeyRef": {"name": "airflow3-jwt-secret", "key": "jwt-secret"}},
        KEYLESS[AIRFLOW_3],
    ),
    Fact("3", ("Secret", "api-secret-key", "data", "api-secret-key"), RENEWED, KEYLESS[AIRFLOW_3]),
    Fact(
        "3",
        ("Secret", "webserver-secret-key", "data", "webserver-secret-key"),
        RENEWED,
        KEYLESS[AIRFLOW_2],
        AIRFLOW_2,
    ),
    Fact(
        "4",
        **cfg(
            "^namespace = tasks$",
            values={"config": {"kubernetes_executor": {"namespace": "tasks"}}},
        ),
    ),
    Fact("4", **cfg("^multi_namespace_mode = True$", values={"multiNamespaceMode": True})),
    Fact("4", (*TASKS, "metadata"), {"labels": {"team": "a"}}, {"podTemplate": OWN_TEMPLATE}),
    Fact("4", (*TASKS, "metadata", "labels", "tier"), ABSENT, {"podTemplate": OWN_TEMPLATE}),
    Fact(
        "5",
        ("ClusterRole", "pod-launcher-role", "rules", 0, "resources"),
        ["pods"],
        {"multiNamespaceMode": True},
    ),
    Fact(
        "5",
        ("ClusterRoleBinding", "pod-launcher-rolebinding", "roleRef", "kind"),
        "ClusterRole",
        {"multiNamespaceMode": True},
    ),
    Fact("5", ("Role", "pod-launcher-role"), ABSENT, {"multiNamespaceMode": True}),
    Fact(
        "5",
        ("PriorityClass", "high", "value"),
        1000000,
        {"priorityClasses": [{"name": "high", "value": 1000000}]},
    ),
    Fact(
        "5",
        ("ResourceQuota", "resource-quota", "spec", "hard"),
        {"pods": 9},
        {"quotas": {"pods": 9}},
    ),
    Fact(
        "5",
        ("LimitRange", "limit-range", "spec", "limits", 0, "type"),
        "Container",
        {"limits": [{"type": "Container", "max": {"cpu": "2"}}]},
    ),
    Fact(
        "5",
        ("ScaledObject", "worker", "spec", "scaleTargetRef"),
        {"kind": "StatefulSet", "name": "airflow3-worker"},
        {**CELERY, "workers": {"keda": {"enabled": True}}},
    ),
    Fact(
        "5",
        ("StatefulSet", "worker", "spec", "replicas"),
        ABSENT,
        {**CELERY, "workers": {"keda": {"enabled": True}}},
    ),
    Fact(
        "6",
        ("Deployment", "webserver", *SPEC, "containers", 0, "readinessProbe", "httpGet", "path"),
        "/team/airflow/health",
        {"config": {"webserver": {"base_url": "https://a.invalid/team/airflow/"}}},
        AIRFLOW_2,
    ),
    Fact(
        "7",
        ("NetworkPolicy", "pgbouncer-policy", "spec", "ingress", 0, "from"),
        [{"podSelector": {"matchLabels": {"release": "airflow3", "tier": "airflow"}}}],
        {"networkPolicies": {"enabled": True}, "pgbouncer": {"enabled": True}},
    ),
    Fact(
        "7",
        ("Secret", "metadata", "data", "connection"),
        secret("@airflow3-pgbouncer.airflow3:6543/airflow3-metadata"),
        {"pgbouncer": {"enabled": True}},
    ),
    Fact(
        "7",
        ("Deployment", "pgbouncer", "metadata", "labels"),
        {"tier": "airflow", "component": "pgbouncer"},
        {"pgbouncer": {"enabled": True}},
    ),
    Fact(
        "8",
        ("StatefulSet", "triggerer", "spec", "volumeClaimTemplates", 0, "metadata", "name"),
        "logs",
        {"triggerer": {"persistence": {"enabled": True}}},
    ),
    Fact("9", ("Job", "run-airflow-migrations", "metadata", "annotations"), ABSENT),
    Fact(
        "9",
        ("Job", "run-airflow-migrations", "spec", "ttlSecondsAfterFinished"),
        300,
        {"migrateDatabaseJob": {"ttlSecondsAfterFinished": None}},
    ),
    Fact(
        "10",
        ("StatefulSet", "worker", "spec", "selector", "matchLabels", "worker-set"),
        ABSENT,
        SETS,
    ),
    Fact(
        "10",
        ("StatefulSet", "worker-big", "spec", "template", "metadata", "labels"),
        {"tier": "airflow", "component": "worker", "release": "airflow3"},
        SETS,
    ),
    Fact("10", ("StatefulSet", "worker-big", "spec", "replicas"), 2, SETS),
    Fact(
        "11",
        **cfg(
            r"^dag_bundle_config_list = \[.*LocalDagBundle.*GitDagBundle.*\]$",
            values={"dagProcessor": {"dagBundleConfigList": BUNDLES}},
        ),
    ),
    Fact("11", **cfg(r"^dags_folder = /opt/airflow/dags/repo/a$", values=GIT)),
    *(
        Fact("11", (*pod, "containers", "git-sync", "volumeMounts", 0, "mountPath"), "/git", GIT)
        for pod in (("Deployment", "triggerer", *SPEC), ("Deployment", "dag-processor", *SPEC))
    ),
    Fact("11", (*TASKS, "spec", "initContainers", "git-sync-init", "name"), "git-sync-init", GIT),
    Fact(
        "11",
        ("Deployment", "triggerer", *SPEC, "containers", 0, "volumeMounts", "dags", "subPath"),
        "live",
        {**BARE, "dags": {"persistence": {"enabled": True, "subPath": "live"}}},
    ),
    Fact(
        "12",
        ("Deployment", "execution-api-server", *SPEC, "containers", 0, "name"),
        "execution-api-server",
        SPLIT,
    ),
    Fact("12", **cfg("^execution_api_server_url = .*-execution-api-server:8080", values=SPLIT)),
    Fact("13", **cfg("^executor = LocalExecutor$", values={"executor": "LocalExecutor"})),
    Fact(
        "13",
        ("ConfigMap", "config", "data", "pod_template_file.yaml"),
        ABSENT,
        {"executor": "LocalExecutor"},
    ),
    Fact(
        "14",
        ("Deployment", "scheduler", *SPEC, "containers", 0, "args"),
        ["bash", "-c", "exec airflow scheduler"],
    ),
    # The image's own entrypoint runs, before whatever is asked for.
    Fact("14", ("Deployment", "scheduler", *SPEC, "containers", 0, "command"), ABSENT),
    Fact("14", (*TASKS, "spec", "containers", "base", "command"), ABSENT),
]


def found_at(objects: Objects, where: tuple[Any, ...]) -> Any:
    """Return what is at a place of the manifest, ABSENT where nothing is."""
    kind, name, *path = where
    found: Any = objects.get((kind, name), ABSENT)
    for step in path:
        if found is ABSENT:
            return ABSENT
        if step == "yaml":
            found = yaml.safe_load(found)
        elif isinstance(found, list):
            named = {item.get("name"): item for item in found if isinstance(item, Mapping)}
            found = found[step] if isinstance(step, int) else named.get(step, ABSENT)
        else:
            found = (found or {}).get(step, ABSENT)
    return ABSENT if found is None else found


def holds(wanted: Any, found: Any) -> bool:
    """Whether it is what is wanted, or a mapping of which that is a part."""
    if callable(wanted):
        return found != ABSENT and bool(wanted(found))
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return all(holds(value, found.get(key, ABSENT)) for key, value in wanted.items())
    return bool(wanted == found)


@pytest.mark.parametrize("fact", FACTS, ids=str)
def test_the_chart_does_what_the_official_one_does(fact: Fact) -> None:
    found = found_at(render(fact.values, fact.instance), fact.where)
    if fact.there == RENEWED:
        helm_template.cache_clear()
        again = found_at(render(fact.values, fact.instance), fact.where)
        assert ABSENT != found != again
    else:
        assert holds(fact.there, found), found


def test_every_row_is_named() -> None:
    rows = {fact.row for fact in FACTS} | {UMBRELLA}
    assert rows == {"holds", *map(str, range(1, 16))}


UMBRELLA = "15"


def test_row_15_below_an_umbrella_only_values_below_its_key_count(tmp_path: Path) -> None:
    own = {"apiVersion": "v2", "name": "platform", "version": "1.0.0"}
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "airflow").symlink_to(CHART)
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(own))
    ours = {"data": {"metadataConnection": {"host": "db"}}, **object_storage_values(7)}
    rendered = run(
        *(tools.tool("helm"), "template", "rel", tmp_path, "-f", "-"),
        stdin=yaml.safe_dump({"airflow": ours, **object_storage_values(9)}),
    )
    assert "xcom_objectstorage_threshold = 7\n" in rendered
    assert "xcom_objectstorage_threshold = 9\n" not in rendered
