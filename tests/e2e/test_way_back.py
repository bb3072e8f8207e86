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
says so before it delivers anything, and the keys that are there are written into the values.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Timer
from typing import Any

import pytest

from harness.airflow import AirflowApi
from harness.cluster import Cluster
from harness.operator import OperatorInstall, RolloutOnCluster
from harness.shell import HarnessError
from harness.stack import AIRFLOW_2, AIRFLOW_3, DAGS, AirflowStack, Instance
from harness.waiting import NotYetError, wait_for

pytestmark = pytest.mark.long

WAY_BACK = DAGS / "way_back"
GONE_FILE = "way_back_gone.py"
GONE, PAUSED, PULL, CATCHUP = "wb_gone", "wb_paused", "wb_pull", "wb_catchup"
CATCHUP_DAYS, CATCHUP_AT_ONCE = 4, 2
BYSTANDER, LATE, FINISHED = "bystander", "late_return", "offload_demo"
STEADY = "wb_steady"
KILL_SECONDS = 600.0
# Into a kill, when its first delivery has replaced every pod: more than the three heartbeats that
# Airflow 3 lets a task miss.
STEADY_SECONDS = 90.0
# Keys of Secrets by the values of the chart that hold them.
KEYS = {"jwtSecret": "jwt-secret", "apiSecretKey": "api-secret-key"}
# What offloading changes on Airflow 3.3, beside what the example accepts.
DRIFT = ["key-to-str", "keys-refused", "tuple-to-list"]
# First tries stay in flight for as long, if nobody stops them.
STAY = timedelta(minutes=20)
Manifest = dict[str, Any]


@dataclass
class Flights:
    """The runs of the test.

    Attributes:
        runs: run ids of each DAG.
        offloaded: keys of the runs that were seen with a path before the kill.
    """

    stack: AirflowStack
    until: float
    runs: list[tuple[str, str]] = field(default_factory=list)
    offloaded: set[tuple[str, str]] = field(default_factory=set)

    @property
    def api(self) -> AirflowApi:
        return self.stack.api

    def start(self, dag: str, **conf: object) -> str:
        """Start a run that stays in flight."""
        small = dag in {BYSTANDER, LATE, FINISHED, PULL}
        run = self.api.trigger(dag, conf if small else {"until": self.until, **conf})
        self.runs.append((dag, run))
        return run

    def adopt(self, dag: str) -> list[str]:
        """Count the runs that the DAG's schedule has made as well; return all of that DAG's."""
        made = self.api.request("GET", f"/dags/{dag}/dagRuns")["dag_runs"]
        found = sorted(str(run["dag_run_id"]) for run in made)
        self.runs += [(dag, run) for run in found if (dag, run) not in self.runs]
        return found

    def wait(self, dag: str, run: str, task: str, *states: str) -> None:
        """Wait until a task is in one of the states."""
        self.api.wait_task(dag, run, task, states, deadline=400)

    def note_offloaded(self) -> None:
        """See which runs hold a path now."""
        for dag, run in self.runs:
            if any(row.is_path for row in self.stack.database.xcoms(dag, run)):
                self.offloaded.add((dag, run))


@pytest.fixture(params=[2, 3])
def airflow(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[AirflowStack]:
    """Airflow of each major version with the DAGs of the way back, on the database backend."""
    if request.param == 3:
        with _asleep(cluster, AIRFLOW_2), AirflowStack(cluster, AIRFLOW_3) as third:
            third.install(dict.fromkeys((*KEYS, "fernetKey")), more_dags=WAY_BACK)
            OperatorInstall(cluster).install()
            _wait_for_dags(third)
            yield third
            third.uninstall(storage=False)
        OperatorInstall(cluster).install()
        return
    stack: AirflowStack = request.getfixturevalue("stack")
    request.getfixturevalue("rollout")  # It may install Airflow again, without these DAGs.
    stack.bring_storage(WAY_BACK)
    _wait_for_dags(stack)
    yield stack
    stack.bring_storage()


@contextmanager
def _asleep(cluster: Cluster, instance: Instance) -> Iterator[None]:
    """Let another Airflow rest meanwhile: two slow each other."""

    def scale(replicas: int) -> None:
        if cluster.kubectl("get", "namespace", instance.namespace, "--ignore-not-found"):
            words = ("-n", instance.namespace, "scale", "deployment,statefulset")
            cluster.kubectl(*words, "-l", "tier=airflow", f"--replicas={replicas}")

    scale(0)
    yield
    scale(1)


def _wait_for_dags(stack: AirflowStack) -> None:
    wanted = {GONE, PULL, CATCHUP, STEADY, "wb_mapped", "wb_retry"}
    wait_for("DAGs of the way back", lambda: _known(stack, wanted), 300, interval=2)
    for dag in (wanted | {PAUSED}) - {CATCHUP}:
        stack.api.set_paused(dag, False)


def _known(stack: AirflowStack, wanted: set[str]) -> bool:
    known = stack.api.dag_ids()
    if not wanted <= known:
        raise NotYetError(f"DAGs {sorted(known)}; errors {stack.api.import_errors()}")
    return True


def _accepting(manifest: Manifest) -> None:
    # What the audits find in these DAGs, and what drifts in them, is the subject of other tests.
    gates = manifest["spec"]["gates"]
    del gates["audit"]
    gates["roundTrip"]["acceptedDrift"] += DRIFT


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


def _start_steady(flights: Flights) -> str:
    """Start a run whose task goes on until `_end_steady`."""
    run = flights.start(STEADY)
    flights.wait(STEADY, run, "hold", "running")
    return run


def _end_steady(stack: AirflowStack, run: str) -> None:
    """Let the task end, in the pod in which it has run from the beginning."""
    words = ("-n", stack.namespace, "get", "pods", "-l", f"dag_id={STEADY},task_id=hold")
    (pod,) = (
        pod["metadata"]["name"]
        for pod in stack.cluster.kubectl_json(*words)["items"]
        if pod["metadata"]["annotations"]["run_id"] == run and pod["status"]["phase"] == "Running"
    )
    stack.cluster.kubectl(
        *("-n", stack.namespace, "exec", pod, "-c", "base", "--", "touch", "/tmp/over")
    )


def _waited_for(rollout: RolloutOnCluster, run: str) -> bool:
    """Whether every pod reads, and the way there waits for the run's task to end."""
    found = rollout.conditions().get("ReadersConfirmed", {})
    if found.get("reason") != "OldTasksRunning" or run not in found["message"]:
        raise NotYetError(f"{found}")
    return True


def _go_live(flights: Flights, rollout: RolloutOnCluster) -> str:
    """Come to Live with a task in flight across each delivery; return the run of the second."""
    first = _start_steady(flights)
    if flights.stack.instance.major == 3:
        _keep_keys(flights.stack, rollout)
    wait_for("every pod reads", lambda: _waited_for(rollout, first), 500, interval=1)
    second = _start_steady(flights)
    assert flights.api.task(STEADY, first, "hold").state == "running", "a flip ends no task"
    _end_steady(flights.stack, first)
    rollout.wait_condition("Ready", deadline=500)
    flights.until = time.time() + STAY.total_seconds()
    assert flights.api.task(STEADY, second, "hold").state == "running", "nor does the cut-over"
    return second


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


def _handed(stack: AirflowStack, dag: str, run: str) -> list[tuple[str, dict[str, Any]]]:
    """What each task of a run says that it was handed."""
    return [
        (f"{row.task_id}[{row.map_index}] {row.key.removeprefix('received').strip()}".strip(), said)
        for row in stack.database.xcoms(dag, run)
        if row.key.startswith("received") and isinstance(said := json.loads(row.value), dict)
    ]


def _report(stack: AirflowStack, flights: Flights) -> tuple[str, list[str]]:
    """Return a table of all runs, and what is wrong in it."""
    lines = [
        "| DAG | run | tries | handed | type | sha256 | paths left |",
        "|---|---|---|---|---|---|---|",
    ]
    wrong = []
    for dag, run in flights.runs:
        state = stack.api.run_state(dag, run)
        tasks = stack.api.tasks(dag, run)
        tries = ", ".join(
            f"{task.task_id}{'' if task.map_index < 0 else f'[{task.map_index}]'} {task.try_number}"
            for task in tasks
        )
        # Airflow calls a run a success whose last task was skipped, by a stop as well.
        wrong += [
            f"{dag}/{run}: task {task.task_id} is {task.state}"
            for task in tasks
            if task.state != "success" and (dag, task.task_id) != ("wb_branch", "left")
        ]
        paths = [
            f"{row.task_id}/{row.key}" for row in stack.database.xcoms(dag, run) if row.is_path
        ]
        handed = _handed(stack, dag, run)
        shown: list[tuple[str, dict[str, Any]]] = [*handed] or [("-", {})]
        for name, said in shown:
            lines.append(
                f"| {dag} | {state} | {tries} | {name} | {said.get('type', '-')} "
                f"| {said.get('sha256', '-')[:12]} | {', '.join(paths) or 'none'} |"
            )
            if said.get("type") == "str" and said["starts"].startswith('"s3://'):
                wrong.append(f"{dag}/{run}: {name} was handed a path: {said['starts']}")
            if said.get("right") is False:
                wrong.append(f"{dag}/{run}: {name} was handed another value: {said}")
        if state != "success":
            wrong.append(f"{dag}/{run} is {state}: {tries}")
        if paths:
            wrong.append(f"{dag}/{run} holds paths: {paths}")
        if not handed:
            wrong.append(f"{dag}/{run}: no task says what it was handed")
    return "\n".join(lines), wrong


def _highest_try(stack: AirflowStack, dag: str) -> int:
    runs = stack.api.request("GET", f"/dags/{dag}/dagRuns")["dag_runs"]
    return max(task.try_number for run in runs for task in stack.api.tasks(dag, run["dag_run_id"]))


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
    rollout.apply(_accepting)
    rollout.xbr("attest", rollout.name, "--evidence", "tests/e2e")
    # Twice as long, for the way there comes first.
    flights = Flights(airflow, time.time() + 2 * STAY.total_seconds())
    across = _go_live(flights, rollout)
    _take_off(flights)
    in_flight = {dag for dag, _ in flights.offloaded}
    assert {"wb_mapped", "wb_keys", "wb_retry", "wb_sensor", "wb_deferred", "wb_teardown"} <= (
        in_flight
    )
    assert {"wb_branch", "wb_queued", "wb_child", CATCHUP, PAUSED, GONE, FINISHED} <= in_flight

    print(rollout.xbr("kill", rollout.name, "--dry-run"), flush=True)
    begin = time.monotonic()
    # The kill waits for it, as for every task of before.
    ending = Timer(STEADY_SECONDS, _end_steady, (airflow, across))
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
    meanwhile = _start_steady(flights)
    _set_file(airflow, GONE_FILE, (WAY_BACK / GONE_FILE).read_text())
    left = max(60.0, KILL_SECONDS - (time.monotonic() - begin))
    try:
        rollout.wait_condition("Ready", reason="Reverted", deadline=left)
    finally:
        print(json.dumps(rollout.status().get("killSwitch"), indent=1), flush=True)
    print(f"reverted after {time.monotonic() - begin:.0f} s", flush=True)

    assert api.task(STEADY, meanwhile, "hold").state == "running", "a revert ends no task"
    _end_steady(airflow, meanwhile)
    paused = {dag for dag, _ in flights.runs if api.request("GET", f"/dags/{dag}")["is_paused"]}
    (source,) = (run for dag, run in flights.runs if dag == FINISHED)
    flights.start(PULL, run=source)
    api.set_paused(PAUSED, False)
    wait_for("the last day", lambda: _caught_up(flights, CATCHUP_DAYS), 240, interval=2)
    for dag, run in flights.runs:
        try:
            api.wait_run(dag, run, deadline=240, through_failure=False)
        except HarnessError as error:
            print(f"{dag}/{run}: {error}")
    table, wrong = _report(airflow, flights)
    print(f"\n{table}\n", flush=True)
    for reason, message in rollout.events():
        print(f"{reason}: {message[:200]}")
    assert wrong == []
    assert paused == {PAUSED}, "as before the kill"
    untouched = (BYSTANDER, STEADY, "wb_parent", "wb_child", PULL)
    tries = {dag: _highest_try(airflow, dag) for dag in untouched}
    assert set(tries.values()) == {1}, f"touched without need: {tries}"
    assert rollout.status()["killSwitch"]["runs"]["failed"] == 0
    assert rollout.thresholds_delivered()[-2:] == ["-1", "database"]
