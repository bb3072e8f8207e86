"""What each strategy of the kill-switch would do now, and how long that would take. Pure.

How a run would be healed is decided by the operator's own code. The seconds are those of
docs/benchmarks.md; what cannot be estimated is described in words.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from xcom_rollout.api.durations import format_duration
from xcom_rollout.decide.kill.common import nothing_delivered
from xcom_rollout.decide.kill.runs import strategy_for
from xcom_rollout.decide.kill.writers import PAUSE_PATIENCE
from xcom_rollout.decide.ledger import (
    Component,
    FinishedRuns,
    Kill,
    OffloadedRun,
    RecoveringRun,
    RunKey,
    RunStage,
    Strategy,
)
from xcom_rollout.decide.observed import AirflowView, Observed, Pod
from xcom_rollout.decide.settings import NEVER_OFFLOAD
from xcom_rollout.decide.situation import Situation, some

HELM: Final = (2, 2)
"""Measured seconds of one delivery."""
JOB: Final = (8, 10)
"""Measured seconds of a Job with the probe, most of them for the start of its pod."""
GRACE: Final = (0, 30)
"""Seconds that a task pod takes to end: Kubernetes' default grace period at most."""
PAUSE: Final = (0, int(PAUSE_PATIENCE.total_seconds()))
"""Seconds for which an Immediate kill tries to pause DAGs."""


@dataclass(frozen=True)
class Estimate:
    """When something is reached, counted from the request."""

    least: int = 0
    """Seconds."""
    most: int = 0
    """Seconds, without the time for `until`."""
    until: tuple[str, ...] = ()
    """What else has to happen, at an unknown time."""
    rests_on: tuple[str, ...] = ()

    def then(self, seconds: tuple[int, int], what: str) -> "Estimate":
        """Return the estimate with something that takes so many seconds, at least and at most."""
        least, most = seconds
        took = f"{least} s" if least == most else f"{least} to {most} s"
        return replace(
            self,
            least=self.least + least,
            most=self.most + most,
            rests_on=(*self.rests_on, f"{what}: {took}"),
        )

    def waiting(self, what: str) -> "Estimate":
        """Return the estimate with something that takes an unknown time."""
        return replace(self, until=(*self.until, what))

    def __str__(self) -> str:
        if not self.until:
            same = self.least == self.most
            return f"{self.least} s" if same else f"{self.least} to {self.most} s"
        return f"{self.least} s or more, not before {'; '.join(self.until)}"


@dataclass(frozen=True)
class LeftToEnd:
    """A run that is not touched although it holds offloaded values, and why."""

    key: RunKey
    why: str


@dataclass(frozen=True)
class Ground:
    """The common starting point of all strategies."""

    settings: str
    """What the release holds."""
    runs: tuple[OffloadedRun, ...]
    """Known runs in flight that hold offloaded values."""
    counted_at: datetime | None
    """When they were counted; None: never."""
    stale: bool
    """Whether that is longer ago than `spec.census.interval`."""
    task_pods: int
    """Task pods that run now."""
    stop_tasks_after: timedelta | None
    finished_runs: FinishedRuns
    open_kill: Kill | None
    """A kill in progress; the runs are those that it has not healed yet."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Forecast:
    """What one strategy would do now."""

    strategy: Strategy
    rerun: tuple[OffloadedRun, ...]
    """Runs that would be stopped and run again from their start."""
    left: tuple[LeftToEnd, ...]
    copied: tuple[OffloadedRun, ...]
    """Runs whose values would be copied back into the database."""
    pods_ended: int
    """Task pods of the runs that would be stopped."""
    old_tasks: int
    """Task pods that would be waited for, because they may still offload."""
    oldest: timedelta | None
    """Age of the oldest of those."""
    stop_tasks_after: str
    """What happens to those that take long."""
    finished_runs: str
    airflow_api: str
    """At which steps Airflow's REST API is needed."""
    store: str
    """At which steps the object store is needed."""
    writers_stopped: Estimate
    """When processes that start later no longer offload."""
    queued: Estimate | None
    """When the last currently known run is queued again; None where none would be."""
    back: Estimate
    """When the database backend is delivered."""

    @property
    def copied_rows(self) -> int:
        return sum(run.rows for run in self.copied)


@dataclass(frozen=True)
class _Scene:
    """The common input of the forecasts of all strategies."""

    s: Situation
    ground: Ground
    pods: tuple[Pod, ...]
    """Task pods that could offload once the writers are stopped."""
    delivers: bool
    """Whether something has to be delivered to stop the writers."""
    rolls: bool
    """Whether long-lived pods would be replaced."""


def ground_of(observed: Observed, now: datetime) -> Ground:
    """Return the common starting point of all strategies.

    Raises:
        LookupError: there is no Helm release.
    """
    s = Situation(observed, now)
    kill = observed.ledger.kill
    kill = None if kill is None or kill.finished_at is not None else kill
    census = observed.ledger.census
    runs = _open_runs(kill) if kill is not None and kill.counted else ()
    if not runs and census is not None and (kill is None or not kill.counted):
        runs = tuple(run for run in census.runs if run.rows)
    at = census.taken_at if census is not None else None
    return Ground(
        settings=s.release.settings.describe(),
        runs=runs,
        counted_at=at,
        stale=at is not None and now - at > s.spec.census_interval(),
        task_pods=len(s.task_pods),
        stop_tasks_after=s.spec.stop_tasks_after(),
        finished_runs=FinishedRuns(s.spec.kill_switch.finished_runs),
        open_kill=kill,
        warnings=_warnings(s, at, kill),
    )


def forecast(observed: Observed, now: datetime, strategy: Strategy) -> Forecast:
    """Return what `strategy` would do now.

    Raises:
        LookupError: there is no Helm release.
    """
    s = Situation(_with_major(observed), now)
    ground = ground_of(observed, now)
    current = s.release.settings
    at_readers = current.reads_offloaded and current.threshold == NEVER_OFFLOAD
    # Every present task pod is an old one once the configuration changes.
    there = current.is_database if strategy is Strategy.IMMEDIATE else at_readers
    pods = s.old_task_pods if there else s.task_pods
    scene = _Scene(s, ground, pods, delivers=not there, rolls=not there or not _rolled(s))
    if nothing_delivered(s):
        return _nothing(strategy)
    return _forecast(scene, strategy)


def _forecast(scene: _Scene, strategy: Strategy) -> Forecast:
    rerun, left, copied = _sorted(scene, strategy)
    halted = {run.key for run in rerun}
    old = [pod for pod in scene.pods if pod.run not in halted]
    ended = sum(len(scene.s.task_pods_of(key)) for key in halted)
    immediate = strategy is Strategy.IMMEDIATE
    begin = Estimate()
    if immediate:
        begin = begin.then(PAUSE, "pausing DAGs, if Airflow's API answers")
    if scene.delivers:
        begin = begin.then(HELM, "delivery by Helm, measured")
    counted = begin.then(JOB, "Job that counts the runs, measured")
    healed = counted
    if rerun:
        if ended:
            healed = healed.then(GRACE, f"end of {ended} task pods, at most their grace period")
        healed = healed.then(JOB, "Job that removes the rows with paths, measured")
    if copied:
        healed = healed.then(JOB, "Job that copies values, measured with few of them")
    return Forecast(
        strategy=strategy,
        rerun=rerun,
        left=left,
        copied=copied,
        pods_ended=ended,
        old_tasks=len(old),
        oldest=_oldest(old, scene.s.now),
        stop_tasks_after=_limit(scene.ground, strategy),
        finished_runs=_finished_runs(scene.ground, strategy),
        airflow_api=_AIRFLOW[strategy],
        store=_store(scene.ground, strategy),
        writers_stopped=begin,
        queued=healed if rerun else None,
        back=begin if immediate else _back(scene, healed, old, left),
    )


def _sorted(
    scene: _Scene, strategy: Strategy
) -> tuple[tuple[OffloadedRun, ...], tuple[LeftToEnd, ...], tuple[OffloadedRun, ...]]:
    """Return which runs would be run again, left to end, and copied back."""
    kill = Kill(1, scene.s.now, "", "", strategy)
    rerun, left, copied = [], [], []
    for run in scene.ground.runs:
        entry = RecoveringRun(
            run.key, run.rows, run_type=run.run_type, waited_for_by=run.waited_for_by
        )
        way, why = strategy_for(scene.s, kill, entry)
        if way is Strategy.DRAIN:
            left.append(LeftToEnd(run.key, why or "the strategy Drain touches no run"))
        elif way is Strategy.REHYDRATE:
            copied.append(run)
        else:
            rerun.append(run)
    return tuple(rerun), tuple(left), tuple(copied)


def _back(scene: _Scene, healed: Estimate, old: list[Pod], left: tuple[LeftToEnd, ...]) -> Estimate:
    back = healed
    if scene.rolls:
        back = back.waiting("the long-lived pods have been replaced")
    if old:
        back = back.waiting("the last old task has ended")
    if left:
        back = back.waiting(f"{len(left)} runs that run to their end have ended")
    back = back.then(JOB, "Job that counts again when no process can offload, measured")
    match scene.ground.finished_runs:
        case FinishedRuns.REHYDRATE:
            back = back.then(JOB, "Job that copies values of finished runs, measured with few")
            back = back.waiting("all values of finished runs are copied (not counted here)")
        case FinishedRuns.HOLD:
            back = back.then(JOB, "Job that counts values of finished runs, measured")
            back = back.waiting(
                "no value of a finished run is still offloaded (spec.killSwitch.finishedRuns: Hold)"
            )
        case FinishedRuns.ACCEPT:
            pass
    return back.then(HELM, "delivery by Helm, measured")


def _nothing(strategy: Strategy) -> Forecast:
    """Return the forecast where the object storage backend was never delivered."""
    at_once = Estimate(rests_on=("the object storage backend was never delivered",))
    return Forecast(
        strategy=strategy,
        rerun=(),
        left=(),
        copied=(),
        pods_ended=0,
        old_tasks=0,
        oldest=None,
        stop_tasks_after="the kill waits for no task",
        finished_runs="no value was ever offloaded",
        airflow_api="not needed",
        store="not needed",
        writers_stopped=at_once,
        queued=None,
        back=at_once,
    )


def _open_runs(kill: Kill) -> tuple[OffloadedRun, ...]:
    """Return the runs of a kill that another strategy would still heal differently."""
    changeable = (RunStage.FOUND, RunStage.DRAINING, RunStage.STOPPING)
    return tuple(
        OffloadedRun(run.key, run.rows, str(run.stage), run.run_type, run.waited_for_by)
        for run in kill.runs
        if run.stage in changeable
    )


def _with_major(observed: Observed) -> Observed:
    """Return `observed` with Airflow's version, on which the healing of a backfill depends."""
    if observed.airflow is not None:
        return observed
    return replace(observed, airflow=AirflowView(major=_major(observed)))


def _major(observed: Observed) -> int:
    """Return Airflow's major version as the newest proof saw it; 0 where none did."""
    for proof in observed.ledger.proofs:
        number = dict(proof.facts).get("airflow", "").partition(".")[0]
        if number.isdigit():
            return int(number)
    return 0


def _rolled(s: Situation) -> bool:
    return bool(s.observed.workloads) and all(item.rolled for item in s.observed.workloads)


def _oldest(pods: list[Pod], now: datetime) -> timedelta | None:
    return max((now - pod.created_at for pod in pods), default=None)


def _warnings(s: Situation, counted_at: datetime | None, kill: Kill | None) -> tuple[str, ...]:
    interval = s.spec.census_interval()
    found = []
    if kill is not None:
        found.append(
            f"kill {kill.attempt} is in progress (strategy {kill.strategy}): shown is how another "
            "strategy would heal its remaining runs"
        )
    if nothing_delivered(s):
        found.append("the object storage backend was never delivered: there is nothing to heal")
    elif counted_at is None:
        found.append("no census is recorded: it is not known which runs hold offloaded values")
    elif s.now - counted_at > interval:
        found.append(
            f"the last census is older than spec.census.interval ({format_duration(interval)}): "
            "runs that offloaded since then are missing here, and runs that ended since then are "
            "still listed. A kill takes its own census"
        )
    workers = [load for load in s.observed.workloads if load.component == Component.WORKER]
    if workers:
        found.append(
            "tasks in workers are not counted here: each of the two deliveries waits until the "
            "workers have ended those that they have, for as long as their grace period ("
            + some([f"{load.name}: {load.grace_seconds} s" for load in workers])
            + ")"
        )
    if s.observed.unseen_tasks:
        found.append(f"task pods are missing here: {s.observed.unseen_tasks}")
    if s.release.status != "deployed":
        found.append(
            f"the Helm release is {s.release.status}: a kill waits for an operation in progress"
        )
    if any(run.run_type == "backfill" for run in _census_runs(s)) and not _major(s.observed):
        found.append(
            "Airflow's version is not known: backfills run to their end with Airflow 2 only"
        )
    if s.ledger.way_back is not None:
        found += [f"a kill needs it: {problem}" for problem in s.ledger.way_back.problems]
    return (*found, *s.observed.problems)


def _census_runs(s: Situation) -> tuple[OffloadedRun, ...]:
    return s.ledger.census.runs if s.ledger.census is not None else ()


def _limit(ground: Ground, strategy: Strategy) -> str:
    if ground.stop_tasks_after is None:
        return "no limit (spec.killSwitch.stopTasksAfter is not set)"
    after = format_duration(ground.stop_tasks_after)
    match strategy:
        case Strategy.DRAIN:
            return f"no limit: Drain touches no run (spec.killSwitch.stopTasksAfter is {after})"
        case Strategy.REHYDRATE:
            return (
                f"no limit: a value is copied when its task has ended (stopTasksAfter is {after})"
            )
        case _:
            return (
                f"after {after} (spec.killSwitch.stopTasksAfter) their runs are also stopped, and "
                "run again"
            )


def _finished_runs(ground: Ground, strategy: Strategy) -> str:
    if strategy is Strategy.IMMEDIATE:
        return (
            f"not done ({ground.finished_runs} in the spec): the database backend is delivered "
            "earlier; a task that then reads one of these values gets a path"
        )
    return {
        FinishedRuns.REHYDRATE: "Rehydrate: copied back before the database backend is delivered",
        FinishedRuns.HOLD: "Hold: the kill stays at threshold -1 while any remain",
        FinishedRuns.ACCEPT: "Accept: left unchanged; a task that reads one later gets a path",
    }[ground.finished_runs]


_AIRFLOW: Final = {
    Strategy.RETRIGGER: "to stop and clear the runs and to watch the re-runs; not needed to stop "
    "the writers",
    Strategy.DRAIN: "to watch these runs end; not needed to stop the writers",
    Strategy.REHYDRATE: "to check which of these runs have ended; not needed to stop the writers "
    "or to copy",
    Strategy.IMMEDIATE: "to pause DAGs first (abandoned after 20 s), to stop and clear the runs, "
    "and to watch the re-runs",
}


def _store(ground: Ground, strategy: Strategy) -> str:
    finished = (
        ", and to copy values of finished runs"
        if ground.finished_runs is FinishedRuns.REHYDRATE
        else ""
    )
    return {
        Strategy.RETRIGGER: "for tasks that still read offloaded values" + finished,
        Strategy.DRAIN: "for tasks that still read offloaded values" + finished,
        Strategy.REHYDRATE: "to copy the values of these runs" + finished,
        Strategy.IMMEDIATE: "not needed",
    }[strategy]
