"""What the official client is kept from doing by itself, and what it is made to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kubernetes.client import Configuration

from nasty_http import NastyServer, Reply, redirect
from xcom_rollout import __version__
from xcom_rollout.clients import connection
from xcom_rollout.clients.connection import Connection
from xcom_rollout.clients.errors import Forbidden, KubeconfigError, KubeError
from xcom_rollout.clients.kube import KubeApi

PODS = "api/v1/namespaces/n/pods"


@pytest.fixture
def server() -> Iterator[NastyServer]:
    with NastyServer() as server:
        yield server


@pytest.fixture
def api(server: NastyServer) -> KubeApi:
    return KubeApi(Connection(Configuration(host=server.url)))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_whose_answer_is_lost_is_not_sent_again(
    server: NastyServer, api: KubeApi, method: str
) -> None:
    server.answer(f"/{PODS}", Reply(cut=True, body=""))
    with pytest.raises(KubeError, match=f"cannot be reached .{method} {PODS}") as caught:
        api.create(PODS, {}) if method == "POST" else api.find(PODS)
    assert len(server.received) == 1
    assert caught.value.status == 0


def test_an_answer_that_breaks_off_is_none(server: NastyServer, api: KubeApi) -> None:
    server.answer(f"/{PODS}", Reply(body={"items": ["x"] * 1000}, cut=True))
    with pytest.raises(KubeError, match="cannot be reached"):
        api.list(PODS)
    assert len(server.received) == 1


def test_an_answer_that_is_late_is_not_waited_for(
    server: NastyServer, api: KubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TIMEOUT", 0.2)
    server.answer(f"/{PODS}", Reply(after=5))
    with pytest.raises(KubeError, match="ReadTimeout"):
        api.find(PODS)
    assert len(server.received) == 1


def test_a_redirect_is_not_followed(server: NastyServer, api: KubeApi) -> None:
    server.answer(f"/{PODS}", redirect("/elsewhere"))
    with pytest.raises(KubeError):
        api.find(PODS)
    assert [request.path for request in server.received] == [f"/{PODS}"]


def test_a_status_that_asks_to_come_back_is_told_and_not_obeyed(
    server: NastyServer, api: KubeApi
) -> None:
    busy = {"message": "too many requests", "reason": "TooManyRequests"}
    server.answer(f"/{PODS}", Reply(429, busy, {"Retry-After": "1"}))
    with pytest.raises(KubeError, match=r"answered 429.*too many requests") as caught:
        api.find(PODS)
    assert len(server.received) == 1
    assert (caught.value.status, caught.value.reason) == (429, "TooManyRequests")
    assert caught.value.said == "too many requests"


def test_what_is_no_answer_of_kubernetes_is_told_apart(server: NastyServer, api: KubeApi) -> None:
    server.answer(f"/{PODS}", Reply(404, "404 page not found"))
    with pytest.raises(KubeError) as caught:
        api.get(PODS)
    assert (caught.value.status, caught.value.reason) == (404, "")
    server.answer(f"/{PODS}", Reply(200, "<html>"))
    with pytest.raises(KubeError, match="expected a JSON object"):
        api.get(PODS)


def test_a_login_that_is_refused_is_a_missing_right(server: NastyServer, api: KubeApi) -> None:
    server.answer(f"/{PODS}", Reply(401, {"message": "Unauthorized"}))
    with pytest.raises(Forbidden, match="Unauthorized"):
        api.find(PODS)


def test_each_write_says_who_writes_and_how_and_nulls_are_kept(
    server: NastyServer, api: KubeApi
) -> None:
    server.answer(f"/{PODS}/p", Reply(body={"metadata": {}}))
    api.patch(f"{PODS}/p", {"metadata": {"annotations": {"a": None}}})
    KubeApi(api.connection, manager="plan").as_applied(f"{PODS}/p", {"kind": "Pod"})
    merge, apply = server.received
    assert merge.headers["Content-Type"] == "application/merge-patch+json"
    assert merge.headers["User-Agent"] == f"xcom-rollout/{__version__}"
    assert merge.query == "fieldManager=xcom-rollout"
    assert merge.body == '{"metadata": {"annotations": {"a": null}}}'
    assert apply.headers["Content-Type"] == "application/apply-patch+yaml"
    assert apply.query == "dryRun=All&force=true&fieldManager=plan"


def test_a_watch_through_what_sends_no_chunks_is_read_all_the_same(
    server: NastyServer, api: KubeApi
) -> None:
    line = '{"type": "ADDED", "object": {"a": "b\u2028c"}}\n'
    server.answer(f"/{PODS}", Reply(body=line * 2))
    seen = list(api.watch(PODS, 1, seconds=5, silence=5))
    assert seen == [{"type": "ADDED", "object": {"a": "b\u2028c"}}] * 2


def test_a_watch_that_is_refused_says_why(server: NastyServer, api: KubeApi) -> None:
    server.answer(f"/{PODS}", Reply(410, {"message": "too old", "reason": "Expired"}))
    with pytest.raises(KubeError, match="too old"):
        next(api.watch(PODS, 1, seconds=5, silence=5))


def test_a_watch_that_is_silent_for_too_long_is_lost(server: NastyServer, api: KubeApi) -> None:
    server.answer(f"/{PODS}", Reply(after=5))
    with pytest.raises(KubeError, match=r"WATCH.*ReadTimeout"):
        next(api.watch(PODS, 1, seconds=5, silence=0.2))


def test_a_proxy_of_no_known_kind_is_named_before_anything_is_asked() -> None:
    configuration = Configuration(host="https://cluster.invalid", proxy="gopher://there:1")
    with pytest.raises(KubeconfigError, match=r"proxy-url.*HTTPS_PROXY"):
        Connection(configuration)
