"""Shapes of real releases that the flip has to see: a component of a team's own, one that stays."""

from __future__ import annotations

import copy

import pytest

from standin.driver import Driver
from standin.kube import Json
from standin.place import PATH, THRESHOLD, Place
from standin.story import is_live

pytestmark = pytest.mark.timeout(300)


def until_reason(driver: Driver, reason: str) -> None:
    wanted = f"True ({reason})"
    driver.until(reason, lambda _: driver.place.conditions().get("Stalled") == wanted, 60)


def own_component(place: Place) -> Json:
    """Add a Deployment of a team's own, with Airflow's image beside another container."""
    path = f"/apis/apps/v1/namespaces/{place.namespace}/deployments"
    item = copy.deepcopy(place.kube.get(f"{path}/airflow-scheduler"))
    labels = item["metadata"]["labels"] | {"component": "my-api"}
    item["metadata"] = {"name": "my-api", "labels": labels}
    item["spec"]["selector"] = {"matchLabels": {"component": "my-api"}}
    template = item["spec"]["template"]
    template["metadata"] = {"labels": {**template["metadata"]["labels"], "component": "my-api"}}
    [main] = [each for each in template["spec"]["containers"] if each["name"] == "scheduler"]
    main["name"] = "api"
    template["spec"]["containers"] = [main, {"name": "proxy", "image": "proxy:1"}]
    item.pop("status")
    made: Json = place.kube.create(path, item)
    return made


def restart(place: Place, name: str) -> None:
    pods = f"/api/v1/namespaces/{place.namespace}/pods"
    for item in place.kube.list(pods, f"component={name}"):
        place.kube.delete(f"{pods}/{item['metadata']['name']}")


def test_what_a_delivery_does_not_replace_holds_it_before_and_after(place: Place) -> None:
    paused = f"/apis/apps/v1/namespaces/{place.namespace}/deployments/airflow-webserver"
    place.kube.merge(paused, {"spec": {"paused": True}})
    own_component(place)
    place.declare()
    driver = Driver(place)
    until_reason(driver, "PodsWouldNotRoll")
    assert "airflow-webserver: it is paused" in place.said()
    assert place.probes == []
    assert place.revision().number == 1

    place.kube.merge(paused, {"spec": {"paused": False}})
    wanted = "kubectl rollout restart deployment my-api"
    for threshold in ("-1", str(THRESHOLD)):
        driver.until("a word about my-api", lambda _: wanted in place.said())
        assert place.revision().offload == (PATH, threshold)
        restart(place, "my-api")
        driver.until("its new pod", lambda _: wanted not in place.said())
    driver.until("a live rollout", is_live)
