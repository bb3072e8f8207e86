"""A kubelet that has not heard of a delivery yet gives a task the configuration of before."""

from __future__ import annotations

from datetime import timedelta

import pytest

from standin.airflow import FOREVER, Run
from standin.driver import Driver
from standin.place import PATH, RELEASE, VALUES, Place
from standin.settings import Loaded
from standin.story import is_live

pytestmark = pytest.mark.timeout(300)


LAG = timedelta(seconds=60)
"""So long that no slow machine lets it pass by itself."""


def settling(driver: Driver) -> None:
    """Go on until a late kubelet is all that is waited for."""
    driver.until("settling", lambda _: "ConfigurationSettling" in driver.place.said())


def loaded_by_scheduler(place: Place) -> Loaded:
    path = f"/api/v1/namespaces/{place.namespace}/pods"
    (pod,) = place.kube.list(path, f"component=scheduler,release={RELEASE}")
    return place.node.loaded(pod["metadata"]["uid"])


def two_tasks(place: Place, before: Loaded) -> tuple[Run, Run]:
    """Return runs whose first tasks do not end: one of them mounts `before`, one what is there."""
    late = place.airflow.trigger("late", "mounts-before", (FOREVER, 2000), (1, 10))
    with place.node.late(before):
        place.tick()
    new = place.airflow.trigger("new", "mounts-now", (FOREVER, 2000), (1, 10))
    place.tick()
    return late, new


def until_only_the_late_one_is_waited_for(driver: Driver) -> None:
    driver.until("an old task", lambda _: "OldTasksRunning" in driver.place.said())
    assert "late/mounts-before" in driver.place.said()
    assert "new/mounts-now" not in driver.place.said()


def test_a_kill_waits_for_a_task_that_began_with_what_was_there_before_and_for_no_other(
    place: Place,
) -> None:
    place.declare()
    driver = Driver(place, mount_lag=LAG)
    settling(driver)
    driver.ahead += LAG
    driver.until("a live rollout", is_live)
    before = loaded_by_scheduler(place)
    place.kill()
    settling(driver)
    late, new = two_tasks(place, before)
    driver.ahead += LAG
    until_only_the_late_one_is_waited_for(driver)

    place.airflow.let_all_end(1)
    driver.until("a finished kill", lambda s: s.get("phase") == "Reverted")
    driver.until("ended runs", lambda _: all(run.state == "success" for run in (late, new)))
    assert (late.fails, late.clears, late.rows) == (1, 1, 0), "what it offloaded was found"
    assert (new.fails, new.clears, new.rows) == (0, 0, 0)
    assert (place.airflow.hazards, place.airflow.paused) == ([], set())
    assert place.revision().values == VALUES


def test_no_cut_over_comes_before_a_task_has_ended_that_began_without_the_new_backend(
    place: Place,
) -> None:
    before = loaded_by_scheduler(place)
    place.declare()
    driver = Driver(place, mount_lag=LAG)
    settling(driver)
    late, new = two_tasks(place, before)
    driver.ahead += LAG
    until_only_the_late_one_is_waited_for(driver)
    driver.turns(3)
    assert place.revision().offload == (PATH, "-1")

    place.airflow.let_all_end(1)
    driver.until("a live rollout", is_live)
    driver.until("ended runs", lambda _: all(run.state == "success" for run in (late, new)))
    assert place.airflow.hazards == []
