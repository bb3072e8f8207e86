"""What Helm's record tells to who thinks of a flip."""

import base64
import gzip
import json

import pytest

from xcom_rollout.clients.errors import Malformed
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.check.installed import Record
from xcom_rollout.deliver.record import read_record

KEYS = """---
apiVersion: v1
kind: Secret
metadata: {name: a-jwt}
data: {jwt-secret: c2VjcmV0}
---
apiVersion: v1
kind: Secret
metadata: {name: a-api}
data: {api-secret-key: c2VjcmV0}
---
apiVersion: batch/v1
kind: Job
metadata: {name: a-migrations}
"""
SESSION_KEY = """apiVersion: v1
kind: Secret
metadata: {name: a-web}
data: {webserver-secret-key: c2VjcmV0}
"""


def secret(**record: object) -> Json:
    chart = {"metadata": {"name": "airflow", "version": "1.21.0", "appVersion": "3.3.2"}}
    packed = gzip.compress(json.dumps({"chart": chart, **record}).encode())
    data = base64.b64encode(base64.b64encode(packed)).decode()
    return {"metadata": {"name": "sh.helm.release.v1.a.v1"}, "data": {"release": data}}


def read(path: tuple[str, ...] = (), **record: object) -> Record:
    return read_record(secret(**record), path)[0]


def test_the_version_is_the_one_by_which_the_chart_decides() -> None:
    chart = {"metadata": {"appVersion": "2.11.0"}, "values": {"airflowVersion": "2.11.2"}}
    assert read(chart=chart, config={"airflowVersion": "3.0.1"}).airflow_version == "3.0.1"
    assert read(chart=chart).airflow_version == "2.11.2"
    assert read().airflow_version == "3.3.2"


def test_the_version_of_an_umbrella_is_not_that_of_airflow() -> None:
    values = {"airflow": {"airflowVersion": "2.10.5"}}
    chart = {"metadata": {"appVersion": "7.7.7"}, "values": values}
    assert read(("airflow",), chart=chart).airflow_version == "2.10.5"
    assert read(("other",), chart=chart).airflow_version == ""


def test_keys_that_nobody_has_set_are_named_by_their_values() -> None:
    assert read(manifest=KEYS).unset_keys == ("apiSecretKey", "jwtSecret")
    assert read(manifest=KEYS, config={"jwtSecret": "k", "apiSecretKey": "k"}).unset_keys == ()
    below = {"airflow": {"jwtSecret": "k"}}
    assert read(("airflow",), manifest=KEYS, config=below).unset_keys == ("apiSecretKey",)
    own = {"metadata": {}, "values": {"jwtSecret": "default", "apiSecretKey": "k"}}
    assert read(manifest=KEYS, chart=own, config={"jwtSecret": None}).unset_keys == ("jwtSecret",)
    assert read(manifest=SESSION_KEY).unset_keys == (), "of Airflow 2: ends no task"


def test_a_chart_that_looks_up_a_secret_is_known() -> None:
    for text, expected in (
        ('{{ lookup "v1" "Secret" .Release.Namespace "a" }}', True),
        ('{{ lookup "v1" "ConfigMap" .Release.Namespace "a" }}', False),
        ("{{ .Values.a }}", False),
    ):
        template = {"name": "a.yaml", "data": base64.b64encode(text.encode()).decode()}
        assert read(chart={"metadata": {}, "templates": [template]}).looks_up is expected


def test_hooks_and_jobs_that_are_none_are_told_apart() -> None:
    found = read(manifest=KEYS, hooks=[{"name": "a-create-user"}])
    assert (found.hooks, found.plain_jobs) == (("a-create-user",), ("a-migrations",))


def test_where_dependencies_come_from() -> None:
    own = {"name": "postgresql", "version": "1", "repository": "file://charts/postgresql"}
    found = read(chart={"metadata": {"dependencies": [own]}})
    assert found.dependencies == ("postgresql",)
    assert "comes from its own files" in found.dependencies_problem
    known = {**own, "repository": "https://example.org"}
    assert read(chart={"metadata": {"dependencies": [known]}}).dependencies_problem == ""


def test_the_size_is_what_kubernetes_counts() -> None:
    made = secret()
    assert read().size == pytest.approx(len(base64.b64decode(made["data"]["release"])), abs=3)


def test_what_is_no_release_is_named() -> None:
    with pytest.raises(Malformed):
        read_record({"metadata": {"name": "x"}, "data": {"release": "////"}}, ())
