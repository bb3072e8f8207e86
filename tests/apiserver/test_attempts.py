"""Processes in a worker, seen and ended through an API server and a kubelet."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import pytest

from standin.bench import Bench
from standin.node import Node
from xcom_rollout.act.end_attempts import end_attempts
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.actions import EndAttempts
from xcom_rollout.decide.ledger import Kill, Ledger, RecoveringRun, RunKey, RunStage
from xcom_rollout.decide.observed import Observed
from xcom_rollout.observe.attempts import attempts_in_workers
from xcom_rollout.release.pods import list_pods
from xcom_rollout.wiring import Clients

RUN = RunKey("dag", "manual 1")
TITLE = f"airflow task runner: {RUN.dag_id} task {RUN.run_id} 17"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEDGER = Ledger(kill=Kill(1, NOW, "me", "", runs=(RecoveringRun(RUN, 1, RunStage.STOPPED),)))


@pytest.fixture
def worker(bench: Bench, node: Node) -> Json:
    """A worker that runs; its processes are those of this machine."""
    labels = {"tier": "airflow", "release": "rel", "component": "worker"}
    bench.server.kubectl(
        *("create", "configmap", "config", "-n", bench.namespace),
        "--from-literal=airflow.cfg=[core]",
    )
    spec = {
        "containers": [{"name": "worker", "image": "airflow"}],
        "volumes": [{"name": "config", "configMap": {"name": "config"}}],
    }
    node.start(bench.namespace, {"name": "worker-0", "labels": labels}, spec)
    (pod,) = list_pods(bench.api, bench.namespace, "rel")
    return pod


@pytest.fixture
def task() -> Iterator[subprocess.Popen[bytes]]:
    """A process that calls itself as a task does."""
    with subprocess.Popen([TITLE], executable="/bin/cat", stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def anew(world: Clients) -> Clients:
    """The world without a memory of earlier looks."""
    return replace(world, memo=type(world.memo)())


def test_a_task_in_a_worker_is_seen_and_ended(
    bench: Bench, worker: Json, task: subprocess.Popen[bytes]
) -> None:
    rollout = bench.rollout()
    look = attempts_in_workers(bench.world, rollout, LEDGER, [worker])
    # Of other tests' tasks of Airflow 3 on this machine nobody here knows the runs.
    assert "cannot be seen" not in look.unseen
    (mine,) = [attempt for attempt in look.attempts if attempt.pid == task.pid]
    assert (mine.pod, mine.pod_uid) == ("worker-0", worker["metadata"]["uid"])
    assert (mine.run, mine.title) == (RUN, TITLE)

    observed = cast("Observed", type("Seen", (), {"rollout": rollout, "ledger": LEDGER}))
    end_attempts(bench.world, observed, EndAttempts((replace(mine, pod_uid="another"),)))
    end_attempts(bench.world, observed, EndAttempts((replace(mine, started=1),)))
    assert task.poll() is None
    end_attempts(bench.world, observed, EndAttempts((mine,)))
    assert task.wait(5) == -9
    look = attempts_in_workers(bench.world, rollout, LEDGER, [worker])
    assert task.pid not in {attempt.pid for attempt in look.attempts}
    assert "cannot be seen" not in look.unseen


def test_a_worker_that_is_gone_has_none_and_one_that_is_out_of_reach_is_told(
    bench: Bench, node: Node, worker: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xcom_rollout.clients.kube.time.sleep", lambda _: None)
    with node.away():
        look = attempts_in_workers(bench.world, bench.rollout(), LEDGER, [worker])
    assert look.attempts == ()
    assert "the tasks in the worker worker-0 cannot be seen: " in look.unseen
    assert "answered 500" in look.unseen
    assert look.unseen_since is not None, "that may pass"

    path = f"api/v1/namespaces/{bench.namespace}/pods/worker-0"
    bench.api.delete(path, uid=worker["metadata"]["uid"], grace_seconds=0)
    look = attempts_in_workers(anew(bench.world), bench.rollout(), LEDGER, [worker])
    assert (look.attempts, look.unseen, look.unseen_since) == ((), "", None)
