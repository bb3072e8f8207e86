"""Bad specs are refused at `kubectl apply`, with the field and what to write instead."""

from pathlib import Path

import pytest

from harness.apiserver import ApiServer
from harness.shell import CommandError

ROOT = Path(__file__).resolve().parents[2]
DEMO = (ROOT / "docs/examples/demo.yaml").read_text()


def apply(server: ApiServer, namespace: str, manifest: str) -> str:
    """Apply as a person does, client-side, and return what kubectl says if that is refused."""
    manifest = manifest.replace("namespace: airflow", f"namespace: {namespace}")
    try:
        server.kubectl("apply", "-f", "-", stdin=manifest)
    except CommandError as error:
        return str(error)
    return ""


def test_the_example_is_stored_with_its_defaults(server: ApiServer, namespace: str) -> None:
    assert not apply(server, namespace, DEMO)
    spec = server.kubectl_json("-n", namespace, "get", "xbr", "demo")["spec"]
    assert spec["gates"]["maxAge"] == "24h"
    assert spec["airflow"]["api"]["port"] == 8080
    assert spec["killSwitch"] == {
        "engaged": False,
        "strategy": "Retrigger",
        "finishedRuns": "Rehydrate",
    }
    assert spec["suspend"] is False


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(
            "type: ObjectStorage",
            "type: Redis",
            ["spec.backend.type", '"Redis"', 'supported values: "ObjectStorage"'],
            id="unknown backend type",
        ),
        pytest.param(
            '"1048576"',
            '"1MB"',
            ["spec.threshold.bytes", "'1MB' is not a whole number of bytes", "'1048576'"],
            id="threshold with a unit",
        ),
        pytest.param(
            '"1048576"',
            "1048576",
            ["spec.threshold.bytes", "'1048576' is not a whole number of bytes", "in quotes"],
            id="unquoted threshold",
        ),
        pytest.param(
            '"1048576"',
            "1.048576e+06",
            ["spec.threshold.bytes", "is not a whole number of bytes", "in quotes"],
            id="threshold as Helm would print it",
        ),
        pytest.param(
            '"1048576"', '"-1"', ["spec.threshold.bytes", "'-1' is not"], id="negative threshold"
        ),
        pytest.param(
            "s3://aws_default@airflow-xcom/xcom",
            "/data/xcom",
            [
                "spec.backend.objectStorage.path",
                "'/data/xcom' is not an object storage path",
                "use scheme://connection@bucket/prefix",
            ],
            id="path without a scheme",
        ),
        pytest.param(
            "s3://aws_default@airflow-xcom/xcom",
            "s3://user:t0ps3cret@airflow-xcom/xcom",
            ["spec.backend.objectStorage.path", "must not contain a user and password"],
            id="path with a password",
        ),
        pytest.param(
            "s3://aws_default@airflow-xcom/xcom",
            "S3://aws_default@airflow-xcom/xcom",
            ["spec.backend.objectStorage.path", "with a lower-case scheme"],
            id="path with a scheme in capitals",
        ),
        pytest.param(
            "airflow-xcom/xcom",
            "airflow-xcom/xcom/",
            ["spec.backend.objectStorage.path", "without a trailing slash"],
            id="trailing slash",
        ),
        pytest.param(
            "s3://aws_default@airflow-xcom/xcom",
            "'s3://c@b/{{ .Values.fernetKey }}'",
            ["spec.backend.objectStorage.path", "{{ .Values.fernetKey }}' is not an object"],
            id="path that is a template",
        ),
        pytest.param(
            "s3://aws_default@airflow-xcom/xcom",
            '"s3://c@b\\n[core]\\nx = y/z"',
            ["spec.backend.objectStorage.path", "must be an object storage path; use scheme"],
            id="path with another section of airflow.cfg",
        ),
        pytest.param(
            "    release: airflow\n",
            "",
            ["spec.airflow.release", "Required value"],
            id="missing release",
        ),
        pytest.param(
            "functionalS3",
            "functionlS3",
            ['unknown field "spec.gates.preflight.functionlS3"'],
            id="unknown field",
        ),
        pytest.param(
            "      static: {failOn: High}\n      dynamic: {}\n",
            "",
            ["spec.gates.audit", "must contain an audit: add static: {}, dynamic: {} or both"],
            id="an audit of nothing",
        ),
        pytest.param(
            "{dagId: json_report, ",
            "{taskId: summarise, ",
            ["spec.gates.audit", "each entry must name a dagId or a file"],
            id="acceptance of everything",
        ),
        pytest.param(
            "    audit:\n",
            "    provenance: {expectedBuild: main}\n    audit:\n",
            ["spec.gates.provenance.expectedBuild", "'main' is not a commit", "git rev-parse HEAD"],
            id="a branch as the expected build",
        ),
        pytest.param(
            "    audit:\n",
            "    provenance: {expectedBuild: 1234567}\n    audit:\n",
            ["spec.gates.provenance.expectedBuild", "'1234567' is not a commit", "in quotes"],
            id="a commit without quotes that is a number",
        ),
        pytest.param(
            "    audit:\n",
            '    provenance: {expectedBuild: "0123456", sources: []}\n    audit:\n',
            ["spec.gates.provenance", "sources: must contain stamp, image or tags"],
            id="a provenance gate that judges nothing",
        ),
        pytest.param(
            "    audit:\n",
            '    provenance: {expectedBuild: "0123456", imageEnv: [], imageLabels: []}\n'
            "    audit:\n",
            ["spec.gates.provenance", "imageEnv: must contain a variable"],
            id="no place for the commit of an image",
        ),
        pytest.param(
            "    audit:\n",
            "    provenance:\n"
            "      {expectedBuild: '0123456', sources: [stamp], dags: [etl]}\n    audit:\n",
            ["spec.gates.provenance", "dags: must be omitted unless sources contains tags"],
            id="DAGs without their tags",
        ),
        pytest.param(
            "    audit:\n",
            '    provenance: {expectedBuild: "0123456", maxAge: 20s}\n    audit:\n',
            ["spec.gates.provenance.maxAge", "'20s' is less than a minute: use 1m or more"],
            id="a look that is too old at once",
        ),
        pytest.param(
            "failOn: High",
            "failOn: high",
            ["spec.gates.audit.static.failOn", '"high"', 'supported values: "High"'],
            id="unknown confidence",
        ),
        pytest.param(
            'bytes: "1048576"',
            'bytes: "1048576"\n    calibrate: {quantile: 0.999}',
            # The schema speaks before the rule: no type of its lets a fraction through to it.
            ["spec.threshold.calibrate.quantile", "must be of type integer,string"],
            id="unquoted quantile",
        ),
        pytest.param(
            'bytes: "1048576"',
            'bytes: "1048576"\n    calibrate: {margin: 2}',
            ["spec.threshold.calibrate.margin", "'2' is not a factor", "write it in quotes"],
            id="unquoted margin",
        ),
        pytest.param(
            'bytes: "1048576"',
            'bytes: "1048576"\n    calibrate: {margin: "0.5"}',
            ["spec.threshold.calibrate.margin", "'0.5' is not a factor of 1 or more"],
            id="margin that shrinks",
        ),
        pytest.param(
            "acceptedDrift: [json-strings]",
            "acceptedDrift: [json]",
            ["spec.gates.roundTrip.acceptedDrift[0]", '"json"', '"json-strings"'],
            id="unknown class of drift",
        ),
        pytest.param(
            "maxAge: 720h",
            "maxAge: 30 days",
            ["spec.rehearsal.maxAge", "must be a duration such as 90s"],
            id="duration in words",
        ),
        pytest.param(
            "http://minio",
            "minio",
            ["spec.delivery.helm.chart.repository", "an address that starts with https://"],
            id="repository without a scheme",
        ),
        pytest.param(
            "http://minio",
            "http://me:pw@minio",
            ["spec.delivery.helm.chart.repository", "without a user or password"],
            id="repository with credentials",
        ),
        pytest.param(
            "service: airflow-webserver",
            'service: "evil.example.org/?"',
            [
                "spec.airflow.api.service",
                "'evil.example.org/?' is not the name of a Service",
                "use the name of a Service in the namespace of the rollout",
            ],
            id="a Service that is another host",
        ),
        pytest.param(
            "name: airflow-api",
            "name: ../../other/secrets/db",
            [
                "spec.airflow.api.credentialsSecretRef.name",
                "'../../other/secrets/db' is not the name of a Secret",
                "in the namespace of the rollout",
            ],
            id="a Secret of another namespace",
        ),
        pytest.param(
            "acceptedDrift: [json-strings]",
            "samplesRef: {name: a/../b}",
            ["spec.gates.roundTrip.samplesRef.name", "'a/../b' is not the name of a ConfigMap"],
            id="samples elsewhere",
        ),
        pytest.param(
            "  gates:\n",
            "  gates:\n    jobs: {labels: {a.b/c: -x}}\n",
            ["spec.gates.jobs.labels", "'-x' is not the value of a label", "63 letters"],
            id="no value of a label",
        ),
        pytest.param(
            "  gates:\n",
            "  gates:\n    jobs: {labels: {batch.kubernetes.io/job-name: x}}\n",
            ["spec.gates.jobs.labels", "must not contain the labels tier, release, component"],
            id="a label that is Kubernetes' own",
        ),
        pytest.param(
            "  gates:\n",
            "  gates:\n    jobs: {annotations: {a/b/c: x}}\n",
            ["spec.gates.jobs.annotations", "each key must be that of a label"],
            id="no key of an annotation",
        ),
        pytest.param(
            "release: airflow",
            "release: airflow,x!=y",
            ["spec.airflow.release", "'airflow,x!=y' is not the name of a Helm release"],
            id="a release that is a selector",
        ),
        pytest.param(
            "name: airflow\n        # The",
            "name: ../airflow\n        # The",
            ["spec.delivery.helm.chart.name", "'../airflow' is not the name of a chart"],
            id="a chart that is a path",
        ),
        pytest.param(
            "    helm:\n",
            "    helm:\n      valuesPath: airflow/config\n",
            ["spec.delivery.helm.valuesPath", "'airflow/config' is not a path of keys"],
            id="a path in the values with a slash",
        ),
        pytest.param(
            "version: 0.1.0",
            'version: ">=0"',
            ["spec.delivery.helm.chart.version", "'>=0' is not one exact version"],
            id="a range of versions",
        ),
        pytest.param(
            "service: airflow-webserver",
            "service: airflow-webserver\n      path: /airflow/",
            ["spec.airflow.api.path", "'/airflow/' is not a path", "without a trailing slash"],
            id="path of the API with a slash at its end",
        ),
        pytest.param(
            "service: airflow-webserver",
            "service: airflow-webserver\n      path: /a/../b",
            ["spec.airflow.api.path", "'/a/../b' is not a path"],
            id="path of the API that climbs",
        ),
        pytest.param(
            "service: airflow-webserver",
            "service: airflow-webserver\n      scheme: ftp",
            ["spec.airflow.api.scheme", '"ftp"', 'supported values: "http", "https"'],
            id="unknown scheme",
        ),
        pytest.param(
            "service: airflow-webserver",
            "service: airflow-webserver\n      caRef: {kind: Secret, name: ca}",
            ["spec.airflow.api", "caRef: must be omitted unless scheme is https"],
            id="an authority without TLS",
        ),
        pytest.param(
            "service: airflow-webserver",
            "service: airflow-webserver\n      scheme: https\n"
            "      caRef: {kind: Secret, name: ca, key: ../x}",
            ["spec.airflow.api.caRef.key", "'../x' is not a key of a Secret or ConfigMap"],
            id="a key that is a path",
        ),
        pytest.param(
            "service: airflow-webserver",
            "service: airflow-webserver\n      login: {type: OAuth}",
            ["spec.airflow.api.login.type", '"OAuth"', 'supported values: "Basic", "Session"'],
            id="unknown login",
        ),
        pytest.param(
            "name: demo",
            f"name: {'d' * 41}",
            ["metadata.name", "must have at most 40 characters"],
            id="name too long",
        ),
    ],
)
def test_a_bad_spec_is_refused_with_field_and_remedy(
    server: ApiServer, namespace: str, old: str, new: str, says: list[str]
) -> None:
    assert old in DEMO
    answer = apply(server, namespace, DEMO.replace(old, new, 1))
    assert answer, "it was accepted"
    for text in says:
        assert text in answer
    assert not server.kubectl_json("-n", namespace, "get", "xbr")["items"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(
            "airflow-xcom/xcom",
            "airflow-xcom/other",
            ["spec.backend.objectStorage.path", "is immutable", "engage the kill-switch"],
            id="path",
        ),
        pytest.param(
            "release: airflow",
            "release: another",
            ["spec.airflow.release", "is immutable", "create another rollout"],
            id="release",
        ),
    ],
)
def test_what_must_not_change_is_refused_with_the_way_around(
    server: ApiServer, namespace: str, old: str, new: str, says: list[str]
) -> None:
    assert not apply(server, namespace, DEMO)
    answer = apply(server, namespace, DEMO.replace(old, new, 1))
    for text in says:
        assert text in answer


def test_a_web_server_behind_tls_and_a_path_is_stored(server: ApiServer, namespace: str) -> None:
    more = (
        "service: airflow-webserver\n      scheme: https\n      path: /team-1/airflow\n"
        "      caRef: {kind: ConfigMap, name: internal.ca}\n      login: {type: Session}"
    )
    assert not apply(server, namespace, DEMO.replace("service: airflow-webserver", more))
    api = server.kubectl_json("-n", namespace, "get", "xbr", "demo")["spec"]["airflow"]["api"]
    assert api["caRef"] == {"kind": "ConfigMap", "name": "internal.ca", "key": "ca.crt"}


def test_a_status_cannot_be_written_with_the_spec(server: ApiServer, namespace: str) -> None:
    assert not apply(server, namespace, f"{DEMO}status:\n  phase: Live\n")
    assert "status" not in server.kubectl_json("-n", namespace, "get", "xbr", "demo")


def test_kubectl_explains_each_field(server: ApiServer) -> None:
    text = " ".join(server.kubectl("explain", "xbr.spec.threshold.bytes").split())
    assert "at or above which it is offloaded" in text
