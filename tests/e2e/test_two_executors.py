"""The whole way where some tasks run in workers and others in pods of their own (make test-long).

| Kind | DAG |
|---|---|
| has offloaded in a worker, and is in a task that has a pod of its own | `bo_to_pod` |
| has offloaded in a pod of its own, and is in a worker, which ignores SIGTERM | `bo_to_worker` |
| the same with a task in each at once | `bo_both` |
| its task in a pod goes on through the delivery of -1, and offloads | `bo_returns` |
| a run without offloaded values | `bystander` |
| a finished run that another DAG reads afterwards | `offload_demo`, `wb_pull` |
| a long task in a worker across each delivery, there and back | `wb_steady`, three runs |
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial

import pytest

from harness.cluster import Cluster
from harness.flights import (
    BYSTANDER,
    FINISHED,
    PULL,
    STAY,
    STEADY,
    WAY_BACK,
    Flights,
    accepting,
    landed,
)
from harness.operator import RolloutOnCluster
from harness.stack import BOTH_2, BOTH_3, DAGS, AirflowStack
from harness.waiting import wait_for
from harness.workers import Clock, alone, highest_tries, run_is

OFFLOADED = {"bo_to_pod", "bo_to_worker", "bo_both"}
"""DAGs of runs that hold offloaded values when the kill begins."""
MINE = {"bo_returns", STEADY, PULL, *OFFLOADED}
TRIES = {
    **dict.fromkeys((*OFFLOADED, "bo_returns"), 2),
    **dict.fromkeys((STEADY, PULL, BYSTANDER, FINISHED), 1),
}
"""The highest try of any task. Two: cleared once."""
BYSTANDER_SECONDS = 120
KILL_SECONDS = 900.0

pytestmark = pytest.mark.long


@pytest.fixture(params=[BOTH_2, BOTH_3], ids=["2.11", "3.3"])
def airflow(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[AirflowStack]:
    """Airflow with both, on the database backend."""
    with alone(cluster, request.param, [WAY_BACK, DAGS / "both"], MINE) as stack:
        yield stack


def _take_off(flights: Flights) -> dict[str, str]:
    """Start all runs, and return them by DAG when each is in its state."""
    finished = flights.start(FINISHED)
    flights.api.wait_run(FINISHED, finished, deadline=240)
    runs = {dag: flights.start(dag) for dag in ("bo_returns", *sorted(OFFLOADED))}
    runs[BYSTANDER] = flights.start(BYSTANDER, seconds=BYSTANDER_SECONDS)
    for dag, task in (
        ("bo_returns", "late"),
        ("bo_to_pod", "hold"),
        ("bo_to_worker", "deaf"),
        ("bo_both", "hold"),
        ("bo_both", "deaf"),
        (BYSTANDER, "hold"),
    ):
        flights.wait(dag, runs[dag], task, "running")
    flights.note_offloaded()
    return runs


def _hosts(flights: Flights, runs: dict[str, str]) -> dict[str, set[str]]:
    """Return where each task runs by what it is: a worker, or a pod of its own."""
    found: dict[str, set[str]] = {"worker": set(), "pod": set()}
    for dag, task in (("bo_to_pod", "hold"), ("bo_both", "hold"), ("bo_both", "deaf")):
        host = flights.pod_of(dag, runs[dag], task)
        pod = flights.stack.cluster.kubectl_json("-n", flights.stack.namespace, "get", "pod", host)
        own = "kubernetes_executor" in pod["metadata"]["labels"]
        found["pod" if own else "worker"].add(f"{dag}/{task}")
    return found


def _kill(flights: Flights, rollout: RolloutOnCluster, runs: dict[str, str], across: str) -> None:
    """Kill, let a task pod from before offload in it, and wait until it is reverted."""
    stack, clock = flights.stack, Clock()
    rollout.xbr("kill", rollout.name, "--reason", "test")
    clock.say("the kill is asked for")
    for dag in sorted(OFFLOADED):
        stopped = partial(run_is, flights, dag, runs[dag], "failed")
        wait_for(f"{dag} is stopped", stopped, 180, interval=0.2)
        clock.say(f"{dag} is stopped")
    # What comes after `late` is for a new worker: in an old one it would keep that for its whole
    # grace period, and the kill with it.
    flights.wait_ending(flights.pod_of(STEADY, across, "hold"))
    flights.touch("bo_returns", runs["bo_returns"], "late", "/tmp/late", "base")
    flights.wait("bo_returns", runs["bo_returns"], "late", "success")
    row = stack.database.xcom("bo_returns", runs["bo_returns"], "late")
    assert row is not None
    assert row.is_path, "it offloads with the settings of its pod's beginning"
    flights.api.wait_run(BYSTANDER, runs[BYSTANDER], deadline=BYSTANDER_SECONDS + 60)
    flights.end_steady(across)
    try:
        rollout.wait_condition("Ready", reason="Reverted", deadline=KILL_SECONDS)
    finally:
        print(json.dumps(rollout.kill_status(), indent=1), flush=True)
    clock.say("reverted")


def test_no_task_in_a_worker_or_in_a_pod_is_handed_a_path(airflow: AirflowStack) -> None:
    rollout = RolloutOnCluster(airflow)
    rollout.prepare()
    rollout.delete()
    rollout.apply(accepting)
    clock = Clock()
    flights = Flights(airflow, time.time() + 2 * STAY.total_seconds())
    across = flights.go_live(rollout)
    clock.say("Live")
    runs = _take_off(flights)
    clock.say("all runs are in their states")
    assert {dag for dag, _ in flights.offloaded} == OFFLOADED | {FINISHED}
    assert _hosts(flights, runs) == {
        "worker": {"bo_both/deaf"},
        "pod": {"bo_to_pod/hold", "bo_both/hold"},
    }

    _kill(flights, rollout, runs, across)

    (source,) = (run for dag, run in flights.runs if dag == FINISHED)
    flights.start(PULL, run=source)
    assert landed(flights, rollout) == []
    assert highest_tries(flights) == TRIES
    assert rollout.kill_status()["runs"]["failed"] == 0
    assert rollout.thresholds_delivered()[-2:] == ["-1", "database"]
