"""What a delivery may change of a release, and what it may not."""

from typing import Any

import pytest
import yaml

from xcom_rollout.deliver.manifests import blocking, differences, mark_unstable, name_some, rotated

CFG = "[core]\nparallelism = 7\n{backend}\n[common.io]\n{path}\n"
BEFORE = CFG.format(backend="", path="")
AFTER = CFG.format(
    backend="xcom_backend = airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
    path="xcom_objectstorage_path = s3://c@b/p\nxcom_objectstorage_threshold = -1",
)


def config(cfg: str, **more: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "airflow-config"},
        "data": {"airflow.cfg": cfg, **more},
    }


def deployment(
    checksum: str = "a", *, env: list[dict[str, str]] | None = None, **spec: Any
) -> dict[str, Any]:
    container = {"name": "scheduler", "image": "airflow", **({} if env is None else {"env": env})}
    annotations = {"checksum/airflow-config": checksum} if checksum else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "airflow-scheduler", "labels": {"tier": "airflow"}},
        "spec": {
            "replicas": 1,
            **spec,
            "template": {
                "metadata": {**({"annotations": annotations} if annotations else {})},
                "spec": {"containers": [container, {"name": "sidecar", "image": "b"}]},
            },
        },
    }


def secret(key: str, value: str) -> dict[str, Any]:
    metadata = {"name": f"airflow-{key}"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {key: value}}


def manifest(*objects: dict[str, Any]) -> str:
    return "".join(f"---\n# Source: a/templates/{o['kind']}.yaml\n{yaml.dump(o)}" for o in objects)


def test_the_same_objects_in_another_order_do_not_differ() -> None:
    assert (
        differences(manifest(config(BEFORE), deployment()), manifest(deployment(), config(BEFORE)))
        == ()
    )


def test_a_flip_changes_four_options_and_checksums() -> None:
    found = differences(
        manifest(config(BEFORE), deployment("a")), manifest(config(AFTER), deployment("b"))
    )
    assert len(found) == 2
    assert all(one.allowed for one in found)
    assert not blocking(found)


@pytest.mark.parametrize("checksums", [("", "a"), ("a", "")])
def test_a_checksum_may_come_and_go(checksums: tuple[str, str]) -> None:
    found = differences(*(manifest(deployment(one)) for one in checksums))
    assert [one.allowed for one in found] == [True]


def test_the_options_as_environment_variables_are_the_flips_too() -> None:
    other = {"name": "A", "value": "1"}
    owned = {"name": "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH", "value": "s3://c@b/p"}
    for before, after in (([other], [owned, other]), (None, [owned]), ([owned], None)):
        found = differences(manifest(deployment(env=before)), manifest(deployment(env=after)))
        assert found
        assert not blocking(found)
    assert blocking(differences(manifest(deployment()), manifest(deployment(env=[other, owned]))))


def test_another_option_in_airflow_cfg_is_named() -> None:
    after = AFTER.replace("parallelism = 7", "parallelism = 8")
    (found,) = blocking(differences(manifest(config(BEFORE)), manifest(config(after))))
    assert str(found) == ("ConfigMap airflow-config data[airflow.cfg][core.parallelism] changed")


def test_yaml_in_a_config_map_is_compared_by_its_places() -> None:
    def pod(checksum: str, image: str) -> str:
        metadata = {"annotations": {"checksum/airflow-config": checksum}}
        return yaml.dump({"metadata": metadata, "spec": {"containers": [{"image": image}]}})

    key = "pod_template_file.yaml"
    before = manifest(config(BEFORE, **{key: pod("a", "x")}))
    assert not blocking(differences(before, manifest(config(AFTER, **{key: pod("b", "x")}))))
    (found,) = blocking(differences(before, manifest(config(AFTER, **{key: pod("b", "y")}))))
    assert found.path == f"data[{key}].spec.containers[0].image"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ([deployment(), config(BEFORE)], [config(AFTER)], "Deployment airflow-scheduler removed"),
        ([config(BEFORE)], [config(AFTER), deployment()], "Deployment airflow-scheduler added"),
        (
            [deployment(replicas=3)],
            [deployment()],
            "Deployment airflow-scheduler spec.replicas changed",
        ),
    ],
)
def test_what_a_post_renderer_did_blocks_by_name(
    before: list[dict[str, Any]], after: list[dict[str, Any]], says: str
) -> None:
    assert name_some(blocking(differences(manifest(*before), manifest(*after)))) == says


def test_a_patched_container_is_named_by_its_name() -> None:
    after = deployment()
    after["spec"]["template"]["spec"]["containers"][1]["image"] = "c"
    (found,) = blocking(differences(manifest(deployment()), manifest(after)))
    assert found.path == "spec.template.spec.containers.sidecar.image"


@pytest.mark.parametrize(
    ("key", "value"), [("jwt-secret", "jwtSecret"), ("api-secret-key", "apiSecretKey")]
)
def test_a_key_of_airflow_3_made_at_each_upgrade_is_named_with_its_value(
    key: str, value: str
) -> None:
    found = differences(manifest(secret(key, "b2xk")), manifest(secret(key, "bmV3")))
    assert not blocking(found)
    (changed,) = rotated(found)
    assert (changed.values_key, changed.path) == (value, f"data.{key}")
    assert "b2xk" not in repr(found)
    assert "bmV3" not in repr(found)


def test_the_web_servers_key_alone_ends_no_task_on_airflow_2() -> None:
    key = "webserver-secret-key"
    old, new = secret(key, "b2xk"), secret(key, "bmV3")
    assert not rotated(differences(manifest(old), manifest(new)))
    jwt = secret("jwt-secret", "eA==")
    (found,) = rotated(differences(manifest(old, jwt), manifest(new, jwt)))
    assert found.values_key == "webserverSecretKey"


def test_another_secret_that_changes_is_a_rotated_one_without_a_value_to_name() -> None:
    (found,) = rotated(
        differences(manifest(secret("own", "eA==")), manifest(secret("own", "eQ==")))
    )
    assert found.values_key == ""


def test_a_key_that_a_secret_gains_or_loses_is_not_a_rotation() -> None:
    before, after = secret("a", "eA=="), secret("a", "eA==")
    after["data"]["b"] = "eA=="
    assert len(blocking(differences(manifest(before), manifest(after)))) == 1
    assert len(blocking(differences(manifest(after), manifest(before)))) == 1


def annotated(kind: str, value: str, where: str = "annotations") -> dict[str, Any]:
    template = {"metadata": {where: {"rollme": value}}, "spec": {"containers": []}}
    return {
        "apiVersion": "x/v1",
        "kind": kind,
        "metadata": {"name": "a"},
        "spec": {"template": template},
    }


def in_a_file(value: str) -> dict[str, Any]:
    pod = {"metadata": {"annotations": {"rollme": value}}, "spec": {}}
    return config(BEFORE, **{"pod_template_file.yaml": yaml.dump(pod)})


@pytest.mark.parametrize(
    ("made", "stops"),
    [
        (lambda value: annotated("Deployment", value), False),
        (lambda value: annotated("StatefulSet", value), False),
        (in_a_file, False),
        # The template of a Job cannot be changed.
        (lambda value: annotated("Job", value), True),
        (lambda value: annotated("Deployment", value, "labels"), True),
        (lambda value: config(BEFORE.replace("= 7", f"= {value}")), True),
    ],
    ids=["a Deployment", "a StatefulSet", "task pods", "a Job", "a label", "an option"],
)
def test_what_is_made_anew_at_each_render_stops_nothing_where_a_roll_may_change_it(
    made: Any, stops: bool
) -> None:
    before, first, second = (manifest(made(value)) for value in ("1", "2", "3"))
    found = differences(before, first)
    assert blocking(found), "it may be somebody's change"
    marked = mark_unstable(found, first, second)
    assert [one.unstable for one in marked] == [True]
    assert bool(blocking(marked)) is stops
    assert blocking(mark_unstable(found, first, first)) == blocking(found)


def test_a_change_beside_what_is_made_anew_still_stops_a_delivery() -> None:
    before, first, second = (
        manifest(annotated("Deployment", value), deployment(replicas=replicas))
        for value, replicas in (("1", 3), ("2", 1), ("3", 1))
    )
    (stopped,) = blocking(mark_unstable(differences(before, first), first, second))
    assert (stopped.path, stopped.unstable) == ("spec.replicas", False)


def test_what_is_not_yaml_is_named_by_its_template() -> None:
    text = "---\n# Source: a/templates/x.yaml\na: [{}\n"
    found = differences(text.format("1"), text.format("2"))
    assert [str(one) for one in blocking(found)] == ["Template a/templates/x.yaml changed"]


def test_types_count() -> None:
    found = differences(manifest(deployment(paused=True)), manifest(deployment(paused=1)))
    assert len(blocking(found)) == 1


def test_a_message_names_five_of_many() -> None:
    found = differences("", manifest(*(secret(f"s{n}", "eA==") for n in range(7))))
    assert name_some(found).endswith("Secret airflow-s4 added and 2 more")
