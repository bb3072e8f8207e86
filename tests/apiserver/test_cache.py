"""The cache against a real API server: as right as asking, without asking."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from cutting import cutter
from harness.apiserver import ApiServer
from harness.waiting import NotYetError, wait_for
from standin.bench import Bench
from standin.wire import WatchedConnection, Wire
from xcom_rollout.cache import Cache, CachedKube
from xcom_rollout.cache.collections import WATCHED
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.clients.kubeconfig import from_kubeconfig
from xcom_rollout.observe import observe

SOON = 5.0
"""Seconds within which what others do is to be seen."""


@dataclass
class Watching:
    """A connection, a cache beside it, and the paths that were asked for."""

    api: KubeApi
    cached: CachedKube
    cache: Cache
    asked: list[str] = field(default_factory=list)
    changes: list[tuple[str, str, str]] = field(default_factory=list)

    def is_served(self, path: str, **selectors: Any) -> bool:
        """Whether a list is answered without a request."""
        before = len(self.asked)
        self.cached.list(path, **selectors)
        return len(self.asked) == before


def begin(kubeconfig: Path, *, everywhere: bool = False) -> Watching:
    kube, wire = from_kubeconfig(str(kubeconfig)), Wire()
    changes: list[tuple[str, str, str]] = []
    cache = Cache(
        KubeApi(kube),
        lambda of, kind, item: changes.append((of.plural, kind, item["metadata"]["name"])),
        everywhere=everywhere,
    )
    api = KubeApi(WatchedConnection(kube, wire))
    return Watching(api, CachedKube(api, cache), cache, wire.asked, changes)


@pytest.fixture
def seen(server: ApiServer) -> Iterator[Watching]:
    found = begin(server.kubeconfig)
    yield found
    found.cache.stop()


def config_map(name: str, text: str, **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": text}}


def maps(namespace: str, name: str | None = None) -> str:
    return object_path(namespace, "configmaps", name)


def names(found: list[dict[str, Any]]) -> list[str]:
    return [item["metadata"]["name"] for item in found]


def test_what_others_do_is_seen_within_seconds_and_no_request_is_made(
    server: ApiServer, namespace: str, seen: Watching
) -> None:
    path = maps(namespace)
    wait_for("the watch", lambda: seen.is_served(path, metadata_only=True), 20, interval=0.1)
    asked = len(seen.asked)

    def shown() -> list[str]:
        found = seen.cached.list(path, labels="team=data", metadata_only=True)
        return names(found)

    assert shown() == []
    for name in ("b", "a"):
        server.kubectl("-n", namespace, "create", "configmap", name)
        server.kubectl("-n", namespace, "label", "configmap", name, "team=data")
    wait_for("two more", lambda: shown() == ["a", "b"], SOON, interval=0.1)
    server.kubectl("-n", namespace, "label", "configmap", "b", "team-")
    wait_for("one less", lambda: shown() == ["a"], SOON, interval=0.1)
    server.kubectl("-n", namespace, "delete", "configmap", "a")
    wait_for("the end", lambda: shown() == [], SOON, interval=0.1)
    assert len(seen.asked) == asked
    assert ("configmaps", "DELETED", "a") in seen.changes


def test_a_write_of_this_process_is_never_hidden(namespace: str, seen: Watching) -> None:
    path = maps(namespace)
    wait_for("the watch", lambda: seen.is_served(path, metadata_only=True), 20, interval=0.1)
    for number in range(40):
        name = f"map-{number}"
        seen.api.create(path, config_map(name, "1"))
        assert name in names(seen.cached.list(path, metadata_only=True))
        made = seen.api.find(f"{path}/{name}")
        assert made is not None
        seen.api.replace(f"{path}/{name}", made | {"data": {"a": "2"}})
        there = seen.api.find(f"{path}/{name}")
        assert there is not None
        version = seen.cached.known_version(f"{path}/{name}")
        assert version in (None, there["metadata"]["resourceVersion"])
        seen.api.delete(f"{path}/{name}", uid=made["metadata"]["uid"], grace_seconds=None)
    # The answer to a deletion has no version: it is seen when the watch tells of it.
    wait_for(
        "the last deletion",
        lambda: "map-39" not in names(seen.cached.list(path, metadata_only=True)),
        SOON,
        interval=0.1,
    )


def test_a_glance_shows_what_a_look_shows_and_asks_nothing(bench: Bench, seen: Watching) -> None:
    bench.install()
    world = replace(bench.world, api=seen.api)
    cached = replace(world, api=seen.cached)
    rollout = bench.rollout()
    look = observe(world, rollout)
    assert look.release is not None
    glanced: list[Any] = []

    def at_rest() -> bool:
        before = len(seen.asked)
        glanced.append(observe(cached, rollout))
        if len(seen.asked) > before:
            raise NotYetError(str(seen.asked[before:]))
        return True

    wait_for("a glance without a request", at_rest, 90, interval=0.5)
    assert glanced[-1] == look


def test_a_line_separator_in_an_object_breaks_no_watch(
    namespace: str, seen: Watching, caplog: pytest.LogCaptureFixture
) -> None:
    """Unicode has more ends of lines than JSON: U+0085, U+2028, U+2029, and the API server's
    encoder leaves the first as it is."""
    path = maps(namespace)
    wait_for("the watch", lambda: seen.is_served(path, metadata_only=True), 20, interval=0.1)
    odd = config_map("odd", "1")
    odd["metadata"]["annotations"] = {"said": "one\x85two\u2028three\u2029four\x0b\x1c"}
    seen.api.create(path, odd)
    wait_for("the event", lambda: ("configmaps", "ADDED", "odd") in seen.changes, SOON)
    assert seen.is_served(path, metadata_only=True)
    (found,) = [
        item
        for item in seen.cached.list(path, metadata_only=True)
        if item["metadata"]["name"] == "odd"
    ]
    assert found["metadata"]["annotations"] == odd["metadata"]["annotations"]
    assert not caplog.records


def test_one_watch_of_all_namespaces_serves_each(
    server: ApiServer, namespace: str, new_namespace: Any
) -> None:
    other = new_namespace()
    server.kubectl("create", "namespace", other)
    seen = begin(server.kubeconfig, everywhere=True)
    try:
        path = maps(namespace)
        wait_for("the watch", lambda: seen.is_served(path, metadata_only=True), 20, interval=0.1)
        assert seen.is_served(maps(other), metadata_only=True)
        server.kubectl("-n", other, "create", "configmap", "there")
        wait_for(
            "the other namespace",
            lambda: "there" in names(seen.cached.list(maps(other), metadata_only=True)),
            SOON,
            interval=0.1,
        )
        assert "there" not in names(seen.cached.list(path, metadata_only=True))
        everything = names(seen.cached.list("api/v1/configmaps", metadata_only=True))
        assert "there" in everything
    finally:
        seen.cache.stop()


def test_at_its_end_no_thread_is_left_that_reads_from_a_connection(
    server: ApiServer, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    seen = begin(server.kubeconfig)
    before = set(threading.enumerate())
    seen.cache.begin(namespace)
    path = maps(namespace)
    wait_for("the watch", lambda: seen.is_served(path, metadata_only=True), 20, interval=0.1)
    assert set(threading.enumerate()) - before
    seen.cache.stop()
    assert set(threading.enumerate()) <= before
    assert caplog.messages == [], "an end that was asked for is no watch that was lost"
    assert not seen.is_served(path, metadata_only=True), "what nobody watches serves nobody"
    seen.cache.watch(WATCHED[0], "later")
    seen.cache.stop()
    assert set(threading.enumerate()) <= before, "nor one that began meanwhile"


def test_without_the_right_to_watch_it_asks_and_says_so(
    server: ApiServer, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    words = ("create", "role", "reader", "--verb=get,list", "--resource=configmaps")
    server.kubectl("-n", namespace, *words)
    bound = ("create", "rolebinding", "reader", "--role=reader", "--user=reader")
    server.kubectl("-n", namespace, *bound)
    seen = begin(server.user_kubeconfig("reader"))
    try:
        path = maps(namespace)
        seen.cached.list(path, metadata_only=True)
        wait_for("the trouble", lambda: seen.cache.troubles(), 20, interval=0.1)
        server.kubectl("-n", namespace, "create", "configmap", "new")
        assert "new" in names(seen.cached.list(path, metadata_only=True))
        assert not seen.is_served(path, metadata_only=True)
        assert "grant the verb watch" in caplog.text
        (trouble,) = seen.cache.troubles()
        assert 'User "reader" cannot watch' in trouble
    finally:
        seen.cache.stop()


def test_a_watch_that_is_cut_off_misses_nothing(
    server: ApiServer, namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with cutter(server.url, 0) as between:
        text = server.kubeconfig.read_text()
        file = tmp_path / "kubeconfig"
        file.write_text(text.replace(server.url, between.endpoint.replace("http:", "https:")))
        seen = begin(file)
        try:
            path = maps(namespace)
            wait_for(
                "the watch", lambda: seen.is_served(path, metadata_only=True), 20, interval=0.1
            )
            # The next bytes to come are the event itself.
            between.cut(1)
            server.kubectl("-n", namespace, "create", "configmap", "meanwhile")
            wait_for("the cut", lambda: between.made == 1, 10, interval=0.1)
            wait_for(
                "the event",
                lambda: ("configmaps", "ADDED", "meanwhile") in seen.changes,
                20,
                interval=0.1,
            )
            assert seen.is_served(path, metadata_only=True)
        finally:
            seen.cache.stop()
    assert "a watch was lost" in caplog.text
