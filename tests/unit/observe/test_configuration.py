"""Which image references stand for what."""

from xcom_rollout.clients.kube import Json
from xcom_rollout.observe.configuration import image_ids


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
