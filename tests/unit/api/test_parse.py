"""What is wrong with a spec is told as field, value and remedy."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from xcom_probe.values import drift
from xcom_rollout.api.parse import Problem, SpecInvalidError, parse_spec
from xcom_rollout.api.v1alpha1 import DriftClass

ROOT = Path(__file__).resolve().parents[3]
Spec = dict[str, Any]


@pytest.fixture
def spec() -> Spec:
    demo = yaml.safe_load((ROOT / "docs/examples/demo.yaml").read_text())
    return dict(copy.deepcopy(demo["spec"]))


def problems(raw: object) -> list[Problem]:
    with pytest.raises(SpecInvalidError) as caught:
        parse_spec(raw)
    return list(caught.value.problems)


def test_the_example_is_valid(spec: Spec) -> None:
    parsed = parse_spec(spec)
    assert parsed.threshold.bytes == "1048576"
    assert parsed.gates.round_trip.accepted_drift == ("json-strings",)


def test_the_classes_of_drift_that_can_be_accepted_are_those_of_the_probe() -> None:
    assert set(get_args(DriftClass)) == set(drift.CLASSES)


def test_null_is_as_good_as_absent_where_a_field_is_optional(spec: Spec) -> None:
    spec["backend"]["objectStorage"]["compression"] = None
    assert parse_spec(spec).backend.object_storage.compression is None


@pytest.mark.parametrize(
    ("change", "field", "value", "remedy"),
    [
        pytest.param(
            lambda s: s["backend"].update(type="Redis"),
            *("spec.backend.type", '"Redis"', 'use "ObjectStorage"'),
            id="unknown backend type",
        ),
        pytest.param(
            lambda s: s["threshold"].update(bytes="1MB"),
            *(
                "spec.threshold.bytes",
                '"1MB"',
                "is not a whole number of bytes; write it in quotes",
            ),
            id="threshold with a unit",
        ),
        pytest.param(
            lambda s: s["threshold"].update(bytes=1048576),
            *("spec.threshold.bytes", "1048576", 'write it in quotes, "1048576"'),
            id="unquoted threshold",
        ),
        pytest.param(
            lambda s: s["backend"]["objectStorage"].update(path="/data/xcom"),
            *("spec.backend.objectStorage.path", '"/data/xcom"', "scheme://connection@bucket"),
            id="path without a scheme",
        ),
        pytest.param(
            lambda s: s["backend"]["objectStorage"].update(path="S3://bucket/x"),
            *("spec.backend.objectStorage.path", '"S3://bucket/x"', "a lower-case scheme"),
            id="path with a scheme in capitals",
        ),
        pytest.param(
            lambda s: s["backend"]["objectStorage"].update(path="s3://user:secret@bucket/x"),
            *(
                "spec.backend.objectStorage.path",
                '"s3://user:***@bucket/x"',
                "must not contain a user and",
            ),
            id="path with a password",
        ),
        pytest.param(
            lambda s: s["backend"]["objectStorage"].update(path="s3://KEY:sec/ret+x@bucket/x"),
            *(
                "spec.backend.objectStorage.path",
                '"s3://KEY:***@bucket/x"',
                "must not contain a user and",
            ),
            id="path with a password that has a slash",
        ),
        pytest.param(
            lambda s: s["backend"]["objectStorage"].update(path="S3://user:secret@bucket"),
            *(
                "spec.backend.objectStorage.path",
                '"S3://user:***@bucket"',
                "must not contain a user and",
            ),
            id="path with a password and another fault",
        ),
        pytest.param(
            lambda s: s["airflow"].pop("release"),
            *("spec.airflow.release", "", "is required: add it"),
            id="missing release",
        ),
        pytest.param(
            lambda s: s["gates"].update(provenance={"expectedBuild": "main"}),
            *(
                "spec.gates.provenance.expectedBuild",
                '"main"',
                "is not a commit; write 7 to 64 lower-case hexadecimal digits in quotes",
            ),
            id="a branch as the expected build",
        ),
        pytest.param(
            lambda s: s["gates"].update(provenance={"expectedBuild": 1234567}),
            *("spec.gates.provenance.expectedBuild", "1234567", 'write it in quotes, "1234567"'),
            id="a commit without quotes that is a number",
        ),
        pytest.param(
            lambda s: s["gates"].update(provenance={}),
            *("spec.gates.provenance.expectedBuild", "", "is required: add it"),
            id="no expected build",
        ),
        pytest.param(
            lambda s: s["gates"].update(provenance={"expectedBuild": "0123456", "sources": []}),
            *("spec.gates.provenance.sources", "[]", "must contain stamp, image or tags"),
            id="a provenance gate that judges nothing",
        ),
        pytest.param(
            lambda s: s["gates"].update(
                provenance={"expectedBuild": "0123456", "imageEnv": [], "imageLabels": []}
            ),
            *("spec.gates.provenance.imageEnv", "[]", "must contain a variable"),
            id="no place for the commit of an image",
        ),
        pytest.param(
            lambda s: s["gates"].update(
                provenance={"expectedBuild": "0123456", "sources": ["stamp"], "dags": ["etl"]}
            ),
            *("spec.gates.provenance.dags", '["etl"]', "must be omitted unless sources contains"),
            id="DAGs without their tags",
        ),
        pytest.param(
            lambda s: s["gates"].update(provenance={"expectedBuild": "0123456", "maxAge": "20s"}),
            *("spec.gates.provenance.maxAge", '"20s"', "is less than a minute: use 1m or more"),
            id="a look that is too old at once",
        ),
        pytest.param(
            lambda s: s["gates"]["preflight"].update(functionlS3=True),
            *("spec.gates.preflight.functionlS3", "true", "did you mean functionalS3?"),
            id="unknown field",
        ),
        pytest.param(
            lambda s: s.update(kilSwitch={}),
            *("spec.kilSwitch", "{}", "did you mean killSwitch?"),
            id="unknown field at the top",
        ),
        pytest.param(
            lambda s: s["gates"]["roundTrip"].update(acceptedDrift=["json-strings", "floats"]),
            *("spec.gates.roundTrip.acceptedDrift[1]", '"floats"', 'use "json-strings", "tuple'),
            id="unknown member of a list",
        ),
        pytest.param(
            lambda s: s["gates"].update(audit={}),
            *(
                "spec.gates.audit",
                "{}",
                "must contain an audit: add static: {}, dynamic: {} or both",
            ),
            id="an audit of nothing",
        ),
        pytest.param(
            lambda s: s["gates"].update(audit={"static": {}, "accepted": [{"taskId": "a"}]}),
            *("spec.gates.audit.accepted", '[{"taskId": "a"}]', "must name a dagId or a file"),
            id="acceptance of everything",
        ),
        pytest.param(
            lambda s: s["gates"].update(audit={"static": {"failOn": "high"}}),
            *("spec.gates.audit.static.failOn", '"high"', 'use "High", "Medium" or "Low"'),
            id="unknown confidence",
        ),
        pytest.param(
            lambda s: s["gates"].update(audit={"static": {}, "accepted": [{"dagid": "a"}]}),
            *("spec.gates.audit.accepted[0].dagid", '"a"', "did you mean dagId?"),
            id="unknown field of an item of a list",
        ),
        pytest.param(
            lambda s: s["threshold"].update(calibrate={"quantile": 0.999}),
            *("spec.threshold.calibrate.quantile", "0.999", 'write it in quotes, "0.999"'),
            id="unquoted quantile",
        ),
        pytest.param(
            lambda s: s["threshold"].update(calibrate={"quantile": "99.9"}),
            *("spec.threshold.calibrate.quantile", '"99.9"', "is not a share between 0 and 1"),
            id="quantile in per cent",
        ),
        pytest.param(
            lambda s: s["threshold"].update(calibrate={"margin": "0.5"}),
            *("spec.threshold.calibrate.margin", '"0.5"', "is not a factor of 1 or more"),
            id="margin that shrinks",
        ),
        pytest.param(
            lambda s: s["gates"].update(maxAge="999999999999h"),
            *("spec.gates.maxAge", '"999999999999h"', "is not a duration; use a form such as 90s"),
            id="duration beyond every calendar",
        ),
        pytest.param(
            lambda s: s["gates"].update(maxAge="1h\n"),
            *("spec.gates.maxAge", '"1h\\n"', "is not a duration; use a form such as 90s"),
            id="duration with a line feed",
        ),
        pytest.param(
            lambda s: s["threshold"].update(bytes="01"),
            *("spec.threshold.bytes", '"01"', "is not a whole number of bytes; write it in quo"),
            id="threshold with a leading zero",
        ),
        pytest.param(
            lambda s: s["killSwitch"].update(engaged="off"),
            *("spec.killSwitch.engaged", '"off"', "must be true or false"),
            id="a text that YAML of old took for false",
        ),
        pytest.param(
            lambda s: s["airflow"]["api"].update(port="8080"),
            *("spec.airflow.api.port", '"8080"', "must be a whole number"),
            id="a port in quotes",
        ),
        pytest.param(
            lambda s: s["delivery"]["helm"]["chart"].update(repository="file:///charts"),
            *("spec.delivery.helm.chart.repository", '"file:///charts"', "starts with https://"),
            id="a repository on the operator's disk",
        ),
        pytest.param(
            lambda s: s["delivery"]["helm"]["chart"].update(repository="https://me:pw@charts.test"),
            *(
                "spec.delivery.helm.chart.repository",
                '"https://me:***@charts.test"',
                "without a user or password",
            ),
            id="a repository with credentials",
        ),
        pytest.param(
            lambda s: s["gates"].update(maxAge="3 days"),
            *("spec.gates.maxAge", '"3 days"', "is not a duration; use a form such as 90s"),
            id="duration in words",
        ),
        pytest.param(
            lambda s: s["airflow"]["api"].update(port=70000),
            *("spec.airflow.api.port", "70000", "must be 65535 or less"),
            id="port out of range",
        ),
        pytest.param(
            lambda s: s["killSwitch"].update(engaged="maybe"),
            *("spec.killSwitch.engaged", '"maybe"', "must be true or false"),
            id="no truth value",
        ),
        pytest.param(
            lambda s: s.update(gates=3),
            *("spec.gates", "3", "must be an object"),
            id="a number for an object",
        ),
        pytest.param(
            lambda s: s["gates"].update(jobs={"labels": {"a.b/c": "-x"}}),
            *("spec.gates.jobs.labels.a.b/c", '"-x"', "is not the value of a label; use at most"),
            id="no value of a label",
        ),
        pytest.param(
            lambda s: s["gates"].update(jobs={"labels": {"component": "worker"}}),
            *(
                "spec.gates.jobs.labels",
                '{"component": "worker"}',
                "must not contain the labels tier, release, compon",
            ),
            id="a label that makes a Job a reader",
        ),
        pytest.param(
            lambda s: s["gates"].update(jobs={"annotations": {"a/b/c": "x"}}),
            *("spec.gates.jobs.annotations", '{"a/b/c": "x"}', "each key must be that of a label"),
            id="no key of an annotation",
        ),
    ],
)
def test_a_bad_field_is_named_with_its_value_and_a_remedy(
    spec: Spec, change: Callable[[Spec], object], field: str, value: str, remedy: str
) -> None:
    change(spec)
    (problem,) = problems(spec)
    assert (problem.field, problem.value) == (field, value)
    assert remedy in problem.remedy
    assert remedy in str(problem)
    assert str(problem).startswith(field)


def test_no_password_is_told_however_its_path_ends(spec: Spec) -> None:
    spec["backend"]["objectStorage"]["path"] = "s3://user:t0psecret@b/p\nq"
    (problem,) = problems(spec)
    assert "t0psecret" not in str(problem)
    assert problem.remedy.startswith("must not contain a user and password")


def test_every_bad_field_is_told_at_once(spec: Spec) -> None:
    spec["backend"]["type"] = "Redis"
    spec["threshold"]["bytes"] = "1MB"
    del spec["airflow"]["release"]
    assert {problem.field for problem in problems(spec)} == {
        *("spec.backend.type", "spec.threshold.bytes", "spec.airflow.release"),
    }


@pytest.mark.parametrize("raw", [None, [], "spec", 3])
def test_what_is_no_object_is_no_spec(raw: object) -> None:
    (problem,) = problems(raw)
    assert problem.field == "spec"
    assert problem.remedy == "must be an object"


def _at(spec: Spec, path: str) -> tuple[dict[str, Any], str]:
    *parents, last = path.split(".")
    for name in parents:
        spec = spec.setdefault(name, {})
    return spec, last


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("airflow.api.service", "evil.example.org/?", "is not the name of a Service; use the"),
        ("airflow.api.service", "web.other", "is not the name of a Service; use the name"),
        ("airflow.api.service", "web\n", "is not the name of a Service; use the name"),
        ("airflow.api.service", "", "is not the name of a Service; use the name"),
        ("airflow.api.service", "w" * 64, "must have at most 63 characters"),
        (
            "airflow.api.credentialsSecretRef.name",
            "../../other/secrets/db",
            "is not the name of a Secret; use the name of an object in the namespace",
        ),
        ("gates.roundTrip.samplesRef.name", "a/b", "is not the name of a ConfigMap; use the"),
        (
            "airflow.release",
            "rel,x!=y",
            "is not the name of a Helm release; use the name that helm",
        ),
        ("airflow.release", "--post-renderer=x", "is not the name of a Helm release; use"),
        ("delivery.helm.chart.name", "../airflow", "is not the name of a chart; use"),
        ("delivery.helm.chart.name", "--ca-file=x", "is not the name of a chart; use"),
        (
            "delivery.helm.chart.version",
            ">=1",
            "is not one exact version; use the version that helm",
        ),
        ("delivery.helm.valuesPath", "airflow.", "is not a path of keys in the values of the"),
        ("delivery.helm.valuesPath", "a[0]", "is not a path of keys in the values of the"),
        ("airflow.api.path", "/airflow/", "is not a path; use the path of [webserver] base_url"),
        ("airflow.api.path", "airflow", "is not a path; use the path of [webserver] base_url"),
        ("airflow.api.path", "/a?b", "is not a path; use the path of [webserver] base_url"),
        ("airflow.api.path", "/a/../b", "is not a path; use the path of [webserver] base_url"),
        *(
            ("backend.objectStorage.path", path, "is not an object storage path; use scheme:")
            for path in (
                's3://c@b/{{ (lookup "v1" "Secret" "other" "db").data }}',
                's3://c@{{ include "x" . }}/p',
                "s3://c@b\n[core]\nfernet_key = x/y",
                "s3://c@b/p\nq",
                "s3://c@b/%(fernet_key)s",
                "s3://c%40x@b/p",
                "s3://c@b/$AWS_SECRET_ACCESS_KEY",
                "s3://c@b/p q",
                "s3://c@b/p ",
                "s3://c@b//p",
                "s3://c@b/p/../q",
                "s3://c@b/.",
                "s3://c@b/p?q",
                "s3://c@b/p#q",
                "s3://c@b/*",
                "s3://c@bücket/p",
                "s3://c@b/\u202ep",
            )
        ),
        ("airflow.api.caRef", {"kind": "Secret", "name": "ca"}, "unless scheme is https"),
        ("airflow.api.login", {"type": "OAuth"}, 'use "Basic", "Session", "Token" or "Bearer"'),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused_without_the_api_server(
    spec: Spec, path: str, value: object, says: str
) -> None:
    parent, name = _at(spec, path)
    parent[name] = value
    (problem,) = problems(spec)
    assert problem.field.startswith(f"spec.{path}")
    assert says in problem.remedy


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("airflow.api.path", ""),
        ("backend.objectStorage.path", "s3://b/p"),
        ("backend.objectStorage.path", "s3://my.conn_1-x@my.bucket-2/.xcom/env=prod/v1.2/~a+b"),
        ("backend.objectStorage.path", "hdfs://c@namenode:8020/xcom"),
        ("airflow.api.path", "/a/b.c/~d"),
        ("airflow.api.credentialsSecretRef.name", "my.airflow-api.2"),
        ("delivery.helm.chart.version", "1.16.0-rc1+build.5"),
        ("delivery.helm.chart.version", "v2"),
        ("airflow.release", "airflow.prod-1"),
        ("delivery.helm.valuesPath", "platform.airflow_2"),
    ],
)
def test_a_name_that_kubernetes_and_helm_take_is_taken(spec: Spec, path: str, value: str) -> None:
    parent, name = _at(spec, path)
    parent[name] = value
    parse_spec(spec)
