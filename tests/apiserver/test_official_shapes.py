"""Delivery to releases as the official chart makes them: keys made anew, objects of all kinds.

A real Helm, a real API server, and the Airflow chart of the end-to-end tests.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from harness.stack import AIRFLOW_3, STACK, merge, object_storage_values
from standin.bench import Bench
from standin.charts import CHART
from xcom_rollout.clients.errors import SecretRotated
from xcom_rollout.decide.settings import BackendSettings, object_storage
from xcom_rollout.deliver.helm import HelmDelivery
from xcom_rollout.deliver.manifests import differences
from xcom_rollout.release.objects import component_of, list_workloads

READERS = object_storage("s3://c@b/p", "-1", "gzip")
DATABASE = BackendSettings()
CHOSEN = {"jwtSecret": "rel-jwt-secret", "apiSecretKey": "rel-api-secret-key"}
"""The Secret of each key by the value of the chart that holds it."""


def install(bench: Bench, changes: Mapping[str, Any]) -> HelmDelivery:
    """Install Airflow 3 as the end-to-end tests have it, with no key but what `changes` gives."""
    values: dict[str, Any] = {}
    for file in AIRFLOW_3.values:
        merge(values, yaml.safe_load((STACK / file).read_text()))
    merge(values, {**dict.fromkeys((*CHOSEN, "fernetKey")), **changes})
    bench.helm("install", "rel", str(CHART), values=values)
    return bench.delivery("0.1.0", "airflow")


def keys(bench: Bench) -> dict[str, str]:
    """The keys of the release as they are in the cluster."""
    found = {}
    for name in (*CHOSEN.values(), "rel-fernet-key"):
        secret = bench.api.find(f"api/v1/namespaces/{bench.namespace}/secrets/{name}")
        assert secret is not None, name
        ((_, packed),) = secret["data"].items()
        found[name] = base64.b64decode(packed).decode()
    return found


def test_a_flip_is_refused_before_anything_is_touched_and_names_every_key_to_set(
    bench: Bench,
) -> None:
    delivery = install(bench, {})
    before = keys(bench)
    (said,) = delivery.forecast(READERS)
    assert "set apiSecretKey, jwtSecret in the values of the release" in said
    with pytest.raises(SecretRotated, match="apiSecretKey, jwtSecret"):
        delivery.apply(READERS, 1)
    assert (keys(bench), bench.revisions()) == (before, {1: "deployed"})


def test_one_key_that_is_missing_is_enough_and_a_secret_of_ones_own_is_not_asked_about(
    bench: Bench,
) -> None:
    delivery = install(bench, {"jwtSecretName": "own"})
    (said,) = delivery.forecast(READERS)
    assert "set apiSecretKey in the values" in said
    assert "jwtSecret" not in said


def test_a_kill_keeps_every_key_that_is_there_and_so_does_what_follows(bench: Bench) -> None:
    delivery = install(bench, {})
    before = keys(bench)
    said = delivery.apply(READERS, 1, way_back=True)
    assert (
        "wrote the present value into the values of the release (apiSecretKey, jwtSecret)" in said
    )
    assert keys(bench) == before, "no token of a running task is refused"
    assert delivery.apply(DATABASE, 2, way_back=True) == ""
    assert keys(bench) == before
    assert delivery.forecast(READERS) == (), "the next flip finds them in the values"


def test_what_the_refusal_says_to_do_keeps_the_keys_through_flip_and_kill(bench: Bench) -> None:
    install(bench, {})
    before = keys(bench)
    given = {value: before[name] for value, name in CHOSEN.items()}
    bench.helm("upgrade", "rel", str(CHART), "--reuse-values", "--no-hooks", values=given)
    delivery = bench.delivery("0.1.0", "airflow")
    assert delivery.apply(READERS, 2) == ""
    assert delivery.apply(object_storage("s3://c@b/p", "1000", "gzip"), 3) == ""
    assert delivery.apply(DATABASE, 4, way_back=True) == ""
    assert keys(bench) == before


GIVEN = {"jwtSecret": "k" * 64, "apiSecretKey": "k"}
KINDS = {
    "quotas": {"pods": "99"},
    "limits": [{"type": "Container", "max": {"cpu": "4"}}],
    "networkPolicies": {"enabled": True},
    "pgbouncer": {"enabled": True},
    "volumes": None,
    "volumeMounts": None,
    "dags": {"gitSync": {"enabled": True, "repo": "https://git.invalid/dags"}},
    "logs": {"persistence": {"enabled": True, "subPath": "logs"}},
    "splitApiServersIntoCoreAndExecution": True,
}
CELERY = {
    "executor": "CeleryExecutor",
    "triggerer": {"persistence": {"enabled": True}},
    "multiNamespaceMode": True,
    "workers": {"celery": {"sets": [{"name": "big", "queue": "big"}]}},
}


@pytest.mark.parametrize(
    ("values", "components"),
    [
        (
            KINDS,
            {"scheduler", "triggerer", "api-server", "execution-api-server", "dag-processor"},
        ),
        (CELERY, {"scheduler", "triggerer", "api-server", "dag-processor", "worker"}),
    ],
    ids=["all kinds", "Celery with claims and ClusterRoles"],
)
def test_a_release_with_objects_of_all_kinds_is_flipped_and_brought_back(
    bench: Bench, values: dict[str, Any], components: set[str]
) -> None:
    delivery = install(bench, {**GIVEN, **values})
    found = list_workloads(bench.api, bench.namespace, "rel")
    assert {component_of(item) for item in found} == components
    before = bench.helm("get", "manifest", "rel")
    assert delivery.forecast(READERS) == ()
    assert delivery.apply(READERS, 1) == ""
    assert delivery.apply(DATABASE, 2, way_back=True) == ""
    assert not differences(before, bench.helm("get", "manifest", "rel"))
    bench.helm("uninstall", "rel", "--no-hooks")


SCALED = {
    "executor": "CeleryExecutor",
    "workers": {"keda": {"enabled": True}, "persistence": {"enabled": False}},
}
SCALED_OBJECTS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "scaledobjects.keda.sh"},
    "spec": {
        "group": "keda.sh",
        "scope": "Namespaced",
        "names": {"kind": "ScaledObject", "plural": "scaledobjects", "singular": "scaledobject"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}
"""The kind of KEDA's that its own definition has; what acts on it is not here."""


def objects_of(bench: Bench, plural: str) -> list[dict[str, Any]]:
    found = bench.server.kubectl_json("-n", bench.namespace, "get", plural)["items"]
    return [item["spec"] for item in found]


@pytest.mark.parametrize("workers", [0, 3])
def test_as_many_workers_as_keda_has_are_left_through_flip_and_kill(
    bench: Bench, workers: int
) -> None:
    bench.server.apply(json.dumps(SCALED_OBJECTS))
    bench.server.kubectl("wait", "--for=condition=Established", "crd/scaledobjects.keda.sh")
    delivery = install(bench, {**GIVEN, **SCALED})
    scale = ("scale", "deployment/rel-worker", f"--replicas={workers}")
    bench.server.kubectl("-n", bench.namespace, *scale)
    before = objects_of(bench, "scaledobjects.keda.sh")
    assert len(before) == 1
    assert delivery.forecast(READERS) == ()
    for revision, settings in enumerate((READERS, DATABASE), 1):
        assert delivery.apply(settings, revision, way_back=settings == DATABASE) == ""
        (found,) = (
            item
            for item in list_workloads(bench.api, bench.namespace, "rel")
            if component_of(item) == "worker"
        )
        assert found["spec"]["replicas"] == workers
        assert objects_of(bench, "scaledobjects.keda.sh") == before
    bench.helm("uninstall", "rel", "--no-hooks")


def jwt(letter: str) -> dict[str, str]:
    return {"jwtSecret": letter * 64, "apiSecretKey": "k"}


def upgrade(bench: Bench, changes: Mapping[str, Any]) -> None:
    bench.helm("upgrade", "rel", str(CHART), "--reuse-values", "--no-hooks", values=dict(changes))


def test_the_last_resort_takes_a_revision_with_the_keys_that_are_there(bench: Bench) -> None:
    delivery = install(bench, jwt("b"))
    upgrade(bench, jwt("a"))
    upgrade(bench, {**jwt("b"), **_readers()})
    said = delivery.roll_back(DATABASE, 3)
    assert "rolled back to revision 1" in said
    assert "Secret" not in said
    assert keys(bench)["rel-jwt-secret"] == "b" * 64


def _readers() -> dict[str, Any]:
    values = object_storage_values(-1)
    common_io = {"xcom_objectstorage_path": "s3://c@b/p", "xcom_objectstorage_compression": "gzip"}
    merge(values, {"config": {"common.io": common_io}})
    return values
