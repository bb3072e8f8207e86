"""The container that runs Airflow, its configuration, and the template of task pods."""

import pytest

from xcom_rollout.clients.errors import ActionFailed
from xcom_rollout.release.objects import (
    PodTemplate,
    environment_config_maps,
    main_container,
    mounted_config_maps,
    mounted_volumes,
    secrets,
)

TEMPLATE = PodTemplate(
    "scheduler",
    {},
    {
        "containers": [
            {
                "name": "scheduler",
                "env": [
                    {"name": "PLAIN", "value": "1"},
                    {"name": "S", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "k"}}},
                    {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "one", "key": "k"}}},
                    {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
                "envFrom": [
                    {"configMapRef": {"name": "all"}},
                    {"secretRef": {"name": "many"}},
                ],
                "volumeMounts": [
                    {"name": "config", "mountPath": "/a"},
                    {"name": "mixed", "mountPath": "/b"},
                    {"name": "tls", "mountPath": "/c"},
                ],
            },
            {"name": "log-groomer", "envFrom": [{"secretRef": {"name": "not-airflow"}}]},
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": "airflow-config"}},
            {"name": "tls", "secret": {"secretName": "cert"}},
            {
                "name": "mixed",
                "projected": {
                    "sources": [
                        {"configMap": {"name": "projected"}},
                        {"secret": {"name": "projected-secret"}},
                        {"serviceAccountToken": {"path": "t"}},
                    ]
                },
            },
            {"name": "unused", "configMap": {"name": "sidecar-config"}},
        ],
    },
)


def test_only_what_the_main_container_uses_counts() -> None:
    assert mounted_config_maps(TEMPLATE) == {"airflow-config", "projected"}
    assert environment_config_maps(TEMPLATE) == {"all", "one"}
    assert secrets(TEMPLATE) == {"keys", "many", "cert", "projected-secret"}
    assert [volume["name"] for volume in mounted_volumes(TEMPLATE)] == ["config", "tls", "mixed"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["sidecar", "scheduler"], "scheduler"),
        (["sidecar", "base"], "base"),
        (["anything"], "anything"),
    ],
)
def test_the_main_container_is_told_by_its_name(names: list[str], expected: str) -> None:
    assert main_container([{"name": name} for name in names], "scheduler")["name"] == expected


@pytest.mark.parametrize("names", [[], ["one", "two"]])
def test_a_pod_whose_main_container_cannot_be_told_is_refused(names: list[str]) -> None:
    with pytest.raises(ActionFailed, match="the one that runs Airflow cannot be determined"):
        main_container([{"name": name} for name in names], "scheduler")
