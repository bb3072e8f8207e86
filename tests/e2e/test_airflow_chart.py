"""The Airflow chart of the tests renders what the official one would, as far as the operator sees.

These need Helm and no cluster.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from harness import tools
from harness.shell import CommandError, run
from harness.stack import CHART, STACK, merge, object_storage_values


def render(changes: dict[str, Any] | None = None) -> dict[tuple[str, str], dict[str, Any]]:
    """The objects of the chart with the stack's values and `changes`, by kind and name."""
    values = yaml.safe_load((STACK / "values.yaml").read_text())
    merge(values, changes or {})
    text = run(
        *(tools.tool("helm"), "template", "airflow", CHART, "--namespace", "airflow", "-f", "-"),
        stdin=json.dumps(values),
    )
    objects = [item for item in yaml.safe_load_all(text) if item]
    return {(item["kind"], item["metadata"]["name"]): item for item in objects}


def airflow_cfg(changes: dict[str, Any]) -> str:
    return str(render(changes)["ConfigMap", "airflow-config"]["data"]["airflow.cfg"])


def pod_template(objects: dict[tuple[str, str], dict[str, Any]], component: str) -> dict[str, Any]:
    """The pod template of a component; of tasks too."""
    if component == "worker":
        text = objects["ConfigMap", "airflow-config"]["data"]["pod_template_file.yaml"]
        return dict(yaml.safe_load(text))
    return dict(objects["Deployment", f"airflow-{component}"]["spec"]["template"])


@pytest.mark.parametrize("component", ["scheduler", "webserver", "triggerer"])
def test_a_changed_config_rolls_every_component(component: str) -> None:
    before = pod_template(render(), component)["metadata"]["annotations"]
    after = pod_template(render(object_storage_values(-1)), component)["metadata"]["annotations"]
    assert before["checksum/airflow-config"] != after["checksum/airflow-config"]
    assert {k for k in before if before[k] != after[k]} == {"checksum/airflow-config"}


def test_the_same_values_render_the_same() -> None:
    assert render() == render()


def test_options_of_the_object_backend_reach_airflow_cfg() -> None:
    text = airflow_cfg(object_storage_values(1048576))
    assert "[common.io]\n" in text
    assert "xcom_objectstorage_threshold = 1048576\n" in text
    assert "xcom_objectstorage_path = s3://aws_default@airflow-xcom/xcom\n" in text


def test_an_unquoted_threshold_breaks_as_it_does_with_the_official_chart() -> None:
    text = airflow_cfg({"config": {"common.io": {"xcom_objectstorage_threshold": 1048576}}})
    assert "xcom_objectstorage_threshold = 1.048576e+06\n" in text


@pytest.mark.parametrize("component", ["scheduler", "webserver", "triggerer", "worker"])
def test_pods_are_found_by_the_official_labels(component: str) -> None:
    labels = pod_template(render(), component)["metadata"]["labels"]
    assert labels == {"tier": "airflow", "component": component, "release": "airflow"}


@pytest.mark.parametrize("component", ["scheduler", "webserver", "triggerer", "worker"])
def test_every_kind_of_variable_reaches_every_container(component: str) -> None:
    objects = render(
        {
            "env": [{"name": "FROM_ENV", "value": "1"}],
            "extraEnv": '- name: FROM_EXTRA\n  value: "{{ .Release.Name }}"',
            "extraEnvFrom": "- configMapRef: {name: elsewhere}",
        }
    )
    container = pod_template(objects, component)["spec"]["containers"][0]
    env = {item["name"]: item for item in container["env"]}
    assert env["FROM_ENV"]["value"] == "1"
    assert env["FROM_EXTRA"]["value"] == "airflow"
    assert env["AIRFLOW_CONN_AWS_DEFAULT"]["valueFrom"]["secretKeyRef"] == {
        "name": "airflow-aws-default",
        "key": "connection",
    }
    assert container["envFrom"] == [{"configMapRef": {"name": "elsewhere"}}]


def test_the_scheduler_has_the_pod_template_where_airflow_looks_for_it() -> None:
    objects = render()
    path = "/opt/airflow/pod_templates/pod_template_file.yaml"
    mounts = pod_template(objects, "scheduler")["spec"]["containers"][0]["volumeMounts"]
    assert [m["subPath"] for m in mounts if m["mountPath"] == path] == ["pod_template_file.yaml"]
    assert f"pod_template_file = {path}\n" in airflow_cfg({})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"executor": "CeleryExecutor"}, 'executor: "CeleryExecutor" is not supported'),
        ({"triggerer": {"persistence": {"enabled": True}}}, "triggerer.persistence.enabled: true"),
        ({"data": {"metadataConnection": {"host": None}}}, "data.metadataConnection.host is empty"),
        ({"extraEnv": [{"name": "A"}]}, "extraEnv must be a string of YAML"),
    ],
)
def test_what_the_chart_cannot_do_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(CommandError) as refused:
        render(changes)
    assert said in refused.value.output
