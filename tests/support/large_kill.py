"""A kill as large as the operator is made for, as what a pass sees: plain data, no cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from simulation.operator import spec
from xcom_rollout.decide.actions import ClearRuns, DeletePods, RunJob, StopRuns, WriteLedger
from xcom_rollout.decide.core import decide
from xcom_rollout.decide.decision import Decision
from xcom_rollout.decide.kill.outcomes import asked_to_stop
from xcom_rollout.decide.ledger import (
    CensusRecord,
    Component,
    Delivered,
    Kill,
    Ledger,
    OffloadedRun,
    Reader,
    RecoveringRun,
    RunKey,
    RunStage,
    Strategy,
    Verdict,
)
from xcom_rollout.decide.observed import (
    AirflowView,
    CensusResult,
    DagRun,
    EmptyResult,
    JobKind,
    JobState,
    Observed,
    Pod,
    ProbeJob,
    ProbeResult,
    Release,
    Rollout,
    Workload,
)
from xcom_rollout.decide.settings import BackendSettings, object_storage

BASE: Final = "s3://aws_default@bucket/xcom"
BEGUN: Final = datetime(2026, 1, 1, tzinfo=UTC)
STOPPED: Final = BEGUN + timedelta(seconds=30)
NOW: Final = BEGUN + timedelta(minutes=5)
READERS: Final = object_storage(BASE, "-1", None)
COMPONENTS: Final = ("scheduler", "webserver", "triggerer")
ON_THE_WAY: Final = (
    RunStage.FOUND,
    RunStage.DRAINING,
    RunStage.STOPPING,
    RunStage.STOPPED,
    RunStage.EMPTIED,
    RunStage.CLEARED,
    RunStage.RECOVERED,
    RunStage.HEALED,
)
_STATES: Final = {
    RunStage.STOPPED: "failed",
    RunStage.EMPTIED: "failed",
    RunStage.RECOVERED: "success",
    RunStage.HEALED: "success",
    RunStage.FAILED: "failed",
}


@lru_cache(maxsize=8)
def keys(count: int, dags: int = 500) -> tuple[RunKey, ...]:
    """Return the names of runs, as the scheduler gives them, in the order of a ledger."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    return tuple(
        sorted(
            RunKey(
                f"team_{n % dags % 7}.pipeline_{n % dags:03}",
                f"scheduled__{(begin + timedelta(minutes=n)).isoformat()}",
            )
            for n in range(count)
        )
    )


def runs(names: Sequence[RunKey], stages: Sequence[RunStage]) -> tuple[RecoveringRun, ...]:
    """Return the runs of a kill, which take turns in these stages."""
    return tuple(
        RecoveringRun(
            key,
            rows=1 + n % 5,
            stage=stages[n % len(stages)],
            start_date="2026-01-01T00:00:00+00:00",
            run_type="scheduled",
            stop_asked=stages[n % len(stages)] in (RunStage.STOPPING, RunStage.STOPPED),
        )
        for n, key in enumerate(names)
    )


def kill(
    affected: int,
    stages: Sequence[RunStage] = ON_THE_WAY,
    *,
    of: int = 10_000,
    attempt: int = 1,
    counted: tuple[str, ...] = ("found",),
) -> Kill:
    """Return a kill in the middle, with every tenth (or so) run in flight affected by it."""
    names = keys(of)[:: max(1, of // affected)][:affected] if affected else ()
    return Kill(
        attempt=attempt,
        engaged_at=BEGUN,
        by="ana",
        reason="the bucket is slow",
        strategy=Strategy.RETRIGGER,
        writers_stopped_at=STOPPED,
        counted=counted,
        runs=runs(names, stages),
    )


def ledger(the_kill: Kill | None, past: tuple[Kill, ...] = ()) -> Ledger:
    """Return a ledger with this kill and the census that it began with."""
    found = tuple(
        OffloadedRun(run.key, run.rows, "running", run.run_type)
        for run in (the_kill.runs if the_kill else ())
    )
    return Ledger(
        baseline=BackendSettings(),
        delivered=Delivered(READERS, 8, STOPPED, backend_hash="h", config_changed_at=STOPPED),
        bases=(BASE,),
        census=CensusRecord("xbr-demo-census-scheduler-1", 1, STOPPED, found),
        kill=the_kill,
        past_kills=past,
        resource_version="1",
    )


def observed(
    the_ledger: Ledger, *, pods: int = 10_000, jobs: tuple[ProbeJob, ...] = ()
) -> Observed:
    """Return the world around a ledger: as many runs in flight as task pods, all of them old."""
    the_kill = the_ledger.kill
    fleet = tuple(
        Pod(f"airflow-{name}-0", f"uid-{name}", name, BEGUN, BEGUN, ready=True, terminating=False)
        for name in COMPONENTS
    )
    halted = {
        run.key
        for run in (the_kill.runs if the_kill else ())
        if run.stage not in (RunStage.FOUND, RunStage.DRAINING)
    }
    tasks = tuple(
        Pod(
            f"task-{n:05}",
            f"uid-task-{n:05}",
            "worker",
            BEGUN - timedelta(hours=1),
            BEGUN,
            ready=True,
            terminating=False,
            run=key,
            namespace="airflow",
            node=f"node-{n % 200}",
        )
        for n, key in enumerate(keys(pods))
        if key not in halted
    )
    return Observed(
        rollout=Rollout(
            namespace="airflow",
            name="demo",
            uid="uid-1",
            generation=2,
            created_at=BEGUN,
            spec=spec(killSwitch={"engaged": True}),
            finalized=True,
        ),
        rivals=(),
        release=Release(8, "deployed", "airflow", "1.0", READERS, STOPPED),
        digest="digest",
        config_changed_at=STOPPED,
        backend_hash="h",
        workloads=tuple(
            Workload("Deployment", f"airflow-{name}", name, 1, rolled=True, progress="rolled")
            for name in COMPONENTS
        ),
        pods=(*fleet, *tasks),
        jobs=jobs,
        ledger=the_ledger,
        airflow=seen_by_airflow(the_kill.runs if the_kill else ()),
    )


def seen_by_airflow(recorded: Sequence[RecoveringRun]) -> AirflowView:
    """Return what Airflow reports of runs where each is as its stage expects."""
    return AirflowView(
        runs=tuple(
            DagRun(run.key, _STATES.get(run.stage, "running"), run.start_date) for run in recorded
        ),
        major=2,
    )


def readers(settings: BackendSettings) -> tuple[Reader, ...]:
    """Return what was seen in each long-lived pod, where all load these settings."""
    return tuple(
        Reader(f"airflow-{name}-0", f"uid-{name}", BEGUN, settings, NOW) for name in COMPONENTS
    )


def census_job(names: Sequence[RunKey], moment: str) -> ProbeJob:
    """Return a census that found all of these runs in flight with a path."""
    found = tuple(OffloadedRun(key, 1, "running", "scheduled") for key in names)
    return answered(JobKind.CENSUS, f"kill-1.1-{moment}", CensusResult(Verdict.PASS, found), 2)


def answered(kind: JobKind, digest: str, result: ProbeResult, attempt: int) -> ProbeJob:
    """Return a Job that has ended and brought this back."""
    return ProbeJob(
        f"xbr-demo-{kind}-scheduler-{attempt}",
        kind,
        Component.SCHEDULER,
        attempt,
        digest,
        NOW,
        JobState.FINISHED,
        finished_at=NOW,
        result=result,
    )


class Retriggering:
    """A world in which everything goes well at once: affected runs, from found to cleared.

    `next` makes one pass. What is to be written is for its caller, who counts it.
    """

    def __init__(self, affected: int) -> None:
        begun = ledger(kill(affected, (RunStage.FOUND,)))
        self.now = NOW
        self.seen = observed(begun)

    def next(self) -> Decision:
        """Return the decision of a pass, after it was done."""
        decision = decide(self.seen, self.now)
        self.now += timedelta(seconds=1)
        match decision.action:
            case None:
                pass
            case WriteLedger():
                self.seen = replace(self.seen, ledger=decision.action.ledger)
            case StopRuns():
                after = asked_to_stop(self.seen.ledger, set(decision.action.runs), self.now)
                self._airflow(dict.fromkeys(decision.action.runs, "failed"))
                self.seen = replace(self.seen, ledger=after)
            case DeletePods():
                gone = {pod.uid for pod in decision.action.pods}
                left = tuple(pod for pod in self.seen.pods if pod.uid not in gone)
                self.seen = replace(self.seen, pods=left)
            case RunJob():
                self._job(decision.action)
            case ClearRuns():
                self._airflow(dict.fromkeys(decision.action.runs, "queued"))
            case other:
                raise AssertionError(f"nobody expected {other.describe()}")
        return decision

    def _airflow(self, states: Mapping[RunKey, str]) -> None:
        view = self.seen.airflow
        assert view is not None
        changed = tuple(replace(run, state=states.get(run.key, run.state)) for run in view.runs)
        self.seen = replace(self.seen, airflow=AirflowView(runs=changed, major=2))

    def _job(self, action: RunJob) -> None:
        match action.kind:
            case JobKind.EMPTY:
                result = EmptyResult(Verdict.PASS, action.runs)
            case other:
                raise AssertionError(f"nobody expected a {other} Job")
        job = answered(action.kind, action.digest, result, len(self.seen.jobs) + 1)
        self.seen = replace(self.seen, jobs=(*self.seen.jobs, job))
