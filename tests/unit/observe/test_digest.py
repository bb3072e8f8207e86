"""The digest: blind to the flip itself, and to nothing else that a proof depends on."""

import base64
import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import yaml

from xcom_rollout.clients.kube import Json
from xcom_rollout.observe.digest import (
    Desired,
    Proving,
    config_map_hash,
    secret_hash,
)
from xcom_rollout.observe.digest import digest as digest_of
from xcom_rollout.release.airflow_cfg import without_owned_options
from xcom_rollout.release.objects import PodTemplate

CFG = """
[core]
dags_folder = /opt/airflow/dags
executor = KubernetesExecutor
{backend}
[logging]
log_format = [%(asctime)s] %(message)s
{rest}
"""
BEFORE = CFG.format(backend="", rest="")
OBJECT = "xcom_backend = airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
IO = """
[common.io]
xcom_objectstorage_path = s3://c@b/p
xcom_objectstorage_threshold = {}
xcom_objectstorage_compression = gzip
"""
READERS = CFG.format(backend=OBJECT, rest=IO.format("-1"))
CUT_OVER = CFG.format(backend=OBJECT, rest=IO.format("1048576"))


def pod_template(checksum: str) -> str:
    pod = {
        "metadata": {"annotations": {"checksum/airflow-config": checksum}},
        "spec": {"containers": [{"name": "base", "image": "airflow:2"}]},
    }
    return yaml.safe_dump(pod)


@dataclass(frozen=True)
class World:
    """What a digest is made of, before anything is hashed."""

    images: dict[str, tuple[str, ...]]
    templates: tuple[PodTemplate, ...]
    config_maps: dict[str, Json | None]
    secrets: dict[str, Json | None]
    chart: tuple[str, str]
    desired: Desired
    probe: str


def digest(world: World) -> str:
    maps, kept = world.config_maps.items(), world.secrets.items()
    return digest_of(
        Proving(
            images=world.images,
            templates=world.templates,
            config_maps={
                name: None if item is None else config_map_hash(item) for name, item in maps
            },
            secrets={
                name: None if data is None else secret_hash({"data": data}) for name, data in kept
            },
            chart=world.chart,
            desired=world.desired,
            probe=world.probe,
        )
    )


def proving(cfg: str = BEFORE, checksum: str = "1") -> World:
    container = {
        "name": "scheduler",
        "image": "airflow:2",
        "env": [{"name": "A", "value": "1"}],
        "volumeMounts": [{"name": "config", "mountPath": "/opt/airflow/airflow.cfg"}],
    }
    metadata = {"annotations": {"checksum/airflow-config": checksum, "team": "data"}}
    scheduler = PodTemplate("scheduler", metadata, {"containers": [container]})
    worker = PodTemplate(
        "worker", {}, {"containers": [{**copy.deepcopy(container), "name": "base"}]}
    )
    config = {"airflow.cfg": cfg, "pod_template_file.yaml": pod_template(checksum)}
    return World(
        images={"airflow:2": ("sha256:aa",)},
        templates=(scheduler, worker),
        config_maps={"airflow-config": {"metadata": {"resourceVersion": checksum}, "data": config}},
        secrets={"keys": {"fernet": base64.b64encode(b"x").decode()}, "absent": None},
        chart=("airflow", "1.16.0"),
        desired=Desired("s3://c@b/p", "1048576", "gzip", functional_s3=True),
        probe="p",
    )


def test_it_is_the_same_at_each_step_of_the_flip() -> None:
    steps = [proving(cfg, str(n)) for n, cfg in enumerate((BEFORE, READERS, CUT_OVER, BEFORE))]
    assert len({digest(step) for step in steps}) == 1


def test_an_image_that_no_proven_template_names_is_not_in_it() -> None:
    item = proving()
    more = replace(item, images={**item.images, "my-api:1": ("sha256:bb",)})
    assert digest(more) == digest(item)


def config(item: World) -> Json:
    found = item.config_maps["airflow-config"]
    assert found is not None
    return found


def changed(change: Callable[[Any], object]) -> World:
    item = copy.deepcopy(proving())
    change(item)
    return item


CHANGES: dict[str, World] = {
    "another image behind the tag": replace(proving(), images={"airflow:2": ("sha256:bb",)}),
    "another tag": changed(
        lambda p: p.templates[0].spec["containers"][0].update(image="airflow:3")
    ),
    "a variable": changed(
        lambda p: p.templates[1].spec["containers"][0]["env"].append({"name": "B", "value": "2"})
    ),
    "an annotation that may grant rights": changed(
        lambda p: p.templates[0].metadata["annotations"].update({"iam.example/role": "r"})
    ),
    "another option of the same section": proving(CFG.format(backend="fernet_key = z", rest="")),
    "an option of the owned section that is not owned": proving(
        CFG.format(backend="", rest="[common.io]\nother = 1")
    ),
    "another section": proving(CFG.format(backend="", rest="[aws]\nsession_factory = f")),
    "the template of task pods": changed(
        lambda p: config(p)["data"].update({"pod_template_file.yaml": "spec: {}"})
    ),
    "another key of the ConfigMap": changed(lambda p: config(p)["data"].update({"local.py": "1"})),
    "a Secret's content": changed(lambda p: p.secrets["keys"].update(fernet="eQ==")),
    "a Secret that appears": replace(proving(), secrets={**proving().secrets, "absent": {}}),
    "a ConfigMap that is gone": replace(proving(), config_maps={"airflow-config": None}),
    "the chart's version": replace(proving(), chart=("airflow", "1.17.0")),
    "the path": replace(
        proving(), desired=Desired("s3://c@b/q", "1048576", "gzip", functional_s3=True)
    ),
    "the threshold": replace(
        proving(), desired=Desired("s3://c@b/p", "1048577", "gzip", functional_s3=True)
    ),
    "the compression": replace(
        proving(), desired=Desired("s3://c@b/p", "1048576", None, functional_s3=True)
    ),
    "what the gate demands": replace(
        proving(), desired=Desired("s3://c@b/p", "1048576", "gzip", functional_s3=False)
    ),
    "the samples": replace(proving(), desired=replace(proving().desired, samples="h")),
    "other samples": replace(proving(), desired=replace(proving().desired, samples="i")),
    "a request to prove anew": replace(proving(), desired=replace(proving().desired, request="1")),
    "another request": replace(proving(), desired=replace(proving().desired, request="2")),
    "the probe": replace(proving(), probe="q"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_any_other_change_changes_it(name: str) -> None:
    assert digest(CHANGES[name]) != digest(proving())


def test_each_change_has_a_digest_of_its_own() -> None:
    assert len({digest(item) for item in CHANGES.values()}) == len(CHANGES)


@pytest.mark.parametrize("key", ["webserver-secret-key", "api-secret-key", "jwt-secret"])
def test_a_key_that_the_chart_makes_anew_at_each_upgrade_does_not_void_a_proof(key: str) -> None:
    def with_keys(**keys: str) -> str:
        return digest(replace(proving(), secrets={"keys": keys}))

    before = with_keys(connection="s3://", **{key: "one"})
    assert with_keys(connection="s3://", **{key: "two"}) == before
    assert with_keys(connection="s3://other", **{key: "one"}) != before
    assert with_keys(connection="s3://") != before, "whether there is one does count"


def test_an_image_that_is_unknown_counts_by_its_reference() -> None:
    assert digest(replace(proving(), images={})) != digest(proving())


def test_a_file_that_cannot_be_parsed_counts_as_it_is() -> None:
    assert without_owned_options("no section\n") == "no section\n"


def test_interpolation_and_case_are_left_alone() -> None:
    sections = without_owned_options(READERS)
    assert not isinstance(sections, str)
    assert sections["logging"] == {"log_format": "[%(asctime)s] %(message)s"}
    assert set(sections) == {"core", "logging"}
