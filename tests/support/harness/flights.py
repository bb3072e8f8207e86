"""Runs in flight, and what each of their tasks was handed: what tests of a kill share."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from harness.airflow import AirflowApi
from harness.cluster import Cluster
from harness.operator import RolloutOnCluster
from harness.shell import HarnessError
from harness.stack import DAGS, AirflowStack, Instance
from harness.waiting import NotYetError, wait_for

WAY_BACK = DAGS / "way_back"
BYSTANDER, LATE, FINISHED = "bystander", "late_return", "offload_demo"
STEADY, PULL = "wb_steady", "wb_pull"
# First tries stay in flight for as long, if nobody stops them.
STAY = timedelta(minutes=20)
# What offloading changes on Airflow 3.3, beside what the example accepts.
DRIFT = ["key-to-str", "keys-refused", "tuple-to-list"]


@dataclass
class Flights:
    """The runs of a test.

    Attributes:
        stack: the Airflow in which they are.
        until: when those end that are started from now on, in seconds since the epoch, if nobody
            stops them: `until` in their configuration.
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
        plain = dag in {BYSTANDER, LATE, FINISHED, PULL}
        run = self.api.trigger(dag, conf if plain else {"until": self.until, **conf})
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

    def start_steady(self) -> str:
        """Start a run whose task goes on until `end_steady`."""
        run = self.start(STEADY)
        self.wait(STEADY, run, "hold", "running")
        return run

    def end_steady(self, run: str) -> None:
        """Let the task end, in the pod in which it has run from the beginning."""
        self.touch(STEADY, run, "hold", "/tmp/over")

    def touch(self, dag: str, run: str, task: str, file: str, container: str = "") -> None:
        """Make a file in the pod in which a task runs.

        Args:
            container: of that pod; empty: of a worker where there are workers.
        """
        pod = self.pod_of(dag, run, task)
        container = container or ("worker" if self.stack.instance.workers else "base")
        where = ("-n", self._home_of_tasks, "exec", pod, "-c", container)
        self.stack.cluster.kubectl(*where, "--", "touch", file)

    @property
    def _home_of_tasks(self) -> str:
        return self.stack.instance.tasks or self.stack.namespace

    def pod_of(self, dag: str, run: str, task: str) -> str:
        """Return the pod in which a task runs now, which is a worker or its own."""
        if self.stack.instance.workers:
            # Of a StatefulSet's pod it is the whole name, with those of Service and namespace.
            return self.api.task(dag, run, task).host.partition(".")[0]
        words = ("-n", self._home_of_tasks, "get", "pods", "-l", f"dag_id={dag},task_id={task}")
        (pod,) = (
            str(pod["metadata"]["name"])
            for pod in self.stack.cluster.kubectl_json(*words)["items"]
            if pod["metadata"]["annotations"]["run_id"] == run
            and pod["status"]["phase"] == "Running"
        )
        return pod

    def go_live(
        self, rollout: RolloutOnCluster, meanwhile: Callable[[], None] = lambda: None
    ) -> str:
        """Come to Live with a task in flight across each delivery; return the run of the last.

        Args:
            rollout: was applied just now, and is not Live yet.
            meanwhile: what it waits for before it delivers anything.
        """
        first = self.start_steady()
        # Without an attestation nothing is delivered, however late the task has begun.
        rollout.xbr("attest", rollout.name, "--evidence", "tests/e2e")
        meanwhile()
        # A task in a worker keeps the worker.
        named = self.pod_of(STEADY, first, "hold") if self.stack.instance.workers else first
        wait_for("every pod reads", lambda: _waits_for(rollout, named), 500, interval=1)
        second = self.start_steady()
        assert self.api.task(STEADY, first, "hold").state == "running", "a flip ends no task"
        self.end_steady(first)
        if self.stack.instance.workers:
            # The cut-over waits for the workers that it ends.
            self.wait_ending(self.pod_of(STEADY, second, "hold"))
        else:
            rollout.wait_condition("Ready", deadline=500)
        assert self.api.task(STEADY, second, "hold").state == "running", "nor does the cut-over"
        if self.stack.instance.workers:
            self.end_steady(second)
            rollout.wait_condition("Ready", deadline=500)
            second = self.start_steady()
        self.until = time.time() + STAY.total_seconds()
        return second

    def wait_ending(self, pod: str, deadline: float = 500.0) -> None:
        """Wait until a pod is asked to end; it still runs."""

        def ending() -> bool:
            found = self.stack.cluster.kubectl_json("-n", self.stack.namespace, "get", "pod", pod)
            if "deletionTimestamp" not in found["metadata"]:
                raise NotYetError(f"{pod} is not asked to end")
            return True

        wait_for(f"{pod} is asked to end", ending, deadline, interval=1)


def _waits_for(rollout: RolloutOnCluster, named: str) -> bool:
    """Whether every pod reads, and the way there waits for a task to end."""
    found = rollout.conditions().get("ReadersConfirmed", {})
    if found.get("reason") != "OldTasksRunning" or named not in found["message"]:
        raise NotYetError(f"{found}")
    return True


@contextmanager
def asleep(cluster: Cluster, instance: Instance) -> Iterator[None]:
    """Let another Airflow rest meanwhile: two slow each other."""

    def scale(replicas: int) -> None:
        if cluster.kubectl("get", "namespace", instance.namespace, "--ignore-not-found"):
            words = ("-n", instance.namespace, "scale", "deployment,statefulset")
            cluster.kubectl(*words, "-l", "tier=airflow", f"--replicas={replicas}")

    scale(0)
    yield
    scale(1)


def wait_for_dags(
    stack: AirflowStack, wanted: Collection[str], *, unpause: Collection[str]
) -> None:
    """Wait until Airflow knows DAGs, and unpause some."""
    wait_for("DAGs of the test", lambda: _known(stack, set(wanted)), 300, interval=2)
    for dag in unpause:
        stack.api.set_paused(dag, False)


def _known(stack: AirflowStack, wanted: set[str]) -> bool:
    known = stack.api.dag_ids()
    if not wanted <= known:
        raise NotYetError(f"DAGs {sorted(known)}; errors {stack.api.import_errors()}")
    return True


def accepting(manifest: dict[str, Any]) -> None:
    """Change a manifest so that nothing of these DAGs holds a rollout.

    What the audits find in these DAGs, and what drifts in them, is the subject of other tests.
    """
    gates = manifest["spec"]["gates"]
    del gates["audit"]
    gates["roundTrip"]["acceptedDrift"] += DRIFT


def handed_in(stack: AirflowStack, dag: str, run: str) -> list[tuple[str, dict[str, Any]]]:
    """What each task of a run reports that it was handed."""
    return [
        (f"{row.task_id}[{row.map_index}] {row.key.removeprefix('received').strip()}".strip(), said)
        for row in stack.database.xcoms(dag, run)
        if row.key.startswith("received") and isinstance(said := json.loads(row.value), dict)
    ]


def landed(
    flights: Flights,
    rollout: RolloutOnCluster,
    *,
    skipped: Collection[tuple[str, str]] = (),
    deadline: float = 240,
) -> list[str]:
    """Wait for the end of each run, print what became of it and the Events; return what is wrong.

    Args:
        skipped: DAG and task of those that need not have run.
        deadline: seconds for each run; one that is not at its end by then is wrong.
    """
    for dag, run in flights.runs:
        try:
            flights.api.wait_run(dag, run, deadline=deadline)
        except HarnessError as error:
            print(f"{dag}/{run}: {error}")
    table, wrong = report(flights, skipped)
    print(f"\n{table}\n", flush=True)
    for reason, message in rollout.events():
        print(f"{reason}: {message[:300]}")
    return wrong


def report(flights: Flights, skipped: Collection[tuple[str, str]] = ()) -> tuple[str, list[str]]:
    """Return a table of all runs, and what is wrong in it.

    Args:
        flights: the runs; none is in flight any more.
        skipped: DAG and task of those that need not have run.
    """
    stack = flights.stack
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
            if task.state != "success" and (dag, task.task_id) not in skipped
        ]
        paths = [
            f"{row.task_id}/{row.key}" for row in stack.database.xcoms(dag, run) if row.is_path
        ]
        handed = handed_in(stack, dag, run)
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


def highest_try(stack: AirflowStack, dag: str) -> int:
    """Return the highest try of any task of any run of a DAG."""
    runs = stack.api.request("GET", f"/dags/{dag}/dagRuns")["dag_runs"]
    return max(task.try_number for run in runs for task in stack.api.tasks(dag, run["dag_run_id"]))
