"""A store serves what it surely knows, and nothing that is older than what was seen already."""

import threading
from typing import Any

import pytest

from xcom_rollout.cache.kept import AS_OBJECTS, COMPRESSED, Form
from xcom_rollout.cache.store import SILENCE, Store


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def item(name: str, namespace: str = "n", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, **more}


def names(store: Store, namespace: str = "n", at_least: int = 0) -> list[str] | None:
    found = store.read(namespace, at_least)
    return None if found is None else sorted(each["metadata"]["name"] for each in found)


def test_before_the_first_list_it_serves_nobody() -> None:
    assert names(Store()) is None
    assert Store().find("n", "a", 0) == (False, None)


@pytest.mark.parametrize("form", [AS_OBJECTS, COMPRESSED])
def test_after_a_list_what_is_not_in_it_is_not_there(form: Form) -> None:
    store = Store(form)
    store.replace([item("a"), item("b"), item("a", "other")], 7)
    assert names(store) == ["a", "b"]
    assert names(store, "") == ["a", "a", "b"]
    assert store.find("n", "c", 0) == (True, None)
    store.replace([item("b")], 9)
    assert names(store) == ["b"]
    assert names(store, "other") == []


@pytest.mark.parametrize("form", [AS_OBJECTS, COMPRESSED])
def test_events_change_it(form: Form) -> None:
    store = Store(form)
    store.replace([item("a")], 7)
    store.put(item("b"), 8)
    store.put(item("a", status="new"), 9)
    store.remove(item("b"), 10)
    assert store.find("n", "a", 10) == (True, item("a", status="new"))
    assert names(store, at_least=10) == ["a"]
    store.remove(item("never there"), 11)
    assert store.version == 11


def test_it_never_shows_what_is_older_than_what_was_seen() -> None:
    store = Store()
    store.replace([item("a")], 7)
    assert names(store, at_least=8) is None
    store.bookmark(8)
    assert names(store, at_least=8) == ["a"]
    store.put(item("b"), 3)
    assert store.version == 8, "an old event takes nothing back"


def test_a_watch_that_says_nothing_for_long_is_not_believed() -> None:
    clock = Clock()
    store = Store(clock=clock)
    store.replace([item("a")], 7)
    clock.now += SILENCE + 1
    assert names(store) is None
    store.bookmark(8)
    assert names(store) == ["a"]


def test_a_lost_watch_is_not_believed_until_it_is_heard() -> None:
    store = Store()
    store.replace([item("a")], 7)
    store.lost()
    assert names(store) is None
    store.put(item("b"), 8)
    assert names(store) == ["a", "b"]


def test_one_that_is_behind_waits_for_its_watch() -> None:
    store = Store()
    store.replace([item("a")], 7)
    told = threading.Timer(0.05, lambda: store.put(item("b"), 8))
    told.start()
    found = store.read("n", 8, wait=20)
    told.join()
    assert found is not None
    assert sorted(each["metadata"]["name"] for each in found) == ["a", "b"]


def test_one_that_hears_nothing_serves_nobody_after_a_while() -> None:
    store = Store()
    store.replace([item("a")], 7)
    assert store.find("n", "a", 8, wait=0.01) == (False, None)


def test_one_whose_watch_is_lost_is_not_waited_for() -> None:
    store = Store()
    store.replace([item("a")], 7)
    threading.Timer(0.05, store.lost).start()
    assert store.read("n", 8, wait=20) is None
    assert store.read("n", 8, wait=20) is None


def test_a_watch_that_was_waited_for_in_vain_is_waited_for_when_it_has_caught_up() -> None:
    store = Store()
    store.replace([item("a")], 7)
    assert store.read("n", 8, wait=0.01) is None
    assert store.read("n", 8, wait=60) is None
    assert store.find("n", "a", 9, wait=60) == (False, None), "nor for what is newer still"
    store.bookmark(8)
    told = threading.Timer(0.05, lambda: store.bookmark(9))
    told.start()
    assert store.read("n", 9, wait=20) is not None
    told.join()
