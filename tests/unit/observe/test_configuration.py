"""Which image references stand for what, and what is said of the options that a flip owns."""

import hashlib
import json
from collections.abc import Callable
from typing import TypeVar, cast

import pytest

from xcom_rollout.clients.kube import Json
from xcom_rollout.observe.configuration import backend_hash, image_ids
from xcom_rollout.release.catalog import Catalog

T = TypeVar("T")


def pod(component: str, image: str, image_id: str) -> Json:
    return {
        "metadata": {"name": "p", "labels": {"component": component}},
        "spec": {"containers": [{"name": component, "image": image}, {"name": "s", "image": "s"}]},
        "status": {
            "containerStatuses": [
                {"name": "s", "image": "docker.io/library/s", "imageID": "s-id"},
                {"name": component, "image": f"docker.io/library/{image}", "imageID": image_id},
            ]
        },
    }


def test_long_lived_pods_tell_what_a_reference_stands_for() -> None:
    pods = [pod("scheduler", "a:1", "x"), pod("webserver", "a:1", "x"), pod("triggerer", "b", "y")]
    assert image_ids(pods) == {"a:1": ("x",), "b": ("y",)}


def test_a_tag_that_moved_stands_for_both_until_the_old_pods_are_gone() -> None:
    assert image_ids([pod("scheduler", "a", "y"), pod("webserver", "a", "x")]) == {"a": ("x", "y")}


def test_task_pods_and_pods_without_an_image_yet_tell_nothing() -> None:
    assert image_ids([pod("worker", "a", "x"), pod("scheduler", "a", "")]) == {}


def test_a_component_that_nobody_knows_tells_nothing() -> None:
    pods = [pod("scheduler", "a", "x"), pod("my-api", "a", "y"), pod("my-api", "own", "z")]
    assert image_ids(pods) == {"a": ("x",)}


class Maps:
    def __init__(self, data: dict[str, dict[str, str]]) -> None:
        self.data = data

    def fact(self, name: str, derive: Callable[[Json], T]) -> T | None:
        return derive({"data": self.data[name]}) if name in self.data else None


def hash_of(**data: dict[str, str]) -> str:
    names = sorted({*data, "absent"})
    return backend_hash(names, cast("Catalog", Maps(data)))


DATABASE = {"airflow.cfg": "[core]\nexecutor = KubernetesExecutor\n"}
OBJECT = {"airflow.cfg": "[core]\nxcom_backend = a.B\n[common.io]\nxcom_objectstorage_path = p\n"}


@pytest.mark.parametrize("cfg", [DATABASE, OBJECT])
def test_a_config_map_that_says_nothing_of_the_options_changes_no_hash(
    cfg: dict[str, str],
) -> None:
    assert hash_of(cfg=cfg, other={"FOO": "1"}) == hash_of(cfg=cfg)
    assert hash_of(cfg=cfg, other={"AIRFLOW__CORE__XCOM_BACKEND": ""}) != hash_of(cfg=cfg)
    assert hash_of(cfg=OBJECT, other=DATABASE) == hash_of(cfg=OBJECT)
    assert hash_of(cfg=DATABASE) != hash_of(cfg=OBJECT)


@pytest.mark.parametrize(("cfg", "backend", "path"), [(DATABASE, None, None), (OBJECT, "a.B", "p")])
def test_what_was_recorded_for_the_file_of_the_chart_is_still_the_same(
    cfg: dict[str, str], backend: str | None, path: str | None
) -> None:
    options = {
        "core/xcom_backend": backend,
        "common.io/xcom_objectstorage_path": path,
        "common.io/xcom_objectstorage_threshold": None,
        "common.io/xcom_objectstorage_compression": None,
    }
    recorded = hashlib.sha256(json.dumps({"cfg": options}, sort_keys=True).encode())
    names, maps = ["cfg"], cast("Catalog", Maps({"cfg": cfg}))
    assert backend_hash(names, maps) == recorded.hexdigest()[:16]
