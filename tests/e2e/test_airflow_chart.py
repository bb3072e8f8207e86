"""The Airflow chart of the tests renders what the official one would, as far as the operator sees.

These need Helm and no cluster.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from harness.rendered import KEYLESS, Objects, helm_template, render
from harness.shell import CommandError
from harness.stack import (
    AIRFLOW_2,
    AIRFLOW_3,
    BOTH_2,
    BOTH_3,
    CELERY_2,
    CELERY_3,
    CHART,
    Instance,
    object_storage_values,
)

COMPONENTS = {
    AIRFLOW_2: ("scheduler", "webserver", "triggerer"),
    AIRFLOW_3: ("scheduler", "api-server", "triggerer", "dag-processor"),
}
DEPLOYED = [(instance, component) for instance in COMPONENTS for component in COMPONENTS[instance]]
PODS = [*DEPLOYED, (AIRFLOW_2, "worker"), (AIRFLOW_3, "worker")]
each_deployment = pytest.mark.parametrize(("instance", "component"), DEPLOYED)
each_pod = pytest.mark.parametrize(("instance", "component"), PODS)
each_airflow = pytest.mark.parametrize("instance", COMPONENTS)


def airflow_cfg(changes: dict[str, Any], instance: Instance = AIRFLOW_2) -> str:
    return str(render(changes, instance)["ConfigMap", "config"]["data"]["airflow.cfg"])


def pod_template(objects: Objects, component: str) -> dict[str, Any]:
    """The pod template of a component; of tasks too."""
    if component == "worker":
        text = objects["ConfigMap", "config"]["data"]["pod_template_file.yaml"]
        return dict(yaml.safe_load(text))
    return dict(workload(objects, component)["spec"]["template"])


def workload(objects: Objects, component: str) -> dict[str, Any]:
    """The Deployment or StatefulSet of a component."""
    (found,) = (
        objects[kind, component]
        for kind in ("Deployment", "StatefulSet")
        if (kind, component) in objects
    )
    return found


def environment(objects: Objects, component: str) -> dict[str, Any]:
    """The variables of the main container of a component, by name."""
    container = pod_template(objects, component)["spec"]["containers"][0]
    return {item["name"]: item for item in container["env"]}


@each_airflow
def test_the_version_of_airflow_decides_what_runs(instance: Instance) -> None:
    objects = render(instance=instance)
    found = {name for kind, name in objects if kind == "Deployment"}
    assert found == set(COMPONENTS[instance])
    assert ("Service", instance.web) in objects


def test_airflow_3_is_told_where_tasks_find_its_api() -> None:
    url = "execution_api_server_url = http://airflow3-api-server:8080/execution/\n"
    assert url in airflow_cfg({}, AIRFLOW_3)
    own = {"config": {"core": {"execution_api_server_url": "http://elsewhere/execution/"}}}
    assert url not in airflow_cfg(own, AIRFLOW_3)
    assert "execution_api_server_url = http://elsewhere/" in airflow_cfg(own, AIRFLOW_3)
    assert "execution_api_server_url" not in airflow_cfg({}, AIRFLOW_2)


@each_pod
def test_each_airflow_has_the_keys_that_it_reads(instance: Instance, component: str) -> None:
    objects = render(instance=instance)
    keys = {
        name: item["valueFrom"]["secretKeyRef"]
        for name, item in environment(objects, component).items()
        if name.endswith(("SECRET_KEY", "JWT_SECRET"))
    }
    wanted = {
        AIRFLOW_2: {"AIRFLOW__WEBSERVER__SECRET_KEY": "webserver-secret-key"},
        AIRFLOW_3: {
            "AIRFLOW__API__SECRET_KEY": "api-secret-key",
            "AIRFLOW__API_AUTH__JWT_SECRET": "jwt-secret",
        },
    }
    assert {name: key["key"] for name, key in keys.items()} == wanted[instance]
    for key in keys.values():
        secret = objects["Secret", key["name"].removeprefix(f"{instance.release}-")]
        assert key["key"] in secret["data"]


RENEWED_KEYS = [
    (AIRFLOW_2, "webserver-secret-key"),
    (AIRFLOW_3, "api-secret-key"),
    (AIRFLOW_3, "jwt-secret"),
]


@pytest.mark.parametrize(("instance", "key"), RENEWED_KEYS)
def test_a_key_that_is_not_given_is_another_one_at_each_upgrade(
    instance: Instance, key: str
) -> None:
    def rendered() -> tuple[dict[str, Any], str]:
        helm_template.cache_clear()
        secret = render(KEYLESS[instance], instance)["Secret", key]
        return secret["metadata"], secret["data"][key]

    (metadata, first), (_, second) = rendered(), rendered()
    assert first != second
    assert "annotations" not in metadata, "no hook: each upgrade applies it"


@each_airflow
def test_the_fernet_key_is_made_by_the_install_alone(instance: Instance) -> None:
    for changes in ({}, KEYLESS[instance]):
        metadata = render(changes, instance)["Secret", "fernet-key"]["metadata"]
        assert metadata["annotations"]["helm.sh/hook"] == "pre-install"


@each_airflow
def test_keys_that_are_given_by_secrets_of_ones_own_are_not_made(instance: Instance) -> None:
    names = ("fernetKey", "webserverSecretKey", "apiSecretKey", "jwtSecret")
    own = {"jwtSecretName": "own", **{f"{name}SecretName": "own" for name in names[:3]}}
    objects = render({**KEYLESS[instance], **own}, instance)
    made = {name for kind, name in objects if kind == "Secret"}
    assert made == {"metadata", "redis-password"}
    references = environment(objects, "scheduler").values()
    named = [
        item["valueFrom"]["secretKeyRef"]["name"]
        for item in references
        if "KEY" in item["name"] and "valueFrom" in item
    ]
    assert set(named) == {"own"}


@each_deployment
def test_a_changed_config_rolls_every_component(instance: Instance, component: str) -> None:
    def annotations(changes: dict[str, Any]) -> dict[str, str]:
        template = pod_template(render(changes, instance), component)
        return dict(template["metadata"]["annotations"])

    before, after = annotations({}), annotations(object_storage_values(-1))
    assert before["checksum/airflow-config"] != after["checksum/airflow-config"]
    assert {k for k in before if before[k] != after[k]} == {"checksum/airflow-config"}


@each_airflow
def test_the_same_values_render_the_same(instance: Instance) -> None:
    def applied_by_an_upgrade() -> Objects:
        helm_template.cache_clear()
        objects = render(instance=instance)
        return {
            key: item
            for key, item in objects.items()
            if "helm.sh/hook" not in (item["metadata"].get("annotations") or {})
        }

    assert applied_by_an_upgrade() == applied_by_an_upgrade()


def test_options_of_the_object_backend_reach_airflow_cfg() -> None:
    text = airflow_cfg(object_storage_values(1048576))
    assert "[common.io]\n" in text
    assert "xcom_objectstorage_threshold = 1048576\n" in text
    assert "xcom_objectstorage_path = s3://aws_default@airflow-xcom/xcom\n" in text


def test_an_unquoted_threshold_breaks_as_it_does_with_the_official_chart() -> None:
    text = airflow_cfg({"config": {"common.io": {"xcom_objectstorage_threshold": 1048576}}})
    assert "xcom_objectstorage_threshold = 1.048576e+06\n" in text


@each_pod
def test_pods_are_found_by_the_official_labels(instance: Instance, component: str) -> None:
    labels = pod_template(render(instance=instance), component)["metadata"]["labels"]
    assert labels == {"tier": "airflow", "component": component, "release": instance.release}


@each_pod
def test_every_kind_of_variable_reaches_every_container(instance: Instance, component: str) -> None:
    objects = render(
        {
            "env": [{"name": "FROM_ENV", "value": "1"}],
            "extraEnv": '- name: FROM_EXTRA\n  value: "{{ .Release.Name }}"',
            "extraEnvFrom": "- configMapRef: {name: elsewhere}",
        },
        instance,
    )
    env = environment(objects, component)
    assert env["FROM_ENV"]["value"] == "1"
    assert env["FROM_EXTRA"]["value"] == instance.release
    assert env["AIRFLOW_CONN_AWS_DEFAULT"]["valueFrom"]["secretKeyRef"] == {
        "name": "airflow-aws-default",
        "key": "connection",
    }
    container = pod_template(objects, component)["spec"]["containers"][0]
    assert container["envFrom"] == [{"configMapRef": {"name": "elsewhere"}}]


@each_airflow
def test_a_triggerer_with_persistence_is_a_stateful_set_that_claims_its_logs(
    instance: Instance,
) -> None:
    claim = {"size": "1Gi", "storageClassName": "fast"}
    kept = {"whenDeleted": "Delete"}
    persistence = {"enabled": True, **claim, "persistentVolumeClaimRetentionPolicy": kept}
    more = {"updateStrategy": {"type": "OnDelete"}, "podManagementPolicy": "Parallel"}
    objects = render({"triggerer": {"persistence": persistence, **more}}, instance)
    spec = workload(objects, "triggerer")["spec"]
    assert ("Deployment", "triggerer") not in objects
    (claimed,) = spec["volumeClaimTemplates"]
    assert claimed["metadata"]["name"] == "logs"
    assert claimed["spec"]["storageClassName"] == "fast"
    assert claimed["spec"]["resources"] == {"requests": {"storage": "1Gi"}}
    assert spec["persistentVolumeClaimRetentionPolicy"] == kept
    assert {key: spec[key] for key in more} == more
    pod = spec["template"]["spec"]
    assert "logs" in [mount["name"] for mount in pod["containers"][0]["volumeMounts"]]
    assert "logs" not in [volume["name"] for volume in pod["volumes"]]
    service = objects["Service", spec["serviceName"].removeprefix(f"{instance.release}-")]
    assert service["spec"]["clusterIP"] == "None"


def test_a_volume_of_workers_becomes_the_user_s_before_anything_else() -> None:
    pods = [
        item["spec"]["template"]["spec"]
        for (kind, name), item in render(instance=CELERY_3).items()
        if kind == "StatefulSet" and name.startswith("worker")
    ]
    assert len(pods) == CELERY_3.volumes - 1, "the default set has two replicas"
    for pod in pods:
        first = pod["initContainers"][0]
        assert first["name"] == "volume-permissions"
        assert first["command"] == ["chown", "-R", "50000:0", "/opt/airflow/logs"]
        assert first["securityContext"]["runAsUser"] == 0


def test_persistence_of_the_triggerer_is_on_by_default() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["triggerer"]["persistence"]["enabled"] is True


@pytest.mark.parametrize(
    ("instance", "kind_of_workers"), [(CELERY_2, "Deployment"), (CELERY_3, "StatefulSet")]
)
def test_with_workers_tasks_have_three_queues_and_ten_minutes_to_end(
    instance: Instance, kind_of_workers: str
) -> None:
    objects = render(instance=instance)
    workers = {
        name: spec["template"]["spec"]
        for (kind, name), item in objects.items()
        if kind == kind_of_workers and name.startswith("worker")
        for spec in [item["spec"]]
    }
    started = {name: pod["containers"][0]["args"][-1] for name, pod in workers.items()}
    assert started == {
        "worker": "exec airflow celery worker",
        "worker-fragile": "exec airflow celery worker -q fragile",
        "worker-late": "exec airflow celery worker -q late",
    }
    assert {pod["terminationGracePeriodSeconds"] for pod in workers.values()} == {600}
    assert "executor = CeleryExecutor\n" in airflow_cfg({}, instance)
    assert "volumeClaimTemplates" not in objects["StatefulSet", "redis"]["spec"]


@pytest.mark.parametrize(
    ("instance", "named"),
    [(BOTH_2, "CeleryKubernetesExecutor"), (BOTH_3, "CeleryExecutor,KubernetesExecutor")],
)
def test_with_both_there_are_workers_and_a_template_of_task_pods(
    instance: Instance, named: str
) -> None:
    objects = render(instance=instance)
    assert ("Deployment", "worker") in objects
    assert ("StatefulSet", "redis") in objects
    assert "pod_template_file.yaml" in objects["ConfigMap", "config"]["data"]
    assert f"executor = {named}\n" in airflow_cfg({}, instance)


@each_airflow
def test_the_scheduler_has_the_pod_template_where_airflow_looks_for_it(instance: Instance) -> None:
    objects = render(instance=instance)
    path = "/opt/airflow/pod_templates/pod_template_file.yaml"
    mounts = pod_template(objects, "scheduler")["spec"]["containers"][0]["volumeMounts"]
    assert [m["subPath"] for m in mounts if m["mountPath"] == path] == ["pod_template_file.yaml"]
    assert f"pod_template_file = {path}\n" in airflow_cfg({}, instance)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"airflowVersion": "4.0.0"}, 'airflowVersion: "4.0.0" is not supported'),
        (
            {"airflowVersion": "3.1.8", "dagProcessor": {"enabled": False}},
            "dagProcessor.enabled: false is not possible with Airflow 3",
        ),
        ({"executor": "LocalKubernetesExecutor"}, 'executor: "LocalKubernetesExecutor" is not'),
        ({"executor": "CeleryExecutor", "redis": {"enabled": False}}, "data.brokerUrl is empty"),
        ({"postgresql": {"enabled": True}}, "postgresql.enabled: true is not supported"),
        ({"statsd": {"enabled": True}}, "statsd.enabled: true is not supported"),
        ({"flower": {"enabled": True}}, "flower.enabled: true is not supported"),
        ({"cleanup": {"enabled": True}}, "cleanup.enabled: true is not supported"),
        (
            {"scheduler": {"logGroomerSidecar": {"enabled": True}}},
            "scheduler.logGroomerSidecar.enabled: true is not supported",
        ),
        ({"dags": {"gitSync": {"enabled": True}}}, "dags.gitSync.repo is empty"),
        (
            {"dags": {"gitSync": {"enabled": True}, "persistence": {"enabled": True}}},
            "dags.gitSync.enabled and dags.persistence.enabled",
        ),
        ({"data": {"metadataConnection": {"host": None}}}, "data.metadataConnection.host is empty"),
        ({"extraEnv": [{"name": "A"}]}, "extraEnv must be a string of YAML"),
    ],
)
def test_what_the_chart_cannot_do_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(CommandError) as refused:
        render(changes)
    assert said in refused.value.output
