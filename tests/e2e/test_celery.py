"""The whole way where tasks run in workers, with two of them lost by force (make test-long).

| Kind | DAG |
|---|---|
| has offloaded, and is in its next task | `wk_next` |
| its task goes on through the delivery of -1, and offloads in a worker that ends | `wk_returns` |
| has offloaded; its task ignores SIGTERM | `wk_deaf` |
| has offloaded; some of its tasks run, the messages of others wait for a slot | `wk_many` |
| the message of its first task waits for a slot, and is taken at -1 | `wk_waits` |
| has offloaded; its worker is killed before the kill, and its row says that it runs | `wk_lost` |
| has offloaded; its worker is killed once its run is stopped, and its task lives | `wk_deaf_lost` |
| has not offloaded, in the same worker: Airflow tries it again | `wk_beside` |
| waits for a retry; a run without offloaded values | `wb_retry`, `bystander` |
| a finished run that another DAG reads afterwards | `offload_demo`, `wb_pull` |
| a long task across each delivery, there and back | `wb_steady`, four runs |
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

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
from harness.stack import CELERY_2, CELERY_3, DAGS, AirflowStack
from harness.waiting import NotYetError, wait_for
from harness.workers import Clock, alone, highest_tries, lose_worker, run_is

pytestmark = pytest.mark.long

WORKERS = DAGS / "workers"
OFFLOADED = {"wk_next", "wk_deaf", "wk_many", "wk_lost", "wk_deaf_lost", "wb_retry"}
"""DAGs of runs that hold offloaded values when the kill begins."""
MINE = {"wk_returns", "wk_waits", "wk_beside", STEADY, PULL, *OFFLOADED}
TRIES = {
    **dict.fromkeys((*OFFLOADED, "wk_returns"), 2),
    **dict.fromkeys((STEADY, PULL, BYSTANDER, FINISHED, "wk_waits"), 1),
    # By Airflow itself.
    "wk_beside": 2,
}
"""The highest try of any task. Two: cleared once."""
BYSTANDER_SECONDS = 120
KILL_SECONDS = 900.0


@pytest.fixture(params=[CELERY_2, CELERY_3], ids=["2.11", "3.3"])
def airflow(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[AirflowStack]:
    """Airflow with workers, on the database backend; alone, because two slow each other."""
    with alone(cluster, request.param, [WAY_BACK, WORKERS], MINE) as stack:
        yield stack


def _messages(stack: AirflowStack, queue: str) -> int:
    """Return how many messages wait in a queue of the broker."""
    asked = f'REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli llen {queue}'
    pod = f"statefulset/{stack.release}-redis"
    return int(
        stack.cluster.kubectl("-n", stack.namespace, "exec", pod, "--", "sh", "-c", asked).strip()
    )


def _waiting(stack: AirflowStack) -> bool:
    """Whether the tasks that have no slot are sent."""
    waiting = _messages(stack, "default")
    if waiting < 3:
        raise NotYetError(f"{waiting} messages wait")
    return True


def _more_than_slots(flights: Flights, run: str) -> bool:
    """Whether some tasks of the run have a slot, and others are sent and have none."""
    states = [str(each.state) for each in flights.api.tasks("wk_many", run)]
    if "running" not in states or states.count("queued") < 2:
        raise NotYetError(f"wk_many/{run}: {states}")
    return True


def _take_off(flights: Flights) -> dict[str, str]:
    """Start all runs, and return them by DAG when each is in its state."""
    finished, retry = flights.start(FINISHED), flights.start("wb_retry")
    flights.api.wait_run(FINISHED, finished, deadline=240)
    flights.wait("wb_retry", retry, "flaky", "up_for_retry")
    # With `wb_steady` three of six slots; `late` is in a worker of its own.
    runs = {dag: flights.start(dag) for dag in ("wk_next", "wk_deaf", "wk_returns", "wk_lost")}
    flights.wait("wk_next", runs["wk_next"], "hold", "running")
    flights.wait("wk_deaf", runs["wk_deaf"], "deaf", "running")
    flights.wait("wk_returns", runs["wk_returns"], "late", "running")
    flights.wait("wk_lost", runs["wk_lost"], "hold", "running")
    lose_worker(flights.stack, flights.pod_of("wk_lost", runs["wk_lost"], "hold"))
    runs |= {dag: flights.start(dag) for dag in ("wk_deaf_lost", "wk_beside")}
    flights.wait("wk_deaf_lost", runs["wk_deaf_lost"], "deaf", "running")
    flights.wait("wk_beside", runs["wk_beside"], "hold", "running")
    # The other three slots, and more.
    runs[BYSTANDER] = flights.start(BYSTANDER, seconds=BYSTANDER_SECONDS)
    flights.wait(BYSTANDER, runs[BYSTANDER], "hold", "running")
    runs["wk_many"] = flights.start("wk_many")
    wait_for("more tasks than slots", lambda: _more_than_slots(flights, runs["wk_many"]), 120)
    runs["wk_waits"] = flights.start("wk_waits")
    flights.wait("wk_waits", runs["wk_waits"], "produce", "queued")
    wait_for("messages", lambda: _waiting(flights.stack), 30)
    flights.note_offloaded()
    assert flights.api.task("wk_lost", runs["wk_lost"], "hold").state == "running", "its row lies"
    return runs


def _kill(flights: Flights, rollout: RolloutOnCluster, runs: dict[str, str], across: str) -> None:
    """Kill, lose a worker in it, let tasks end in workers that are about to end; until reverted."""
    stack, clock = flights.stack, Clock()
    slot = flights.pod_of("wk_returns", runs["wk_returns"], "late")
    doomed = flights.pod_of("wk_deaf_lost", runs["wk_deaf_lost"], "deaf")
    rollout.xbr("kill", rollout.name, "--reason", "test")
    clock.say("the kill is asked for")
    wait_for(
        "stopped",
        lambda: run_is(flights, "wk_deaf_lost", runs["wk_deaf_lost"], "failed"),
        180,
        interval=0.2,
    )
    # At once: its task ends some seconds later by itself on Airflow 3.
    lose_worker(stack, doomed)
    clock.say(f"wk_deaf_lost is stopped, and {doomed} killed")
    flights.wait_ending(slot)
    if stack.instance.volumes:
        # A StatefulSet has one worker end after the other, each with its tasks. Until its turn has
        # come, the first one takes tasks.
        flights.wait_ending(flights.pod_of(STEADY, across, "hold"))
        flights.end_steady(across)
        flights.wait_ending(f"{stack.release}-worker-0")
    flights.touch("wk_returns", runs["wk_returns"], "late", "/tmp/late")
    clock.say(f"late returns in {slot}, which was told to end")
    flights.wait("wk_returns", runs["wk_returns"], "late", "success")
    row = stack.database.xcom("wk_returns", runs["wk_returns"], "late")
    assert row is not None
    assert row.is_path, "it offloads with the settings of its worker's beginning"
    flights.api.wait_run(BYSTANDER, runs[BYSTANDER], deadline=BYSTANDER_SECONDS + 60)
    clock.say(f"the bystander has ended: {json.dumps(rollout.kill_status().get('runs'))}")
    if not stack.instance.volumes:
        flights.end_steady(across)
    meanwhile = flights.start_steady()
    clock.say("another long task has begun")
    last = flights.pod_of(STEADY, meanwhile, "hold")
    try:
        flights.wait_ending(last, KILL_SECONDS)
        clock.say(f"the revert has told {last} to end")
        assert rollout.thresholds_delivered()[-1] == "database"
        assert flights.api.task(STEADY, meanwhile, "hold").state == "running", "it ends no task"
        flights.end_steady(meanwhile)
        rollout.wait_condition("Ready", reason="Reverted", deadline=KILL_SECONDS)
    finally:
        print(json.dumps(rollout.kill_status(), indent=1), flush=True)
    clock.say("reverted")


def test_no_task_in_a_worker_is_handed_a_path_and_none_is_lost_with_its_worker(
    airflow: AirflowStack,
) -> None:
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

    _kill(flights, rollout, runs, across)

    (source,) = (run for dag, run in flights.runs if dag == FINISHED)
    flights.start(PULL, run=source)
    assert landed(flights, rollout) == []
    assert highest_tries(flights) == TRIES
    assert rollout.kill_status()["runs"]["failed"] == 0
    assert rollout.thresholds_delivered()[-2:] == ["-1", "database"]
