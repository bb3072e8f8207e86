"""The operator's reads and writes against a real API server, one by one."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import Configuration

from standin.bench import Bench
from standin.node import Node
from tunnel import tunnels
from xcom_rollout.act.write_ledger import write_ledger
from xcom_rollout.clients.connection import Connection
from xcom_rollout.clients.errors import Conflict, Forbidden, KubeError
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.kubeconfig import from_kubeconfig
from xcom_rollout.clients.parallel import in_parallel
from xcom_rollout.decide.ledger import CensusRecord, Ledger, OffloadedRun, RunKey
from xcom_rollout.decide.settings import BackendSettings, object_storage
from xcom_rollout.observe.ledger import read_ledger

TARGET = object_storage("s3://c@b/p", "1048576", "gzip")
DATABASE = BackendSettings()


# -- the ledger --------------------------------------------------------------------------------


def census(*runs: str, attempt: int = 1) -> CensusRecord:
    found = tuple(OffloadedRun(RunKey("d", run), 1, "running") for run in runs)
    return CensusRecord("job", attempt, datetime(2026, 1, 1, tzinfo=UTC), found)


def test_of_two_writers_the_second_is_told(bench: Bench) -> None:
    rollout = bench.rollout()
    write_ledger(bench.world, rollout, Ledger(baseline=DATABASE))
    with pytest.raises(Conflict):
        write_ledger(bench.world, rollout, Ledger())
    first = read_ledger(bench.api, bench.world.memo, bench.namespace, "demo")
    second = read_ledger(bench.api, bench.world.memo, bench.namespace, "demo")
    write_ledger(bench.world, rollout, replace(first, census=census("r")))
    with pytest.raises(Conflict):
        write_ledger(bench.world, rollout, replace(second, baseline=TARGET))
    now = read_ledger(bench.api, bench.world.memo, bench.namespace, "demo")
    assert (now.baseline, now.census) == (DATABASE, census("r"))


def test_the_list_of_runs_follows_the_census_and_the_ledger_has_no_owner(bench: Bench) -> None:
    rollout = bench.rollout()
    write_ledger(bench.world, rollout, Ledger(census=census("one", "two")))
    ledger = read_ledger(bench.api, bench.world.memo, bench.namespace, "demo")
    write_ledger(bench.world, rollout, replace(ledger, census=census("two", attempt=2)))
    maps = f"api/v1/namespaces/{bench.namespace}/configmaps"
    listed = bench.api.find(f"{maps}/xbr-demo-offloaded-runs")
    kept = bench.api.find(f"{maps}/xbr-demo-ledger")
    assert listed is not None
    assert kept is not None
    assert [run["runId"] for run in json.loads(listed["data"]["runs.json"])] == ["two"]
    assert listed["metadata"]["ownerReferences"][0]["uid"] == "uid-1"
    assert "ownerReferences" not in kept["metadata"]


# -- the API itself ----------------------------------------------------------------------------


def pod(name: str) -> dict[str, Any]:
    spec = {"containers": [{"name": "a", "image": "a"}], "automountServiceAccountToken": False}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def test_a_pod_is_deleted_only_if_it_is_the_one_that_was_meant(bench: Bench) -> None:
    pods = f"api/v1/namespaces/{bench.namespace}/pods"
    assert bench.api.create(pods, pod("p"))
    assert not bench.api.create(pods, pod("p"))
    bench.api.delete(f"{pods}/p", uid="another", grace_seconds=0)
    found = bench.api.find(f"{pods}/p")
    assert found is not None
    assert found["metadata"].get("deletionTimestamp") is None
    bench.api.delete(f"{pods}/p", uid=found["metadata"]["uid"], grace_seconds=0)
    assert bench.api.find(f"{pods}/p") is None
    bench.api.delete(f"{pods}/p", uid=found["metadata"]["uid"], grace_seconds=0)


def test_a_missing_right_and_a_rule_are_told_apart(bench: Bench) -> None:
    pods = f"api/v1/namespaces/{bench.namespace}/pods"
    alice = from_kubeconfig(str(bench.server.user_kubeconfig("alice")))
    with pytest.raises(Forbidden, match="grant the permission"):
        KubeApi(alice).list(pods)
    bench.server.kubectl(
        "label", "namespace", bench.namespace, "pod-security.kubernetes.io/enforce=restricted"
    )
    with pytest.raises(KubeError, match=r"answered 403.*violates PodSecurity") as caught:
        bench.api.create(pods, pod("q"))
    assert not isinstance(caught.value, Forbidden)


def test_a_kubelet_that_is_away_for_a_moment_is_asked_again(
    bench: Bench, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = pod("runs")
    body["spec"]["nodeName"] = node.name
    bench.api.create(f"api/v1/namespaces/{bench.namespace}/pods", body)
    pauses: list[float] = []
    monkeypatch.setattr("xcom_rollout.clients.kube.time.sleep", pauses.append)
    with node.away(), pytest.raises(KubeError, match=r"answered 500 .*refused"):
        bench.api.run(bench.namespace, "runs", "a", ["true"], b"", timeout=10)
    assert len(pauses) == 2

    with ExitStack() as away:
        away.enter_context(node.away())
        monkeypatch.setattr("xcom_rollout.clients.kube.time.sleep", lambda _: away.close())
        bench.api.run(bench.namespace, "runs", "a", ["true"], b"", timeout=10)


def test_a_missing_right_to_run_a_command_is_named(bench: Bench) -> None:
    api = KubeApi(from_kubeconfig(str(bench.server.user_kubeconfig("alice"))))
    with pytest.raises(Forbidden, match="grant the permission"):
        api.run(bench.namespace, "runs", "a", ["true"], b"", timeout=10)


def test_long_lists_come_whole(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xcom_rollout.clients.kube.PAGE", 3)
    maps = f"api/v1/namespaces/{bench.namespace}/configmaps"
    for number in range(8):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"}}
        metadata = {"name": f"m{number}", "labels": {"mine": "yes"}}
        bench.api.create(maps, {**body, "metadata": metadata})
    whole = bench.api.list(maps, labels="mine=yes")
    bare = bench.api.list(maps, labels="mine=yes", metadata_only=True)
    assert [item["metadata"]["name"] for item in whole] == [f"m{n}" for n in range(8)]
    assert [item["metadata"]["name"] for item in bare] == [f"m{n}" for n in range(8)]
    assert all("data" in item for item in whole)
    assert not any("data" in item for item in bare)


def test_an_api_server_that_is_gone_is_named() -> None:
    away = Configuration(host="https://127.0.0.1:9")
    with pytest.raises(KubeError, match=r"API server cannot be reached .GET api/v1/pods."):
        KubeApi(Connection(away)).find("api/v1/pods")


# -- the way there -----------------------------------------------------------------------------


def test_requests_watches_and_processes_all_go_by_the_proxy_of_the_environment(
    bench: Bench, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    pods = f"api/v1/namespaces/{bench.namespace}/pods"
    body = pod("runs")
    body["spec"]["nodeName"] = node.name
    bench.api.create(pods, body)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with tunnels() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        connection = from_kubeconfig(str(bench.server.kubeconfig))
        api = KubeApi(connection)
        (_,), version = api.list_at(pods)
        assert len(proxy.to) == 1
        events = api.watch(pods, version - 1, seconds=30, silence=20)
        next(events)
        api.list(pods)
        assert len(proxy.to) == 2, "while a watch goes on nobody else has its connection"
        api.end_watches()
        with pytest.raises(KubeError, match="WATCH"):
            list(events)
        api.run(bench.namespace, "runs", "a", ["true"], b"", timeout=10)
        assert len(proxy.to) == 3
        assert set(proxy.to) == {connection.server.removeprefix("https://")}
        assert connection.access().proxy_url == proxy.url, "kopf goes there too"
        connection.close()


def test_a_certificate_that_nobody_knows_is_refused_by_requests_and_processes(
    bench: Bench, tmp_path: Path
) -> None:
    kubeconfig = yaml.safe_load(bench.server.kubeconfig.read_text())
    kubeconfig["clusters"][0]["cluster"].pop("certificate-authority", None)
    kubeconfig["clusters"][0]["cluster"].pop("certificate-authority-data", None)
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    api = KubeApi(from_kubeconfig(str(tmp_path / "kubeconfig")))
    with pytest.raises(KubeError, match="CERTIFICATE_VERIFY_FAILED"):
        api.find("api/v1/nodes")
    with pytest.raises(KubeError, match="CERTIFICATE_VERIFY_FAILED"):
        api.run(bench.namespace, "runs", "a", ["true"], b"", timeout=10)


def test_many_threads_share_a_connection(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    maps = f"api/v1/namespaces/{bench.namespace}/configmaps"

    def write_and_read(number: int) -> str:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"m{number}"}}
        assert bench.api.create(maps, body)
        return str(bench.api.get(f"{maps}/m{number}")["metadata"]["name"])

    found = in_parallel(write_and_read, range(100), workers=20)
    assert found == [f"m{number}" for number in range(100)]
    assert caplog.messages == []
