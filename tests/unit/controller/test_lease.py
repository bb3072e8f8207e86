"""Who acts in a namespace, and from when on another one does."""

from __future__ import annotations

import copy
import os
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

import pytest

from xcom_rollout.clients.errors import Conflict, Forbidden, KubeError
from xcom_rollout.controller.lease import (
    DURATION,
    LOOK_AGAIN,
    MARGIN,
    RENEWAL,
    Holder,
    Leases,
    StandsBy,
    Unleased,
)

if TYPE_CHECKING:
    from xcom_rollout.clients.kube import Json, KubeApi

LEASE = "apis/coordination.k8s.io/v1/namespaces/airflow/leases/xcom-rollout"
SECOND = timedelta(seconds=1)


@dataclass
class Cluster:
    """Leases and pods, and one clock."""

    time: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    objects: dict[str, Json] = field(default_factory=dict)
    requests: int = 0
    trouble: KubeError | None = None
    answer_lost: bool = False
    """Whether what is replaced is stored, and nobody is told."""
    ending: bool = False
    """Whether the namespace is being deleted."""

    def now(self) -> datetime:
        return self.time

    def find(self, path: str) -> Json | None:
        self.asked()
        return copy.deepcopy(self.objects.get(path))

    def create(self, path: str, body: Json) -> bool:
        self.asked()
        if self.ending:
            raise KubeError("unable to create new content: the namespace is being terminated")
        path = f"{path}/{body['metadata']['name']}"
        if path in self.objects:
            return False
        self.store(path, body)
        return True

    def replace(self, path: str, body: Json) -> Json:
        self.asked()
        there = self.objects.get(path, {"metadata": {}})["metadata"].get("resourceVersion")
        if there != body["metadata"].get("resourceVersion"):
            raise Conflict("changed")
        self.store(path, body)
        if self.answer_lost:
            raise KubeError("no answer")
        return copy.deepcopy(self.objects[path])

    def store(self, path: str, body: Json) -> None:
        body = copy.deepcopy(body)
        body["metadata"]["resourceVersion"] = str(self.requests)
        self.objects[path] = body

    def asked(self) -> None:
        self.requests += 1
        if self.trouble is not None:
            raise self.trouble

    def leases(self, holder: Holder) -> Leases:
        start = self.time
        return Leases(
            cast("KubeApi", self), holder, monotonic=lambda: (self.time - start).total_seconds()
        )


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


ONE = Holder("one", pod="ops/one")
TWO = Holder("two", pod="ops/two")


def test_the_first_to_write_holds_it_and_the_other_stands_by(cluster: Cluster) -> None:
    cluster.objects["api/v1/namespaces/ops/pods/one"] = {}
    cluster.leases(ONE).hold("airflow")
    with pytest.raises(StandsBy, match=r"'airflow': one holds the Lease .*watchNamespaces") as told:
        cluster.leases(TWO).hold("airflow")
    assert told.value.retry_after == LOOK_AGAIN.total_seconds()
    cluster.leases(TWO).hold("elsewhere")


def test_it_costs_nothing_until_it_is_renewed(cluster: Cluster) -> None:
    leases = cluster.leases(ONE)
    leases.hold("airflow")
    asked = cluster.requests
    cluster.time += RENEWAL - SECOND
    leases.hold("airflow")
    assert cluster.requests == asked
    cluster.time += SECOND
    leases.hold("airflow")
    assert cluster.requests == asked + 2
    spec = cluster.objects[LEASE]["spec"]
    assert spec["acquireTime"] < spec["renewTime"]
    assert spec["leaseTransitions"] == 1


def test_whoever_is_not_heard_of_is_followed_when_its_time_is_over_and_writes_no_more(
    cluster: Cluster,
) -> None:
    cluster.objects["api/v1/namespaces/ops/pods/one"] = {}
    lost, next_one = cluster.leases(ONE), cluster.leases(TWO)
    lost.hold("airflow")
    cluster.time += DURATION - SECOND
    with pytest.raises(StandsBy):
        next_one.hold("airflow")
    cluster.time += SECOND
    next_one.hold("airflow")
    assert cluster.objects[LEASE]["spec"]["leaseTransitions"] == 2
    cluster.objects["api/v1/namespaces/ops/pods/two"] = {}
    with pytest.raises(StandsBy):
        lost.hold("airflow")


def test_each_later_renewal_is_one_request_and_is_refused_where_another_has_written(
    cluster: Cluster,
) -> None:
    cluster.objects["api/v1/namespaces/ops/pods/one"] = {}
    leases = cluster.leases(ONE)
    leases.hold("airflow")
    cluster.time += RENEWAL
    leases.hold("airflow")  # now its version is known
    for _ in range(3):
        asked = cluster.requests
        cluster.time += 4 * RENEWAL
        leases.hold("airflow")
        assert cluster.requests == asked + 1
    cluster.time += 4 * RENEWAL
    cluster.leases(TWO).hold("airflow")
    with pytest.raises(Conflict):
        leases.hold("airflow")
    cluster.objects["api/v1/namespaces/ops/pods/two"] = {}
    with pytest.raises(StandsBy, match="two holds the Lease"):
        leases.hold("airflow")


@pytest.mark.parametrize("by_hand", ["deleted", "annotated", "answer lost"])
def test_one_that_is_not_as_it_was_written_is_read_and_taken_again(
    cluster: Cluster, by_hand: str
) -> None:
    leases = cluster.leases(ONE)
    leases.hold("airflow")
    cluster.time += RENEWAL
    leases.hold("airflow")  # now its version is known
    if by_hand == "deleted":
        del cluster.objects[LEASE]
    elif by_hand == "annotated":
        cluster.requests += 1
        cluster.store(LEASE, cluster.objects[LEASE])
    else:
        cluster.answer_lost = True
    cluster.time += RENEWAL
    with pytest.raises(Conflict) if by_hand != "answer lost" else nullcontext():
        leases.hold("airflow")
    cluster.answer_lost = False
    leases.hold("airflow")
    assert cluster.objects[LEASE]["spec"]["holderIdentity"] == "one"
    with pytest.raises(StandsBy):
        cluster.leases(Holder("two")).hold("airflow")
    cluster.time += RENEWAL
    leases.hold("airflow")


def test_one_that_cannot_renew_begins_nothing_that_could_outlast_its_time(cluster: Cluster) -> None:
    leases = cluster.leases(ONE)
    leases.hold("airflow")
    cluster.trouble = KubeError("no answer")
    cluster.time += DURATION - MARGIN - SECOND
    leases.hold("airflow")
    cluster.time += SECOND
    with pytest.raises(KubeError, match="no answer"):
        leases.hold("airflow")


def test_a_container_that_was_restarted_goes_on_at_once_and_renews_in_time(
    cluster: Cluster,
) -> None:
    cluster.leases(ONE).hold("airflow")
    written = cluster.objects[LEASE]
    cluster.time += RENEWAL / 2
    again = cluster.leases(ONE)
    again.hold("airflow")
    assert cluster.objects[LEASE] is written
    cluster.time += RENEWAL / 2
    again.hold("airflow")
    assert cluster.objects[LEASE] is not written


def test_what_was_given_back_is_free_at_once(cluster: Cluster) -> None:
    for name in ("one", "two"):
        cluster.objects[f"api/v1/namespaces/ops/pods/{name}"] = {}
    leases = cluster.leases(ONE)
    leases.hold("airflow")
    leases.release()
    cluster.leases(TWO).hold("airflow")
    leases.release()
    with pytest.raises(StandsBy):
        leases.hold("airflow")


@pytest.mark.parametrize(
    ("holder", "next_one", "free"),
    [
        (ONE, TWO, True),
        (ONE, Holder("two", pod="elsewhere/two"), False),
        (ONE, Holder("two", host="laptop/1"), False),
        (Holder("one", host=f"laptop/{os.getpid()}"), Holder("two", host="laptop/1"), False),
        (Holder("one", host="laptop/999999999"), Holder("two", host="laptop/1"), True),
        (Holder("one", host="other/999999999"), Holder("two", host="laptop/1"), False),
    ],
    ids=[
        *("its pod is gone", "its pod may not be looked for", "who asks is in no cluster"),
        *("its process is there", "its process is gone", "its process is on another host"),
    ],
)
def test_who_is_surely_gone_is_not_waited_for(
    cluster: Cluster, holder: Holder, next_one: Holder, free: bool
) -> None:
    cluster.leases(holder).hold("airflow")
    if free:
        cluster.leases(next_one).hold("airflow")
    else:
        with pytest.raises(StandsBy):
            cluster.leases(next_one).hold("airflow")


def test_without_the_right_to_look_for_its_pod_the_holder_is_waited_for(cluster: Cluster) -> None:
    cluster.leases(ONE).hold("airflow")
    asked = cluster.find

    def find(path: str) -> Json | None:
        if "/pods/" in path:
            raise Forbidden("pods")
        return asked(path)

    cluster.find = find  # type: ignore[method-assign]
    with pytest.raises(StandsBy):
        cluster.leases(TWO).hold("airflow")


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_was_evicted_is_gone_although_its_object_stays(
    cluster: Cluster, phase: str
) -> None:
    cluster.objects["api/v1/namespaces/ops/pods/one"] = {"status": {"phase": "Running"}}
    cluster.leases(ONE).hold("airflow")
    with pytest.raises(StandsBy):
        cluster.leases(TWO).hold("airflow")
    cluster.objects["api/v1/namespaces/ops/pods/one"] = {"status": {"phase": phase}}
    cluster.leases(TWO).hold("airflow")


def test_in_a_namespace_that_is_being_deleted_no_lease_is_needed(cluster: Cluster) -> None:
    """What is left to do there is to let the rollout go; nobody can make a Lease."""
    cluster.ending = True
    cluster.objects["api/v1/namespaces/airflow"] = {"metadata": {}}
    with pytest.raises(KubeError, match="terminated"):
        cluster.leases(ONE).hold("airflow")
    cluster.objects["api/v1/namespaces/airflow"] = {"metadata": {"deletionTimestamp": "x"}}
    cluster.leases(ONE).hold("airflow")


def test_without_the_right_to_leases_it_is_said_once_and_nobody_waits(cluster: Cluster) -> None:
    cluster.trouble = Forbidden("leases is forbidden")
    leases = cluster.leases(ONE)
    with pytest.raises(Unleased, match=r"'airflow'.*leases\.coordination\.k8s\.io"):
        leases.hold("airflow")
    leases.hold("airflow")


def test_a_host_name_that_may_have_been_cut_short_is_taken_for_no_pod(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "x" * 63)
    assert Holder.of_this_process("i", "ops").pod == ""
    assert Holder.of_this_process("i", "ops", "x" * 70).pod == f"ops/{'x' * 70}"
    monkeypatch.setattr("socket.gethostname", lambda: "short")
    assert Holder.of_this_process("i", "ops").pod == "ops/short"


def test_of_two_at_once_one_holds_it(cluster: Cluster) -> None:
    one, two = cluster.leases(ONE), cluster.leases(TWO)
    create = cluster.create

    def late(path: str, body: Json) -> bool:
        cluster.create = create  # type: ignore[method-assign]
        two.hold("airflow")
        return create(path, body)

    cluster.create = late  # type: ignore[method-assign]
    with pytest.raises(Conflict):
        one.hold("airflow")
    cluster.objects["api/v1/namespaces/ops/pods/two"] = {}
    with pytest.raises(StandsBy):
        one.hold("airflow")
