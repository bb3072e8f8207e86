"""Kill-switch: seconds until the last affected run is queued again, beside a person's script.

Both are measured by the same clock and the same rows: from the moment before the command is given
to the latest `dag_run.queued_at`, which Airflow writes when a run is cleared. They take turns, on
runs of the same form, each from an instance that offloads.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bench import page
from harness import tools
from harness.cluster import Cluster
from harness.operator import RolloutOnCluster
from harness.paths import cache_dir
from harness.say import say, step
from harness.shell import HarnessError, run
from harness.stack import (
    CHART,
    DATABASE_VALUES,
    NAMESPACE,
    RELEASE,
    XCOM_BUCKET,
    AirflowStack,
    object_storage_values,
)
from harness.waiting import NotYetError

PAIRS = int(os.environ.get("BENCH_PAIRS", "2"))
RUNS = tuple(int(word) for word in os.environ.get("BENCH_RUNS", "1,3,30").split(","))
GOAL, SINGLE_GOAL = 0.7, 1.0
THRESHOLD = 1024 * 1024
SLOW = "offload_slow"
BYSTANDER = "bystander"
SCRIPT = Path(__file__).with_name("person.sh")
# Events of the rollout's history at which a step of the kill begins.
STEPS = {
    "KillSwitchEngaged": "engaged",
    "StoppingWriters": "stop writers",
    "WritersStopped": "writers stopped",
    "TakingCensus": "census",
    "StoppingRuns": "stop",
    "EndingOldAttempts": "end pods",
    "EmptyingRuns": "empty",
    "ClearingRuns": "clear",
    "RunsCleared": "queued",
    "WritersGone": "old writers gone",
    "Reverting": "revert",
    "Verified": "verified",
}


@dataclass(frozen=True)
class Flight:
    """Runs in flight: those that hold offloaded values, and one that does not."""

    slow: tuple[str, ...]
    bystander: str


@dataclass(frozen=True)
class Outcome:
    """One kill: seconds until the last run was queued and until nothing more was offloaded.

    Attributes:
        steps: when each step began, in seconds.
    """

    seconds: float
    steps: Mapping[str, float]

    @property
    def stopped(self) -> float:
        return self.steps["writers stopped"]

    def __str__(self) -> str:
        return ", ".join(f"{name} {second:.1f}" for name, second in self.steps.items())


class KillBenchmark:
    """The benchmark on an instance that is installed, with the operator beside it."""

    def __init__(self, stack: AirflowStack) -> None:
        self.stack = stack
        self.rollout = RolloutOnCluster(stack, "bench")

    def measure(self) -> str:
        """Return the results as Markdown.

        Raises:
            HarnessError: a run was lost, corrupted or touched without need: no figure then.
        """
        lines: list[str] = []
        self.to_database()
        try:
            for runs in RUNS:
                lines += [report(runs, [self.pair(runs, n) for n in range(1, PAIRS + 1)]), ""]
        finally:
            self.rollout.delete()
            self.to_database()
        return "\n".join(lines).rstrip()

    def pair(self, runs: int, number: int) -> tuple[Outcome, Outcome]:
        """One kill of each kind, with as many affected runs in flight."""
        with step(f"{runs} runs, pair {number} of {PAIRS}: the operator"):
            ours = self.ours(runs)
        say(f"{ours.seconds:.1f} s: {ours}")
        with step(f"{runs} runs, pair {number} of {PAIRS}: the script"):
            script = self.script(runs)
        say(f"{script.seconds:.1f} s: {script}")
        return ours, script

    def to_database(self) -> None:
        """Bring the instance to the database backend, without any rollout."""
        self.rollout.delete()
        self.stack.upgrade(DATABASE_VALUES)
        self.stack.wait_ready()

    def ours(self, runs: int) -> Outcome:
        """The operator's kill."""
        self.rollout.prepare()
        self.rollout.apply()
        self.rollout.wait_condition("Proven", deadline=300)
        self.rollout.xbr("attest", self.rollout.name, "--evidence", "benchmark")
        self.rollout.wait_condition("Ready", deadline=400)
        flight = self.take_off(runs)
        begin = time.time()
        self.rollout.xbr("kill", self.rollout.name, "--reason", "benchmark")
        self.rollout.wait_condition("Ready", reason="Reverted", deadline=600)
        seconds = self.last_queued(flight, begin) - begin
        history = self.rollout.status()["history"]
        self.check(flight, begin)
        self.rollout.delete()
        return Outcome(seconds, _steps_of_history(history))

    def script(self, runs: int) -> Outcome:
        """A person's kill."""
        with tempfile.TemporaryDirectory() as folder:
            values = Path(folder) / "before-the-flip.json"
            values.write_text(json.dumps(self.stack.values()))
            self.stack.upgrade(object_storage_values(THRESHOLD))
            self.stack.wait_ready()
            flight = self.take_off(runs)
            begin = time.time()
            printed = run("bash", SCRIPT, env=self._environment(values), timeout=900)
        seconds = self.last_queued(flight, begin) - begin
        self.check(flight, begin)
        self.stack.wait_ready()
        return Outcome(seconds, _steps_of_script(printed))

    def take_off(self, runs: int) -> Flight:
        """Start the runs, and wait until each is in flight with its value written."""
        api, database = self.stack.api, self.stack.database
        # Two pods start for each run, some seconds of a processor each.
        patience = 300 + 20 * runs
        slow = tuple(api.trigger(SLOW, {"seconds": 1800}) for _ in range(runs))
        for name in slow:
            api.wait_task(SLOW, name, "hold", {"running"}, deadline=patience)
            row = database.xcom(SLOW, name, "produce")
            if row is None or not row.is_path:
                raise HarnessError(f"{SLOW}/{name} holds no offloaded value: {row}")
        bystander = api.trigger(BYSTANDER, {"seconds": 45})
        api.wait_task(BYSTANDER, bystander, "hold", {"running"}, deadline=180)
        return Flight(slow, bystander)

    def last_queued(self, flight: Flight, begin: float) -> float:
        """When the last of the runs was queued again, in seconds of the epoch.

        Raises:
            HarnessError: one was not queued since `begin`.
        """
        queued = self._queued(SLOW, flight.slow)
        if len(queued) != len(flight.slow) or min(queued.values()) < begin:
            raise HarnessError(f"not every run was cleared since {begin}: {queued}")
        return max(queued.values())

    def check(self, flight: Flight, begin: float) -> None:
        """See that a fast kill was also a right one.

        A run that is cleared is queued again. Tries say less: a scheduler that is replaced, as in
        any revert, may start a task again that ended at that moment (seen on 2.11.2 under load).

        Raises:
            HarnessError: a value is lost or still offloaded, or the bystander was cleared.
        """
        api, database = self.stack.api, self.stack.database
        for name in flight.slow:
            api.wait_run(SLOW, name, deadline=300 + 20 * len(flight.slow), through_failure=True)
            offloaded = [row.task_id for row in database.xcoms(SLOW, name) if row.is_path]
            if offloaded:
                raise HarnessError(f"{SLOW}/{name} still holds offloaded values: {offloaded}")
        api.wait_run(BYSTANDER, flight.bystander, deadline=300)
        queued = self._queued(BYSTANDER, (flight.bystander,))
        if max(queued.values()) >= begin:
            raise HarnessError(f"{BYSTANDER}/{flight.bystander} was cleared: {queued}")

    def _queued(self, dag: str, runs: Sequence[str]) -> dict[str, float]:
        """When each of the runs was queued last, in seconds of the epoch."""
        rows = self.stack.database.query(
            "SELECT run_id, extract(epoch FROM queued_at) AS queued FROM dag_run"
            " WHERE dag_id = :'dag' AND run_id = ANY (string_to_array(:'runs', ','))",
            {"dag": dag, "runs": ",".join(runs)},
        )
        return {str(row["run_id"]): float(row["queued"] or 0) for row in rows}

    def _environment(self, values: Path) -> dict[str, str]:
        home = cache_dir() / "helm"
        folders = {str(tools.tool(name).parent) for name in ("kubectl", "helm")}
        return {
            "KUBECONFIG": str(self.stack.cluster.kubeconfig),
            "PATH": ":".join([*sorted(folders), os.environ["PATH"]]),
            "HELM_CACHE_HOME": str(home / "cache"),
            "HELM_CONFIG_HOME": str(home / "config"),
            "HELM_DATA_HOME": str(home / "data"),
            "NAMESPACE": NAMESPACE,
            "RELEASE": RELEASE,
            "CHART": str(CHART),
            "VALUES": str(values),
            "BASE": f"s3://aws_default@{XCOM_BUCKET}/xcom",
        }


def report(runs: int, pairs: Sequence[tuple[Outcome, Outcome]]) -> str:
    """Return the results of all pairs with as many affected runs as Markdown."""
    rows = [
        (
            number,
            f"{ours.seconds:.1f}",
            f"{script.seconds:.1f}",
            f"{ours.seconds / script.seconds:.2f}",
            f"{ours.stopped:.1f}",
            f"{script.stopped:.1f}",
        )
        for number, (ours, script) in enumerate(pairs, 1)
    ]
    ratio = statistics.median(ours.seconds / script.seconds for ours, script in pairs)
    goal = GOAL if runs > 1 else SINGLE_GOAL
    columns = ("Pair", "Operator, s", "Script, s", "Ratio", "Stopped: operator, s", "script, s")
    lines = [
        f"{runs} affected runs in flight, and one that is not. Median ratio: **{ratio:.2f}** "
        f"(goal: {goal}, {'kept' if ratio <= goal else 'NOT kept'}).",
        "",
        page.table(columns, rows),
        "",
    ]
    for number, (ours, script) in enumerate(pairs, 1):
        lines += [f"- pair {number}, operator: {ours}", f"- pair {number}, script: {script}"]
    return "\n".join(lines)


def _steps_of_history(history: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """The steps of the last kill: history entries have whole seconds."""
    newest = max(
        number for number, entry in enumerate(history) if entry["event"] == "KillSwitchEngaged"
    )
    begin = datetime.fromisoformat(history[newest]["at"])
    told: dict[str, float] = {}
    for entry in history[newest:]:
        seconds = (datetime.fromisoformat(entry["at"]) - begin).total_seconds()
        if name := STEPS.get(entry["event"]):
            told.setdefault(name, seconds)
    return told


def _steps_of_script(printed: str) -> dict[str, float]:
    lines = [line.split(maxsplit=1) for line in printed.splitlines() if line.strip()]
    begin = float(lines[0][0])
    return {name.replace("-", " "): float(at) - begin for at, name in lines}


def measure() -> str:
    """Measure on the cluster of `CLUSTER`, where Airflow and the operator are installed.

    Raises:
        HarnessError: they are not there, or something went wrong on the way.
    """
    cluster = Cluster.from_env()
    require_operator(cluster)
    with AirflowStack(cluster) as stack:
        return KillBenchmark(stack).measure()


def require_operator(cluster: Cluster) -> None:
    """See that the operator runs, and that no rollout but a benchmark's is there.

    Raises:
        HarnessError: says what to do.
    """
    if not cluster.alive():
        raise HarnessError("the cluster is not up: run `make demo` first, it stays up")
    found = json.loads(cluster.kubectl("get", "xbr", "-n", NAMESPACE, "-o", "json"))["items"]
    others = [item["metadata"]["name"] for item in found if item["metadata"]["name"] != "bench"]
    if others:
        raise HarnessError(
            f"the release is in the charge of the rollout {others[0]}: delete it with its ledger: "
            f"kubectl delete xbr/{others[0]} configmap/xbr-{others[0]}-ledger -n {NAMESPACE}"
        )

    def running() -> bool:
        pods = cluster.kubectl("get", "pods", "-n", "xcom-rollout")
        if "Running" not in pods:
            raise NotYetError(pods)
        return True

    cluster.wait_for("the operator to run (make demo installs it)", running, 30)
