"""A delivery of the way back waits for nothing that is sent beside it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from xcom_rollout.act import set_values as module
from xcom_rollout.act.set_values import set_values
from xcom_rollout.clients.errors import KubeError
from xcom_rollout.decide.actions import RunJob, SetValues
from xcom_rollout.decide.ledger import Component
from xcom_rollout.decide.observed import JobKind, Rollout
from xcom_rollout.decide.settings import object_storage
from xcom_rollout.wiring import Clients

READERS = object_storage("s3://c@b/x", "-1", None)
STANDBY = RunJob(JobKind.STANDBY, Component.SCHEDULER, 1, "kill-1.1-standby", None, ("standby",))
ROLLOUT = cast("Rollout", SimpleNamespace(namespace="airflow", name="demo"))
WORLD = cast("Clients", SimpleNamespace())


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was done: the jobs that were sent and the settings that were delivered."""
    done: list[Any] = []

    class Delivery:
        def apply(self, settings: Any, revision: int, *, way_back: bool) -> str:
            done.append((settings, revision, way_back))
            return ""

    def run_job(_world: Clients, _rollout: Rollout, job: RunJob) -> None:
        done.append(job.kind)

    monkeypatch.setattr(module, "delivery_for", lambda _w, _r: Delivery())
    monkeypatch.setattr(module, "run_job", run_job)
    return done


def test_the_pod_that_waits_is_sent_before_helm_works(done: list[Any]) -> None:
    set_values(WORLD, ROLLOUT, SetValues(READERS, 3, way_back=True, beside=STANDBY))
    assert done == [JobKind.STANDBY, (READERS, 3, True)]


def test_a_cluster_that_refuses_it_does_not_keep_the_writers_from_being_stopped(
    done: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> None:
        raise KubeError("exceeded quota: count/jobs.batch")

    monkeypatch.setattr(module, "run_job", refuse)
    set_values(WORLD, ROLLOUT, SetValues(READERS, 3, way_back=True, beside=STANDBY))
    assert done == [(READERS, 3, True)]
    assert "exceeded quota" in caplog.text


def test_what_people_have_to_know_of_a_delivery_is_handed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delivery = SimpleNamespace(apply=lambda *_, **__: "the key was kept")
    monkeypatch.setattr(module, "delivery_for", lambda *_: delivery)
    assert set_values(WORLD, ROLLOUT, SetValues(READERS, 3, way_back=True)) == "the key was kept"


def test_what_is_sent_alone_is_delivered_alone(done: list[Any]) -> None:
    set_values(WORLD, ROLLOUT, SetValues(READERS, 3))
    assert done == [(READERS, 3, False)]
