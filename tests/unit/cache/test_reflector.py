"""A watch is listed, followed, lost, expired, cut off and begun again; the store keeps up."""

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from xcom_rollout.cache.reflector import Reflector
from xcom_rollout.clients.errors import Forbidden, KubeError

DEADLINE = 20.0


def item(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "n", "resourceVersion": str(version)}}


def event(kind: str, name: str, version: int) -> dict[str, Any]:
    return {"type": kind, "object": item(name, version)}


class Script:
    """A collection whose answers are written down, each asked for once; then it is at its end."""

    def __init__(self, lists: list[Any], watches: list[list[Any]]) -> None:
        self.lists, self.watches = lists, watches
        self.asked: list[str] = []
        self.over = threading.Event()
        self.held = threading.Event()

    def listed(self) -> tuple[Iterator[dict[str, Any]], int]:
        self.asked.append("list")
        answer = self.lists.pop(0)
        if isinstance(answer, Exception):
            raise answer
        items, version = answer
        return self._page_by_page(items), version

    def _page_by_page(self, items: list[Any]) -> Iterator[dict[str, Any]]:
        for each in items:
            if isinstance(each, Exception):
                raise each
            yield each

    def events(self, since: int, seconds: int, silence: float) -> Iterator[dict[str, Any]]:
        assert 0 < silence < seconds
        self.asked.append(f"watch {since}")
        if not self.watches:
            self.over.set()
            self.held.wait(DEADLINE)
            return
        for each in self.watches.pop(0):
            if isinstance(each, Exception):
                raise each
            yield each


def told(script: Script, pauses: list[float] | None = None) -> tuple[Reflector, list[str]]:
    """Return the reflector at the end of its script, and the changes that it told of."""
    changes: list[str] = []
    waited = pauses if pauses is not None else []
    reflector = Reflector(
        "pods",
        script,
        lambda kind, each: changes.append(f"{kind} {each['metadata']['name']}"),
        waited.append,
    )
    reflector.start()
    assert script.over.wait(DEADLINE), script.asked
    reflector.stop()
    return reflector, changes


def names(reflector: Reflector) -> list[str] | None:
    found = reflector.store.read("n", 0)
    return None if found is None else sorted(each["metadata"]["name"] for each in found)


def test_it_lists_once_and_watches_from_there() -> None:
    first = [event("ADDED", "b", 6), event("DELETED", "a", 7), event("BOOKMARK", "", 9)]
    script = Script([([item("a", 3)], 5)], [first])
    reflector, changes = told(script)
    assert script.asked == ["list", "watch 5", "watch 9"]
    assert names(reflector) == ["b"]
    assert changes == ["ADDED a", "ADDED b", "DELETED a"]


def test_after_a_watch_that_broke_all_is_listed_again_and_it_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    lost = KubeError("connection reset")
    script = Script(
        [([], 5), ([item("a", 6)], 7), ([item("a", 6)], 7), ([item("a", 6), item("b", 8)], 8)],
        [[event("ADDED", "a", 6), lost], [lost], [lost], [event("BOOKMARK", "", 9)]],
    )
    pauses: list[float] = []
    reflector, _ = told(script, pauses)
    assert script.asked == [
        *("list", "watch 5", "list", "watch 7", "list", "watch 7", "list", "watch 8", "watch 9")
    ]
    assert names(reflector) == ["a", "b"]
    assert pauses == sorted(pauses), "each try waits for longer"
    assert len(pauses) == 3
    assert [record.message.split(";")[0] for record in caplog.records] == [
        "a watch was lost",
        "watch restored",
    ]


def test_a_list_that_breaks_in_the_middle_shows_nothing_and_is_asked_for_again() -> None:
    expired = KubeError("410: the continue token has expired")
    script = Script(
        [([item("a", 3), expired], 5), ([item("a", 3), item("b", 4)], 6)],
        [],
    )
    reflector, changes = told(script)
    assert script.asked == ["list", "list", "watch 6"]
    assert names(reflector) == ["a", "b"]
    assert changes == ["ADDED a", "ADDED b"]


def test_an_etcd_that_was_restored_counts_from_an_earlier_version() -> None:
    script = Script([([item("lost", 90)], 100), ([item("kept", 40)], 50)], [[KubeError("reset")]])
    reflector, _ = told(script)
    assert names(reflector) == ["kept"]
    assert reflector.store.version == 50


def test_a_watch_that_ends_without_a_word_is_lost_and_begun_more_and_more_rarely(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rounds = 8
    script = Script([([], 5)] * (rounds + 1), [[] for _ in range(rounds)])
    pauses: list[float] = []
    told(script, pauses)
    assert len(pauses) == rounds
    assert pauses[-1] > 20, "seconds"
    assert "ended without a message" in caplog.records[0].__dict__["error"]


def test_a_server_that_has_always_forgotten_is_not_listed_without_a_pause() -> None:
    rounds = 8
    script = Script([([], 5)] * (rounds + 1), [[KubeError("too old")] for _ in range(rounds)])
    pauses: list[float] = []
    told(script, pauses)
    assert len(pauses) == rounds
    assert pauses[-1] > 20, "seconds"


def test_while_it_is_lost_nobody_is_served_and_the_trouble_is_known() -> None:
    script = Script([([item("a", 3)], 5), ([], 6)], [[KubeError("no route")]])
    seen: list[tuple[object, str]] = []
    reflector = Reflector(
        "pods",
        script,
        lambda *_: None,
        lambda _: seen.append((reflector.store.read("n", 0), reflector.trouble)),
    )
    reflector.start()
    assert script.over.wait(DEADLINE)
    reflector.stop()
    assert seen == [(None, "no route")]


def test_what_the_server_has_forgotten_is_listed_again() -> None:
    script = Script(
        [([item("a", 3)], 5), ([item("c", 40)], 50)], [[KubeError("too old resource version")]]
    )
    reflector, changes = told(script)
    assert script.asked == ["list", "watch 5", "list", "watch 50"]
    assert names(reflector) == ["c"], "what was deleted meanwhile is gone"
    assert changes == ["ADDED a", "ADDED c"]


def test_a_missing_right_names_the_remedy_and_is_asked_for_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused: list[object] = [Forbidden("may not list pods") for _ in range(12)]
    script = Script([*refused, ([], 5)], [])
    pauses: list[float] = []
    told(script, pauses)
    assert script.asked == ["list"] * 13 + ["watch 5"]
    assert 240 <= max(pauses) <= 360, "seconds: less often than what may come back by itself"
    assert "grant the verb watch" in caplog.text
    assert "every pass asks the API server instead" in caplog.text


def test_versions_that_are_no_numbers_are_never_compared() -> None:
    script = Script([([item("a", 3)], 0), ([item("a", 3)], 0), ([item("a", 3)], 4)], [])
    pauses: list[float] = []
    reflector, _ = told(script, pauses)
    assert script.asked == ["list", "list", "list", "watch 4"]
    assert names(reflector) == ["a"]


def test_a_fault_of_our_own_ends_no_watch(caplog: pytest.LogCaptureFixture) -> None:
    script = Script([([], 5), ([], 5)], [[ZeroDivisionError("oops")], [event("ADDED", "a", 6)]])
    reflector, _ = told(script)
    assert names(reflector) == ["a"]
    assert "oops" in caplog.text
