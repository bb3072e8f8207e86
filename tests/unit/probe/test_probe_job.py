"""The Job keeps what decides what Airflow sees, and nothing that would spoil it."""

import copy
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from simulation import Simulation
from xcom_rollout.act.run_job import differing
from xcom_rollout.api.names import JOB_COMPONENT
from xcom_rollout.api.v1alpha1 import JobsGate
from xcom_rollout.cache.selectors import matches, parse_selector
from xcom_rollout.clients.errors import ActionFailed
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.actions import RunJob
from xcom_rollout.decide.ledger import Component
from xcom_rollout.decide.observed import JobKind, Rollout
from xcom_rollout.probe.job import Mounts, RunsFile, probe_job
from xcom_rollout.release.objects import PodTemplate
from xcom_rollout.release.readers import READERS, readers_of

MAIN: Json = {
    "name": "scheduler",
    "image": "airflow:2.11",
    "imagePullPolicy": "IfNotPresent",
    "args": ["bash", "-c", "exec airflow scheduler"],
    "env": [
        {"name": "AIRFLOW_HOME", "value": "/opt/airflow"},
        {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "airflow-config", "key": "x"}}},
    ],
    "envFrom": [{"configMapRef": {"name": "extra"}}, {"secretRef": {"name": "secrets"}}],
    "resources": {"limits": {"memory": "1Gi"}},
    "securityContext": {"allowPrivilegeEscalation": False},
    "livenessProbe": {"httpGet": {"path": "/health", "port": 8974}},
    "lifecycle": {"preStop": {"exec": {"command": ["x"]}}},
    "ports": [{"containerPort": 8974, "hostPort": 8974}],
    "volumeMounts": [
        {"name": "config", "mountPath": "/opt/airflow/airflow.cfg", "subPath": "airflow.cfg"},
        {"name": "logs", "mountPath": "/opt/airflow/logs"},
    ],
}
TEMPLATE = PodTemplate(
    "scheduler",
    {
        "labels": {
            "tier": "airflow",
            "component": "scheduler",
            "release": "airflow",
            "azure.workload.identity/use": "true",
            "kubernetes_executor": "True",
            "airflow-worker": "7",
        },
        "annotations": {"checksum/airflow-config": "1", "iam.example/role": "r"},
    },
    {
        "serviceAccountName": "airflow-scheduler",
        "securityContext": {"runAsUser": 50000},
        "nodeSelector": {"pool": "airflow"},
        "tolerations": [{"key": "t", "operator": "Exists"}],
        "imagePullSecrets": [{"name": "pull"}],
        "affinity": {
            "nodeAffinity": {"x": 1},
            "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []},
        },
        "topologySpreadConstraints": [{"maxSkew": 1}],
        "initContainers": [{"name": "wait-for-airflow-migrations", "image": "airflow:2.11"}],
        "containers": [MAIN, {"name": "log-groomer", "image": "airflow:2.11"}],
        "volumes": [
            {"name": "config", "configMap": {"name": "airflow-config"}},
            {"name": "groomer", "emptyDir": {}},
        ],
    },
)
ACTION = RunJob(
    JobKind.PROOF, Component.SCHEDULER, 2, "abc", None, ("prove", "--expect-path", "s3://c@b/p")
)


@pytest.fixture
def rollout() -> Rollout:
    return Simulation([]).observe().rollout


def made(rollout: Rollout, action: RunJob = ACTION, mounts: Mounts | None = None) -> Json:
    template = copy.deepcopy(TEMPLATE)
    job = probe_job(rollout, action, template, mounts or Mounts("the-probe"))
    assert template == TEMPLATE, "the template is not ours to change"
    json.dumps(job)
    return job


def pod_of(job: Json) -> Json:
    spec: Json = job["spec"]["template"]["spec"]
    return spec


def test_what_decides_what_airflow_sees_is_kept(rollout: Rollout) -> None:
    pod = pod_of(made(rollout))
    (container,) = pod["containers"]
    for field in ("image", "imagePullPolicy", "env", "envFrom", "resources", "securityContext"):
        assert container[field] == MAIN[field]
    for field in ("serviceAccountName", "securityContext", "nodeSelector", "tolerations"):
        assert pod[field] == TEMPLATE.spec[field]
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert pod["affinity"] == {"nodeAffinity": {"x": 1}}
    assert container["volumeMounts"][:2] == MAIN["volumeMounts"]


def test_what_would_spoil_the_proof_is_left_out(rollout: Rollout) -> None:
    pod = pod_of(made(rollout))
    assert not {"initContainers", "topologySpreadConstraints"} & pod.keys()
    (container,) = pod["containers"]
    assert not {"livenessProbe", "lifecycle", "ports", "args"} & container.keys()
    assert [volume["name"] for volume in pod["volumes"]] == ["config", "logs", "xcom-probe"]
    assert pod["restartPolicy"] == "Never"


def test_the_static_audit_keeps_what_brings_the_dags(rollout: Rollout) -> None:
    sync = {
        "name": "git-sync-init",
        "image": "git-sync",
        "volumeMounts": [{"name": "dags", "mountPath": "/git"}, {"name": "key", "mountPath": "/k"}],
    }
    proxy = {"name": "istio-proxy", "image": "proxy", "restartPolicy": "Always"}
    main = {**MAIN, "volumeMounts": [*MAIN["volumeMounts"], {"name": "dags", "mountPath": "/dags"}]}
    synced = replace(
        TEMPLATE,
        spec={
            **TEMPLATE.spec,
            "initContainers": [*TEMPLATE.spec["initContainers"], sync, proxy],
            "containers": [main],
            "volumes": [
                {"name": "config", "configMap": {"name": "airflow-config"}},
                {"name": "dags", "emptyDir": {}},
                {"name": "key", "secret": {"secretName": "git"}},
                {"name": "groomer", "emptyDir": {}},
            ],
        },
    )
    for kind in JobKind:
        job = probe_job(rollout, replace(ACTION, kind=kind), synced, Mounts("the-probe"))
        pod = pod_of(job)
        kept = [sync] if kind is JobKind.AUDIT_STATIC else []
        assert pod.get("initContainers", []) == kept
        names = {volume["name"] for volume in pod["volumes"]}
        assert names >= {"config", "dags"}
        assert ("key" in names) is bool(kept)


def test_nothing_takes_the_pod_for_one_of_airflow(rollout: Rollout) -> None:
    job = made(rollout)
    template = job["spec"]["template"]
    metadata = template["metadata"]
    assert readers_of([template]) == []
    for component in (*READERS, "flower", "pgbouncer", "redis", "statsd"):
        of_chart = f"tier=airflow,component={component},release=airflow"
        assert not matches(parse_selector(of_chart), metadata["labels"])
    assert not {"kubernetes_executor", "airflow-worker"} & metadata["labels"].keys()
    assert metadata["labels"]["azure.workload.identity/use"] == "true"
    assert metadata["labels"]["sidecar.istio.io/inject"] == "false"
    assert metadata["annotations"]["iam.example/role"] == "r"
    assert "checksum/airflow-config" not in metadata["annotations"]


def test_policies_that_let_airflows_pods_through_let_the_job_through(rollout: Rollout) -> None:
    labels = made(rollout)["spec"]["template"]["metadata"]["labels"]
    # The chart's own, in front of PgBouncer.
    assert matches(parse_selector("tier=airflow,release=airflow"), labels)
    assert labels["component"] == JOB_COMPONENT


def test_a_mesh_gets_the_labels_and_annotations_that_the_spec_names(rollout: Rollout) -> None:
    given = {"istio.io/dataplane-mode": "ambient", "sidecar.istio.io/inject": "true"}
    jobs = JobsGate(labels=given, annotations={"a.b/c": "d"})
    gates = rollout.spec.gates.model_copy(update={"jobs": jobs})
    spec = rollout.spec.model_copy(update={"gates": gates})
    metadata = made(replace(rollout, spec=spec))["spec"]["template"]["metadata"]
    assert given.items() <= metadata["labels"].items()
    assert metadata["labels"]["component"] == JOB_COMPONENT
    assert metadata["annotations"]["a.b/c"] == "d"
    assert "linkerd.io/inject" in metadata["annotations"]


def test_a_volume_that_a_statefulset_would_claim_becomes_an_empty_folder(rollout: Rollout) -> None:
    volumes = {volume["name"]: volume for volume in pod_of(made(rollout))["volumes"]}
    assert volumes["logs"] == {"name": "logs", "emptyDir": {}}


def test_the_job_is_bounded_and_belongs_to_the_rollout(rollout: Rollout) -> None:
    job = made(rollout)
    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["activeDeadlineSeconds"] == 300
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["kind"]) == (rollout.uid, "XComBackendRollout")


def test_the_probe_is_mounted_and_run(rollout: Rollout) -> None:
    pod = pod_of(made(rollout))
    (container,) = pod["containers"]
    assert container["command"] == [
        "python",
        "/opt/xcom-probe/xcom_probe.pyz",
        "prove",
        "--expect-path",
        "s3://c@b/p",
        "--markers",
    ]
    assert pod["volumes"][-1] == {"name": "xcom-probe", "configMap": {"name": "the-probe"}}


def test_runs_to_look_at_are_a_file(rollout: Rollout) -> None:
    pod = pod_of(made(rollout, mounts=Mounts("p", runs=RunsFile("the-runs"))))
    (container,) = pod["containers"]
    assert container["command"][-3:-1] == ["--runs-file", "/opt/xcom-probe-runs/runs.json"]
    assert container["volumeMounts"][-1]["mountPath"] == "/opt/xcom-probe-runs"


def test_samples_are_a_folder_that_only_can_be_read(rollout: Rollout) -> None:
    pod = pod_of(made(rollout, replace(ACTION, samples="mine")))
    (container,) = pod["containers"]
    assert container["command"][-3:] == ["--samples", "/opt/xcom-probe-samples", "--markers"]
    mount = container["volumeMounts"][-1]
    assert (mount["mountPath"], mount["readOnly"]) == ("/opt/xcom-probe-samples", True)
    assert pod["volumes"][-1] == {"name": mount["name"], "configMap": {"name": "mine"}}


def test_an_audit_may_take_as_long_as_the_spec_says(rollout: Rollout) -> None:
    audit = replace(ACTION, kind=JobKind.AUDIT_DYNAMIC, deadline=timedelta(hours=2))
    assert made(rollout, audit)["spec"]["activeDeadlineSeconds"] == 7200


@pytest.mark.parametrize("kind", JobKind)
def test_a_job_of_any_kind_has_an_end(rollout: Rollout, kind: JobKind) -> None:
    assert made(rollout, replace(ACTION, kind=kind))["spec"]["activeDeadlineSeconds"] >= 120


def test_a_candidate_stands_in_for_each_reference_to_its_original(rollout: Rollout) -> None:
    replaced = {"airflow-config": "copy", "extra": "extra-copy"}
    pod = pod_of(made(rollout, mounts=Mounts("p", replaced=replaced)))
    (container,) = pod["containers"]
    assert pod["volumes"][0]["configMap"]["name"] == "copy"
    assert container["envFrom"][0]["configMapRef"]["name"] == "extra-copy"
    assert container["env"][1]["valueFrom"]["configMapKeyRef"]["name"] == "copy"
    assert container["envFrom"][1] == {"secretRef": {"name": "secrets"}}


def test_a_candidate_is_what_differs_from_the_cluster() -> None:
    live = {"airflow-config": {"data": {"x": "1"}}, "extra": {"data": {"y": "1"}}}
    rendered: dict[str, Json] = {
        "airflow-config": {"data": {"x": "2"}},
        "extra": {"data": {"y": "1"}, "binaryData": None},
        "unrelated": {"data": {"z": "1"}},
    }
    assert differing(TEMPLATE, live, rendered) == {
        "airflow-config": {"data": {"x": "2"}, "binaryData": {}}
    }


def test_a_template_whose_main_container_cannot_be_told_is_refused(rollout: Rollout) -> None:
    strange = PodTemplate("scheduler", {}, {"containers": [{"name": "a"}, {"name": "b"}]})
    with pytest.raises(ActionFailed, match="a, b of the scheduler pod"):
        probe_job(rollout, ACTION, strange, Mounts("p"))
