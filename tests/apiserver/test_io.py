"""The operator's reads and writes against a real API server and a real Helm, one by one."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import lightkube
import pytest
from lightkube.config.kubeconfig import KubeConfig
from standin.node import Node

from harness import tools
from harness.apiserver import ApiServer
from harness.shell import run
from xcom_rollout.act.write_ledger import write_ledger
from xcom_rollout.api.v1alpha1 import RolloutSpec
from xcom_rollout.clients.errors import ActionFailed, Conflict, Forbidden, HelmError, KubeError
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.decide.ledger import CensusRecord, Ledger, OffloadedRun, RunKey
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.decide.settings import BackendSettings, object_storage
from xcom_rollout.deliver.helm import HelmDelivery
from xcom_rollout.observe.ledger import read_ledger
from xcom_rollout.world import World, open_world

TARGET = object_storage("s3://c@b/p", "1048576", "gzip")
DATABASE = BackendSettings()
CONFIG = """apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-config}
data:
  values: {{ .Values.config | default dict | toJson | quote }}
  size: {{ .Values.size | toString | quote }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-hook
  annotations: {"helm.sh/hook": post-upgrade}
spec:
  template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A chart repository with the charts `small` 1.0.0 and 1.0.1."""
    folder = tmp_path_factory.mktemp("charts")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    url = f"http://127.0.0.1:{server.server_address[1]}"
    tools.ensure(("helm",))
    for version in ("1.0.0", "1.0.1"):
        chart = folder / version / "small"
        (chart / "templates").mkdir(parents=True)
        metadata = {"apiVersion": "v2", "name": "small", "version": version}
        (chart / "Chart.yaml").write_text(json.dumps(metadata))
        (chart / "values.yaml").write_text("size: 5\n")
        (chart / "templates" / "all.yaml").write_text(CONFIG)
        run(tools.tool("helm"), "package", chart, "--destination", folder)
    run(tools.tool("helm"), "repo", "index", folder, "--url", url)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Bench:
    """A namespace, with what a test needs to look at it from outside."""

    server: ApiServer
    namespace: str
    repository: str
    world: World

    @property
    def api(self) -> KubeApi:
        return self.world.api

    def rollout(self, version: str = "1.0.0") -> Rollout:
        chart = {"repository": self.repository, "name": "small", "version": version}
        api = {"service": "web", "credentialsSecretRef": {"name": "airflow-api"}}
        spec = {
            "airflow": {"release": "rel", "api": api},
            "backend": {"type": "ObjectStorage", "objectStorage": {"path": "s3://c@b/p"}},
            "threshold": {"bytes": "1048576"},
            "delivery": {"type": "Helm", "helm": {"chart": chart}},
        }
        now = datetime.now(UTC)
        return Rollout(self.namespace, "demo", "uid-1", 1, now, RolloutSpec.model_validate(spec))

    def delivery(self, version: str = "1.0.0") -> HelmDelivery:
        return HelmDelivery(self.world, self.rollout(version))

    def helm(self, *words: str, values: dict[str, Any] | None = None) -> str:
        where = ("--namespace", self.namespace, "--kubeconfig", str(self.server.kubeconfig))
        given = ("--values", "-") if values is not None else ()
        stdin = None if values is None else json.dumps(values)
        return run(tools.tool("helm"), *words, *given, *where, stdin=stdin, timeout=60)

    def install(self, values: dict[str, Any] | None = None) -> None:
        self.helm(
            "install",
            "rel",
            "small",
            "--repo",
            self.repository,
            "--version",
            "1.0.0",
            values=values,
        )

    def values(self) -> object:
        return json.loads(self.helm("get", "values", "rel", "--output", "json"))

    def data(self) -> dict[str, str]:
        found = self.api.find(f"api/v1/namespaces/{self.namespace}/configmaps/rel-config")
        assert found is not None
        return dict(found["data"])


@pytest.fixture
def bench(server: ApiServer, namespace: str, repository: str, tmp_path: Path) -> Bench:
    kube = lightkube.Client(config=KubeConfig.from_file(server.kubeconfig).get())
    world = open_world(kube, helm=str(tools.tool("helm")), work=tmp_path / "work")
    return Bench(server, namespace, repository, world)


# -- delivery ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [None, {}, {"config": {"core": {"parallelism": "7"}}}, {"size": 7, "names": ["1e6", "on"]}],
    ids=["no values", "empty values", "own config", "other values"],
)
def test_there_and_back_leaves_the_release_as_it_was(
    bench: Bench, values: dict[str, Any] | None
) -> None:
    bench.install(values)
    before, delivery = bench.data(), bench.delivery()
    delivery.apply(TARGET, 1)
    current = delivery.current()
    assert current is not None
    assert (current.revision, current.status, current.settings) == (2, "deployed", TARGET)
    assert json.loads(bench.data()["values"])["common.io"] == {
        "xcom_objectstorage_path": "s3://c@b/p",
        "xcom_objectstorage_threshold": "1048576",
        "xcom_objectstorage_compression": "gzip",
    }
    delivery.apply(DATABASE, 2)
    assert bench.data() == before
    assert (bench.values() or {}) == (values or {})
    current = delivery.current()
    assert current is not None
    assert current.settings == DATABASE


def test_rendering_shows_what_a_delivery_leaves_and_changes_nothing(bench: Bench) -> None:
    bench.install({"config": {"core": {"parallelism": "7"}}})
    before = bench.data()
    rendered = bench.delivery().render(TARGET)
    current = bench.delivery().current()
    assert current is not None
    assert (bench.data(), current.revision) == (before, 1)
    bench.delivery().apply(TARGET, 1)
    assert rendered["rel-config"]["data"] == bench.data()


def test_hooks_do_not_run(bench: Bench) -> None:
    bench.install()
    bench.delivery().apply(TARGET, 1)
    assert bench.api.list(f"apis/batch/v1/namespaces/{bench.namespace}/jobs") == []


def test_a_release_that_moved_on_is_left_alone(bench: Bench) -> None:
    bench.install()
    with pytest.raises(Conflict, match="at revision 1, and this was decided on revision 4"):
        bench.delivery().apply(TARGET, 4)
    current = bench.delivery().current()
    assert current is not None
    assert current.revision == 1


def test_a_pending_release_is_never_forced(bench: Bench) -> None:
    bench.install()
    delivery = bench.delivery()
    # What Helm leaves behind when it is killed on the way: the record says so, and only that.
    secrets = f"api/v1/namespaces/{bench.namespace}/secrets"
    secret = bench.api.find(f"{secrets}/sh.helm.release.v1.rel.v1")
    assert secret is not None
    _set_status(bench.api, f"{secrets}/sh.helm.release.v1.rel.v1", secret, "pending-upgrade")
    current = delivery.current()
    assert current is not None
    assert current.status == "pending-upgrade"
    with pytest.raises(ActionFailed, match=r"pending-upgrade.*never forced.*helm rollback rel"):
        delivery.apply(TARGET, 1)
    assert "pending-upgrade" in delivery.forecast()[0]
    assert len(bench.api.list(secrets, labels="owner=helm")) == 1


def _set_status(api: KubeApi, path: str, secret: dict[str, Any], status: str) -> None:
    packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    release = json.loads(gzip.decompress(packed))
    release["info"]["status"] = status
    inner = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    secret["data"]["release"] = base64.b64encode(inner).decode()
    secret["metadata"]["labels"]["status"] = status
    api.replace(path, secret)


def test_another_chart_version_is_refused(bench: Bench) -> None:
    bench.install()
    with pytest.raises(ActionFailed, match=r"small 1\.0\.1 is not the chart.*small 1\.0\.0"):
        bench.delivery("1.0.1").apply(TARGET, 1)


def test_the_way_back_does_not_need_the_repository(bench: Bench) -> None:
    bench.install()
    bench.delivery().apply(TARGET, 1)
    (kept,) = (bench.world.work / "charts").rglob("*.tgz")
    os.utime(kept, (1, 1))
    bench.delivery().apply(DATABASE, 2)
    assert kept.stat().st_mtime == 1, "it was not fetched again"


def test_a_repository_without_the_chart_is_named(bench: Bench) -> None:
    bench.install()
    lost = replace(bench, repository="http://127.0.0.1:9/none")
    with pytest.raises(HelmError, match=r"small 1\.0\.0 cannot be had from http://127.0.0.1:9"):
        lost.delivery().apply(TARGET, 1)
    assert "cannot be had" in lost.delivery().forecast()[0]


def test_a_missing_release_is_named(bench: Bench) -> None:
    assert bench.delivery().current() is None
    with pytest.raises(ActionFailed, match="no Helm release 'rel'"):
        bench.delivery().apply(TARGET, 1)


# -- the ledger --------------------------------------------------------------------------------


def census(*runs: str, attempt: int = 1) -> CensusRecord:
    found = tuple(OffloadedRun(RunKey("d", run), 1, "running") for run in runs)
    return CensusRecord("job", attempt, datetime(2026, 1, 1, tzinfo=UTC), found)


def test_of_two_writers_the_second_is_told(bench: Bench) -> None:
    rollout = bench.rollout()
    write_ledger(bench.world, rollout, Ledger(baseline=DATABASE))
    with pytest.raises(Conflict):
        write_ledger(bench.world, rollout, Ledger())
    first = read_ledger(bench.api, bench.namespace, "demo")
    second = read_ledger(bench.api, bench.namespace, "demo")
    write_ledger(bench.world, rollout, replace(first, census=census("r")))
    with pytest.raises(Conflict):
        write_ledger(bench.world, rollout, replace(second, baseline=TARGET))
    now = read_ledger(bench.api, bench.namespace, "demo")
    assert (now.baseline, now.census) == (DATABASE, census("r"))


def test_the_list_of_runs_follows_the_census_and_the_ledger_has_no_owner(bench: Bench) -> None:
    rollout = bench.rollout()
    write_ledger(bench.world, rollout, Ledger(census=census("one", "two")))
    ledger = read_ledger(bench.api, bench.namespace, "demo")
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
    config = KubeConfig.from_file(bench.server.user_kubeconfig("alice")).get()
    with pytest.raises(Forbidden, match="grant it the right"):
        KubeApi(lightkube.Client(config=config)).list(pods)
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
    config = KubeConfig.from_file(bench.server.user_kubeconfig("alice")).get()
    api = KubeApi(lightkube.Client(config=config))
    with pytest.raises(Forbidden, match="grant it the right"):
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


def test_an_api_server_that_is_gone_is_named(server: ApiServer) -> None:
    config = KubeConfig.from_file(server.kubeconfig).get()
    assert config is not None
    away = config._replace(
        cluster=type(config.cluster)(server="https://127.0.0.1:9", insecure=True)
    )
    with pytest.raises(KubeError, match=r"API server cannot be asked .GET api/v1/pods."):
        KubeApi(lightkube.Client(config=away)).find("api/v1/pods")
