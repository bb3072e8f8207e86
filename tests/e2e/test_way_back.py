"""A kill with seventeen kinds of runs in flight, and what each task was handed (make test-long).

| Kind | DAG |
|---|---|
| mapped producers and consumers; several outputs and keys | `wb_mapped`, `wb_keys` |
| waits for a retry, a rescheduled sensor, the triggerer, a teardown | `wb_retry`, ... |
| another branch in the re-run; a run behind max_active_runs | `wb_branch`, `wb_queued` |
| days that a schedule catches up with, two at a time | `wb_catchup` |
| paused by a person; its file is gone | `wb_paused`, `wb_gone` |
| a parent that waits for its child | `wb_parent`, `wb_child` |
| a task that ignores SIGTERM; a run without offloaded values | `late_return`, `bystander` |
| a finished run that another DAG reads afterwards | `offload_demo`, `wb_pull` |
| a long task across each delivery, there and back | `wb_steady`, three runs |

Airflow 3 is installed without `jwtSecret` and `apiSecretKey`, as most releases are: the rollout
reports it before it delivers anything, and the keys that are there are written into the values.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Timer

import pytest

from harness.cluster import Cluster
from harness.flights import (
    BYSTANDER,
    FINISHED,
    LATE,
    PULL,
    STAY,
    STEADY,
    WAY_BACK,
    Flights,
    accepting,
    asleep,
    highest_try,
    landed,
    wait_for_dags,
)
from harness.operator import OperatorInstall, RolloutOnCluster
from harness.stack import AIRFLOW_2, AIRFLOW_3, AirflowStack
from harness.waiting import NotYetError, wait_for

pytestmark = pytest.mark.long

GONE_FILE = "way_back_gone.py"
GONE, PAUSED, CATCHUP = "wb_gone", "wb_paused", "wb_catchup"
CATCHUP_DAYS, CATCHUP_AT_ONCE = 4, 2
KILL_SECONDS = 600.0
# Into a kill, when its first delivery has replaced every pod: more than the three heartbeats that
# Airflow 3 lets a task miss.
STEADY_SECONDS = 90.0
# Keys of Secrets by the values of the chart that hold them.
KEYS = {"jwtSecret": "jwt-secret", "apiSecretKey": "api-secret-key"}
# A stop leaves it out, and Airflow calls its run a success all the same.
SKIPPED = {("wb_branch", "left")}
DAG_IDS = {GONE, PULL, STEADY, PAUSED, "wb_mapped", "wb_retry"}


@pytest.fixture(params=[2, 3])
def airflow(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[AirflowStack]:
    """Airflow of each major version with the DAGs of the way back, on the database backend."""
    if request.param == 3:
        with asleep(cluster, AIRFLOW_2), AirflowStack(cluster, AIRFLOW_3) as third:
            third.install(dict.fromkeys((*KEYS, "fernetKey")), more_dags=[WAY_BACK])
            OperatorInstall(cluster).install()
            wait_for_dags(third, DAG_IDS | {CATCHUP}, unpause=DAG_IDS)
            yield third
            third.uninstall(storage=False)
        OperatorInstall(cluster).install()
        return
    stack: AirflowStack = request.getfixturevalue("stack")
    request.getfixturevalue("rollout")  # It may install Airflow again, without these DAGs.
    stack.bring_storage([WAY_BACK])
    wait_for_dags(stack, DAG_IDS | {CATCHUP}, unpause=DAG_IDS)
    yield stack
    stack.bring_storage()


def _keep_keys(stack: AirflowStack, rollout: RolloutOnCluster) -> None:
    """Do what the rollout waits for: write the keys that the chart has made into the values."""
    said = rollout.wait_condition("Armed", "False", reason="NotArmed", deadline=500)["message"]
    assert "set apiSecretKey, jwtSecret in the values of the release" in said, said
    assert rollout.thresholds_delivered() == ["database"], "nothing was delivered"
    found = {
        value: stack.cluster.kubectl_json(
            "-n", stack.namespace, "get", "secret", f"{stack.release}-{key}"
        )["data"][key]
        for value, key in KEYS.items()
    }
    stack.upgrade({value: base64.b64decode(packed).decode() for value, packed in found.items()})


def _set_file(stack: AirflowStack, name: str, text: str | None) -> None:
    """Bring a file of the DAG folder, or take it away."""
    patch = json.dumps({"data": {name: text}})
    stack.cluster.kubectl(
        *("-n", stack.namespace, "patch", "configmap", "airflow-dags", "--type=merge", "-p", patch)
    )


def _take_off(flights: Flights) -> None:
    """Start all runs, some at a time, and return when each is in its state."""
    api = flights.api
    finished, gone = flights.start(FINISHED), flights.start(GONE)
    paused = flights.start(PAUSED)
    flights.wait(PAUSED, paused, "produce", "running", "success")
    api.set_paused(PAUSED, True)
    flights.wait(GONE, gone, "hold", "running")
    _set_file(flights.stack, GONE_FILE, None)
    api.wait_run(FINISHED, finished, deadline=400)
    flights.wait(PAUSED, paused, "produce", "success")

    mapped, keys = flights.start("wb_mapped"), flights.start("wb_keys")
    retry, sensor = flights.start("wb_retry"), flights.start("wb_sensor")
    flights.wait("wb_mapped", mapped, "hold", "running")
    flights.wait("wb_keys", keys, "hold", "running")
    flights.wait("wb_retry", retry, "flaky", "up_for_retry")
    flights.wait("wb_sensor", sensor, "wait_long", "up_for_reschedule")

    branch, teardown = flights.start("wb_branch"), flights.start("wb_teardown")
    queued = flights.start("wb_queued")
    # It takes the place of the first, once that is stopped.
    behind = flights.start("wb_queued", until=0)
    flights.wait("wb_branch", branch, "hold", "running")
    flights.wait("wb_teardown", teardown, "work", "running")
    flights.wait("wb_queued", queued, "hold", "running")
    assert api.run_state("wb_queued", behind) == "queued"
    api.set_paused(CATCHUP, False)
    wait_for("days to catch up with", lambda: _caught_up(flights, CATCHUP_AT_ONCE), 120, interval=2)
    for run in flights.adopt(CATCHUP)[:CATCHUP_AT_ONCE]:
        flights.wait(CATCHUP, run, "hold", "running")

    wake = datetime.now(UTC) + timedelta(minutes=7)
    deferred = flights.start("wb_deferred", wake=wake.isoformat())
    parent = flights.start("wb_parent")
    flights.runs.append(("wb_child", f"child-of-{parent}"))
    still, late = flights.start(BYSTANDER, seconds=200), flights.start(LATE, seconds=120)
    flights.wait("wb_deferred", deferred, "alarm", "deferred")
    flights.wait("wb_child", f"child-of-{parent}", "linger", "running")
    flights.wait(BYSTANDER, still, "hold", "running")
    flights.wait(LATE, late, "late", "running")
    wait_for("the DAG without its file", lambda: GONE not in api.dag_ids(), 240, interval=2)
    flights.note_offloaded()


def _caught_up(flights: Flights, days: int) -> bool:
    """Whether the schedule has made as many runs, of one day each."""
    found = flights.adopt(CATCHUP)
    if len(found) < days:
        raise NotYetError(f"{CATCHUP} has the runs {found}")
    return True


def _troubled(rollout: RolloutOnCluster) -> bool:
    """Whether the run without its DAG's file is named, with what to do."""
    stalled = rollout.conditions().get("Stalled", {})
    said = f"{stalled.get('message', '')} {rollout.status().get('killSwitch')}"
    if stalled.get("status") != "True" or GONE not in said:
        raise NotYetError(f"{stalled}; {rollout.status().get('killSwitch')}")
    return True


def test_no_task_is_handed_a_path_and_no_run_is_lost_by_a_kill(airflow: AirflowStack) -> None:
    api, rollout = airflow.api, RolloutOnCluster(airflow)
    rollout.prepare()
    rollout.delete()
    rollout.apply(accepting)
    # Twice as long, because the way there comes first.
    flights = Flights(airflow, time.time() + 2 * STAY.total_seconds())
    across = flights.go_live(
        rollout, lambda: _keep_keys(airflow, rollout) if airflow.instance.major == 3 else None
    )
    _take_off(flights)
    in_flight = {dag for dag, _ in flights.offloaded}
    assert {"wb_mapped", "wb_keys", "wb_retry", "wb_sensor", "wb_deferred", "wb_teardown"} <= (
        in_flight
    )
    assert {"wb_branch", "wb_queued", "wb_child", CATCHUP, PAUSED, GONE, FINISHED} <= in_flight

    print(rollout.xbr("kill", rollout.name, "--dry-run"), flush=True)
    begin = time.monotonic()
    # The kill waits for it, as for every earlier task.
    ending = Timer(STEADY_SECONDS, flights.end_steady, (across,))
    ending.start()
    killing = rollout.xbr(
        *("kill", rollout.name, "--reason", "test", "--wait", "--timeout", "5m"),
        check=False,
        live=True,
    )
    print(f"the command took {time.monotonic() - begin:.0f} s")
    wait_for("the run without a file is named", lambda: _troubled(rollout), 120, interval=1)
    assert GONE in killing, "the command names it too"
    ending.join()
    meanwhile = flights.start_steady()
    _set_file(airflow, GONE_FILE, (WAY_BACK / GONE_FILE).read_text())
    left = max(60.0, KILL_SECONDS - (time.monotonic() - begin))
    try:
        rollout.wait_condition("Ready", reason="Reverted", deadline=left)
    finally:
        print(json.dumps(rollout.status().get("killSwitch"), indent=1), flush=True)
    print(f"reverted after {time.monotonic() - begin:.0f} s", flush=True)

    assert api.task(STEADY, meanwhile, "hold").state == "running", "a revert ends no task"
    flights.end_steady(meanwhile)
    paused = {dag for dag, _ in flights.runs if api.request("GET", f"/dags/{dag}")["is_paused"]}
    (source,) = (run for dag, run in flights.runs if dag == FINISHED)
    flights.start(PULL, run=source)
    api.set_paused(PAUSED, False)
    wait_for("the last day", lambda: _caught_up(flights, CATCHUP_DAYS), 240, interval=2)
    assert landed(flights, rollout, skipped=SKIPPED) == []
    assert paused == {PAUSED}, "as before the kill"
    untouched = (BYSTANDER, STEADY, "wb_parent", "wb_child", PULL)
    tries = {dag: highest_try(airflow, dag) for dag in untouched}
    assert set(tries.values()) == {1}, f"touched without need: {tries}"
    assert rollout.status()["killSwitch"]["runs"]["failed"] == 0
    assert rollout.thresholds_delivered()[-2:] == ["-1", "database"]
