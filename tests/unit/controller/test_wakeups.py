"""Which events ask for a pass, how kopf is set up, and what the environment must say."""

import itertools
import threading
from pathlib import Path
from typing import Any

import kopf
import pytest

from xcom_rollout.__main__ import ConfigurationError, read_configuration
from xcom_rollout.api.names import LABEL_ROLLOUT
from xcom_rollout.cache.collections import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    RELEASES,
    ROLLOUTS,
    STATEFUL_SETS,
    TASK_PODS,
    Collection,
)
from xcom_rollout.cache.kept import LAST_APPLIED
from xcom_rollout.clients.connection import Access
from xcom_rollout.clients.kube import Versions
from xcom_rollout.clients.pod_process import Trust
from xcom_rollout.controller.handlers import (
    Backoffs,
    Wakeups,
    configure_kopf,
    connection_info,
    listing,
)
from xcom_rollout.controller.reconcile import Key
from xcom_rollout.controller.workqueue import WorkQueue
from xcom_rollout.stored.rollouts import rollout_path


@pytest.fixture
def queue() -> WorkQueue[Key]:
    return WorkQueue()


def drained(queue: WorkQueue[Key]) -> set[str]:
    found = set()
    while (key := queue.get(wait=False)) is not None:
        found.add(str(key))
        queue.done(key)
    return found


def taken(queue: WorkQueue[Key]) -> list[str]:
    """Return the names of what is ready, in the order in which it is taken."""
    found = []
    while (key := queue.get(wait=False)) is not None:
        found.append(key)
    for key in found:
        queue.done(key)
    return [key.name for key in found]


def rollout(name: str = "demo", spec: Any = None, **changes: Any) -> dict[str, Any]:
    metadata = {"namespace": "airflow", "name": name, "uid": f"uid-{name}", "generation": 1}
    return {"metadata": metadata | changes, "spec": spec or {}}


def test_the_first_sight_and_each_change_by_people_wakes(queue: WorkQueue[Key]) -> None:
    wakeups = Wakeups(queue)
    for seen in (
        rollout(),
        rollout(generation=2),
        rollout(generation=2, annotations={"xcomrollout.dev/kill": "{}"}),
        rollout(generation=2),
        rollout(generation=2, uid="made anew"),
    ):
        wakeups.rollout("MODIFIED", seen)
        assert drained(queue) == {"airflow/demo"}, seen


def test_a_status_write_of_our_own_wakes_nobody(queue: WorkQueue[Key]) -> None:
    wakeups = Wakeups(queue)
    wakeups.rollout(None, rollout(resourceVersion="1"))
    drained(queue)
    wakeups.rollout("MODIFIED", rollout(resourceVersion="2"))
    assert not drained(queue)


def test_a_deletion_wakes_the_others_of_the_namespace(queue: WorkQueue[Key]) -> None:
    wakeups = Wakeups(queue)
    for seen in (rollout("a"), rollout("b"), rollout("c", namespace="elsewhere")):
        wakeups.rollout(None, seen)
    drained(queue)
    wakeups.rollout("DELETED", rollout("a"))
    assert drained(queue) == {"airflow/b"}


def airflow(name: str = "demo", release: str = "airflow", **changes: Any) -> dict[str, Any]:
    return rollout(name, {"airflow": {"release": release}}, **changes)


@pytest.mark.parametrize(
    ("collection", "labels", "woken"),
    [
        (RELEASES, {"owner": "helm", "name": "airflow"}, {"airflow/demo"}),
        (RELEASES, {"owner": "helm", "name": "another"}, {"airflow/other"}),
        (RELEASES, {"name": "airflow"}, set()),
        (CONFIG_MAPS, {"release": "airflow"}, {"airflow/demo"}),
        (CONFIG_MAPS, {}, set()),
        (DEPLOYMENTS, {"release": "airflow"}, {"airflow/demo"}),
        (STATEFUL_SETS, {"release": "airflow"}, {"airflow/demo"}),
        (PODS, {"release": "airflow"}, set()),
        (JOBS, {LABEL_ROLLOUT: "demo"}, {"airflow/demo"}),
    ],
)
def test_what_a_release_is_made_of_wakes_its_rollout(
    queue: WorkQueue[Key], collection: Collection, labels: dict[str, str], woken: set[str]
) -> None:
    wakeups = Wakeups(queue)
    for seen in (airflow(), airflow("other", "another"), airflow(namespace="elsewhere")):
        wakeups.changed(ROLLOUTS, "ADDED", seen)
    drained(queue)
    metadata = {"namespace": "airflow", "name": "x", "labels": labels}
    wakeups.changed(collection, "MODIFIED", {"metadata": metadata})
    assert drained(queue) == woken


@pytest.mark.parametrize("collection", [PODS, TASK_PODS])
@pytest.mark.parametrize(
    ("kind", "phase", "wakes"),
    [
        ("DELETED", "Running", True),
        ("MODIFIED", "Succeeded", True),
        ("MODIFIED", "Failed", True),
        ("MODIFIED", "Running", False),
        ("ADDED", "Pending", False),
    ],
)
def test_a_pod_that_ends_wakes_each_kill_that_is_open_and_nobody_else(
    collection: Collection, kind: str, phase: str, wakes: bool
) -> None:
    now = [0.0]
    queue: WorkQueue[Key] = WorkQueue(clock=lambda: now[0])
    wakeups = Wakeups(queue)
    kept = {"finalizers": ["xcomrollout.dev/kill"]}
    for seen in (rollout("a"), rollout("b", **kept), rollout("c", namespace="other", **kept)):
        wakeups.rollout(None, seen)
    drained(queue)
    for number in range(100):
        metadata = {"namespace": "tasks", "name": f"pod-{number}"}
        wakeups.changed(collection, kind, {"metadata": metadata, "status": {"phase": phase}})
    assert not drained(queue), "those that end together are taken together"
    now[0] += 1
    assert drained(queue) == ({"airflow/b", "other/c"} if wakes else set())
    wakeups.rollout("MODIFIED", rollout("b"))
    wakeups.rollout("DELETED", rollout("c", namespace="other", **kept))
    drained(queue)
    wakeups.changed(collection, "DELETED", {"metadata": {"namespace": "tasks", "name": "pod"}})
    now[0] += 1
    assert not drained(queue)


def test_an_event_of_both_watches_wakes_once_and_a_deletion_ends_it(
    queue: WorkQueue[Key],
) -> None:
    wakeups = Wakeups(queue)
    wakeups.rollout(None, airflow())
    drained(queue)
    wakeups.changed(ROLLOUTS, "ADDED", airflow())
    assert not drained(queue)
    wakeups.changed(ROLLOUTS, "DELETED", airflow())
    wakeups.release("airflow", "airflow")
    assert not drained(queue)


def test_what_kubectl_leaves_wakes_nobody_once_more(queue: WorkQueue[Key]) -> None:
    """The cache does not keep it, and kopf does."""
    wakeups = Wakeups(queue)
    wakeups.rollout(None, rollout(annotations={LAST_APPLIED: "{}", "a": "b"}))
    assert drained(queue)
    wakeups.changed(ROLLOUTS, "ADDED", rollout(annotations={"a": "b"}))
    assert not drained(queue)
    wakeups.changed(ROLLOUTS, "MODIFIED", rollout(annotations={"a": "c"}))
    assert drained(queue)


def test_after_an_event_a_cache_must_be_as_new_as_it(queue: WorkQueue[Key]) -> None:
    versions = Versions()
    wakeups = Wakeups(queue, versions)
    wakeups.rollout("MODIFIED", rollout(resourceVersion="41"))
    wakeups.job({"metadata": {"namespace": "airflow", "resourceVersion": "43"}})
    assert versions.seen(rollout_path("airflow")) == 41
    assert versions.seen("apis/batch/v1/namespaces/airflow/jobs") == 43


def test_a_list_wakes_what_no_event_told_of(queue: WorkQueue[Key]) -> None:
    wakeups = Wakeups(queue)
    known = [rollout("a"), rollout("b"), rollout("c", namespace="elsewhere")]
    for seen in known:
        wakeups.rollout(None, seen)
    drained(queue)
    wakeups.listed("airflow", known[:2])
    assert not drained(queue), "nothing has changed"
    wakeups.listed("airflow", [rollout("a", generation=2), known[1]])
    assert drained(queue) == {"airflow/a"}
    wakeups.listed("airflow", [known[1]])
    assert drained(queue) == {"airflow/b"}, "the other one is gone"
    wakeups.listed("*", [known[1], known[2], rollout("d", namespace="third")])
    assert drained(queue) == {"third/d"}


def test_a_namespace_that_cannot_be_listed_is_told_once_and_keeps_no_other_from_it(
    queue: WorkQueue[Key], caplog: pytest.LogCaptureFixture
) -> None:
    rounds = threading.Semaphore(0)

    def rollouts(namespace: str) -> list[dict[str, Any]]:
        if namespace == "gone":
            raise PermissionError("no right")
        rounds.release()
        return [rollout()]

    with listing(["gone", "airflow"], rollouts, Wakeups(queue), 0.01):
        for _ in range(3):
            assert rounds.acquire(timeout=10)
    assert drained(queue) == {"airflow/demo"}
    assert [record.getMessage() for record in caplog.records] == ["cannot list rollouts; retrying"]


@pytest.mark.parametrize(
    "killed",
    [
        rollout("killed", annotations={"xcomrollout.dev/kill": "not json"}, generation=2),
        rollout("killed", {"killSwitch": {"engaged": True}}, generation=2),
        rollout("killed", finalizers=["xcomrollout.dev/kill"], generation=2),
    ],
    ids=["asked for", "engaged in the spec", "open"],
)
@pytest.mark.parametrize("told", ["an event", "a list"])
def test_a_rollout_with_a_kill_is_taken_before_others_until_it_has_none(
    queue: WorkQueue[Key], killed: dict[str, Any], told: str
) -> None:
    wakeups = Wakeups(queue)
    for name in ("a", "b", "killed"):
        wakeups.rollout(None, rollout(name))
    if told == "an event":
        wakeups.rollout("MODIFIED", killed)
    else:
        wakeups.listed("airflow", [rollout("a"), rollout("b"), killed])
    assert taken(queue) == ["killed", "a", "b"]
    wakeups.rollout("MODIFIED", rollout("a", generation=2))
    wakeups.rollout("MODIFIED", rollout("killed", {"killSwitch": {}}, generation=3))
    assert taken(queue) == ["a", "killed"]


def test_a_kill_that_is_open_is_urgent_although_nothing_that_people_write_has_changed(
    queue: WorkQueue[Key],
) -> None:
    wakeups = Wakeups(queue)
    wakeups.rollout(None, rollout("a"))
    wakeups.rollout(None, rollout("b"))
    wakeups.rollout("MODIFIED", rollout("b", finalizers=["xcomrollout.dev/kill"]))
    assert taken(queue) == ["b", "a"]


def test_a_job_wakes_its_rollout(queue: WorkQueue[Key]) -> None:
    wakeups = Wakeups(queue)
    wakeups.job({"metadata": {"namespace": "airflow", "labels": {LABEL_ROLLOUT: "demo"}}})
    wakeups.job({"metadata": {"namespace": "airflow", "labels": {}}})
    wakeups.job({"metadata": {"namespace": "airflow"}})
    assert drained(queue) == {"airflow/demo"}


def test_kopf_writes_nothing_and_watches_no_more_than_needed() -> None:
    settings = kopf.OperatorSettings()
    configure_kopf(settings)
    assert settings.posting.enabled is False
    assert settings.scanning.disabled is True
    assert settings.peering.standalone is True
    assert settings.watching.server_timeout
    assert isinstance(settings.networking.error_backoffs, Backoffs)
    tries = list(itertools.islice(Backoffs(), 1000))
    assert len(tries) == 1000, "it never gives up"
    assert max(tries) <= 30
    assert settings.watching.label_selectors["batch", "v1", "jobs"] == LABEL_ROLLOUT


def test_kopf_goes_the_way_that_everything_else_goes() -> None:
    trust = Trust(True, "/ca", "/cert", "/key")
    info = connection_info(Access("https://h:6443", "bearer t.o.k", trust, "http://u:p@proxy:3128"))
    assert info.as_http_headers() == {"Authorization": "bearer t.o.k"}
    assert (info.server, info.proxy_url) == ("https://h:6443", "http://u:p@proxy:3128")
    assert (info.ca_path, info.certificate_path, info.private_key_path) == ("/ca", "/cert", "/key")
    assert info.insecure is False
    bare = connection_info(Access("http://h", "", Trust(verify=False), ""))
    assert (bare.as_http_headers(), bare.proxy_url, bare.insecure) == ({}, None, True)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    probe = tmp_path / "xcom_probe.pyz"
    probe.touch()
    return {"XBR_NAMESPACES": "airflow, other,airflow", "XBR_PROBE": str(probe), "HELM_BIN": "sh"}


def test_the_environment_is_read(environment: dict[str, str]) -> None:
    configuration = read_configuration(environment)
    assert configuration.namespaces == ("airflow", "other")
    assert configuration.workers == 4
    assert configuration.liveness is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("XBR_NAMESPACES", ""),
        ("XBR_NAMESPACES", " , "),
        ("XBR_NAMESPACES", "*,airflow"),
        ("XBR_PROBE", "/nowhere/probe.pyz"),
        ("HELM_BIN", "no-such-helm"),
        ("XBR_WORKERS", "0"),
        ("XBR_WORKERS", "many"),
        ("XBR_MOUNT_LAG_SECONDS", "0"),
        ("XBR_MOUNT_LAG_SECONDS", "1.5"),
        ("XBR_LOG_LEVEL", "loud"),
    ],
)
def test_a_bad_setting_is_named_with_its_value_and_what_to_give(
    environment: dict[str, str], name: str, value: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(environment | {name: value})
    text = str(caught.value)
    assert text.startswith(f"{name} is {value!r}: ")
    assert "use" in text or "set it to" in text
