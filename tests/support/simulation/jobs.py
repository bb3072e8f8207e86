"""The Jobs that run the probe: they take time, look at the moment when they run, and get lost."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from simulation.airflow import INLINE, Airflow, SimRun
from simulation.clock import Clock, moment
from simulation.weather import Dice, Weather
from xcom_rollout.decide.actions import RunJob
from xcom_rollout.decide.ledger import OffloadedRun, RunKey, Verdict
from xcom_rollout.decide.observed import (
    CensusResult,
    EmptyResult,
    FinishedValues,
    JobKind,
    JobState,
    ProbeJob,
    ProbeResult,
    RehydrateResult,
)

KEPT: Final = 3600
"""Seconds for which Kubernetes keeps a Job that has ended."""
STANDBY_COMES: Final = timedelta(seconds=3)
"""From the Job to the pod that waits."""
STANDBY_ENDS: Final = 1800
ASKED: Final = (JobKind.CENSUS, JobKind.EMPTY)
OF_A_KILL: Final = (JobKind.EMPTY, JobKind.REHYDRATE, JobKind.CENSUS, JobKind.VERIFY)


class RefusedError(Exception):
    """The cluster did not take a Job."""


@dataclass(eq=False)
class SimJob:
    job: ProbeJob
    request: RunJob
    lost: bool = False
    result: ProbeResult | None = None
    at_hand: bool = False
    """Whether no Job was sent: a pod that waits has answered."""


class Jobs:
    """Every Job that is there."""

    def __init__(
        self,
        clock: Clock,
        dice: Dice,
        weather: Weather,
        airflow: Airflow,
        answer: Callable[[RunJob], ProbeResult | None],
    ) -> None:
        self.clock, self.dice, self.weather, self.airflow = clock, dice, weather, airflow
        self.answer = answer
        """Answers for the kinds that do not look at runs."""
        self.broken: set[JobKind] = set()
        """Kinds of Jobs that end without a result."""
        self.seconds = weather.job
        self.jobs: list[SimJob] = []
        self.sent = 0
        """Of kills."""
        self.refused: set[JobKind] = set()
        """Kinds of Jobs that the cluster does not take, as under a quota."""
        self.asked: set[str] = set()
        """What was put to a pod that waits: that is done once."""

    def run(self, request: RunJob) -> None:
        """Create the Job of an attempt, unless one of its name is there."""
        name = f"{request.kind}-{request.component}-{request.attempt}"
        if any(entry.job.name == name for entry in self.jobs):
            return
        if request.kind in self.refused:
            raise RefusedError(f"could not run the {request.kind} Job: exceeded quota")
        job = ProbeJob(
            name=name,
            kind=request.kind,
            component=request.component,
            attempt=request.attempt,
            digest=request.digest,
            created_at=moment(self.clock.now),
            state=JobState.RUNNING,
        )
        entry = SimJob(job, request)
        if request.kind is JobKind.STANDBY:
            self.jobs.append(entry)
            self.clock.after(STANDBY_ENDS, lambda: self._end(entry))
            return
        of_a_kill = request.digest.startswith("kill")
        if request.kind in ASKED and of_a_kill and name not in self.asked and self._waits():
            entry.at_hand = True
            self.asked.add(name)
            # One answer of a kind is kept, forever.
            self.jobs = [e for e in self.jobs if not (e.at_hand and e.job.kind is request.kind)]
            self._work(entry)
            self._end(entry)
            self.jobs.append(entry)
            return
        if request.kind in OF_A_KILL and request.digest.startswith("kill"):
            self.sent += 1
            entry.lost = self.sent in self.weather.jobs_lost
        self.jobs.append(entry)
        seconds = self.dice.between(self.seconds)
        # A census shows one moment, and may be reported much later.
        self.clock.after(self.dice.between((0, seconds)), lambda: self._work(entry))
        self.clock.after(seconds, lambda: self._end(entry))

    def _waits(self) -> bool:
        """Whether a pod is there that waits to be asked."""
        return self.weather.standby and any(
            entry.request.kind is JobKind.STANDBY
            and entry.job.state is JobState.RUNNING
            and moment(self.clock.now) - entry.job.created_at >= STANDBY_COMES
            for entry in self.jobs
        )

    def end_standby(self, names: Collection[str]) -> None:
        """The pods of these Jobs are ended."""
        for entry in self.jobs:
            if entry.job.name in names and entry.job.state is JobState.RUNNING:
                self._end(entry)

    def forget_answers(self) -> None:
        """The operator is another process: answers that it has not recorded are lost."""
        self.jobs = [entry for entry in self.jobs if not entry.at_hand]

    def _work(self, entry: SimJob) -> None:
        if not entry.lost or self.weather.jobs_lost_late:
            entry.result = self._result(entry.request)

    def _end(self, entry: SimJob) -> None:
        kind = entry.job.kind
        broken = entry.lost or kind in self.broken or kind is JobKind.STANDBY
        entry.job = replace(
            entry.job,
            state=JobState.BROKEN if broken else JobState.FINISHED,
            finished_at=moment(self.clock.now),
            result=None if broken else entry.result,
            message="OOMKilled" if broken else "",
        )
        if not entry.at_hand:
            self.clock.after(KEPT, lambda: self.jobs.remove(entry) if entry in self.jobs else None)

    def _result(self, request: RunJob) -> ProbeResult:
        known = self.answer(request)
        if known is not None:
            return known
        arguments = request.arguments
        bases = {
            arguments[number + 1] for number, word in enumerate(arguments[:-1]) if word == "--base"
        }
        match request.kind:
            case JobKind.EMPTY:
                return self._empty(request, bases)
            case JobKind.REHYDRATE:
                return self._rehydrate(request, bases)
            case _:
                return self._census(request, bases)

    def _census(self, request: RunJob, bases: set[str]) -> CensusResult:
        wanted = set(request.runs)
        if request.digest.endswith("-finished"):
            self.airflow.looked_at = self.clock.now
        runs = []
        for run in self.airflow.runs.values():
            rows = _rows_below(run, bases)
            if run.key in wanted if wanted else (run.in_flight and rows):
                runs.append(
                    OffloadedRun(
                        run.key, len(rows), run.state, run.run_type, self._waited_for_by(run)
                    )
                )
        finished = None
        if "--finished" in request.arguments:
            old = [
                (run, rows)
                for run in self.airflow.runs.values()
                if not run.in_flight and (rows := _rows_below(run, bases))
            ]
            finished = FinishedValues(
                len(old),
                sum(len(rows) for _, rows in old),
                tuple(sorted({run.key.dag_id for run, _ in old})),
            )
        return CensusResult(Verdict.PASS, tuple(runs), finished=finished)

    def _waited_for_by(self, run: SimRun) -> tuple[RunKey, ...]:
        return tuple(
            other.key
            for other in self.airflow.runs.values()
            if other.in_flight
            and any(
                task.waits_for == run.key and state.state not in ("success", "failed", "skipped")
                for task, state in zip(other.tasks, other.states, strict=True)
            )
        )

    def _empty(self, request: RunJob, bases: set[str]) -> EmptyResult:
        emptied: list[RunKey] = []
        left: list[tuple[RunKey, str]] = []
        for key in request.runs:
            run = self.airflow.runs.get(key)
            if run is not None and run.in_flight:
                left.append((key, f"it is {run.state}"))
                continue
            if run is not None:
                for number in _rows_below(run, bases):
                    run.held_until = self.clock.now
                    del run.rows[number]
            emptied.append(key)
        return EmptyResult(Verdict.PASS, tuple(emptied), tuple(left))

    def _rehydrate(self, request: RunJob, bases: set[str]) -> RehydrateResult:
        if request.runs:
            runs = [run for key in request.runs if (run := self.airflow.runs.get(key)) is not None]
        else:
            every = "--all" in request.arguments
            runs = [run for run in self.airflow.runs.values() if every or not run.in_flight]
        healed: list[RunKey] = []
        failed: list[tuple[RunKey, str]] = []
        copied = failed_rows = 0
        for run in runs:
            rows = _rows_below(run, bases)
            if rows and not self.airflow.store_up:
                failed.append((run.key, "the store does not answer"))
                failed_rows += len(rows)
                continue
            for number in rows:
                run.held_until = self.clock.now
                run.rows[number] = INLINE
                copied += 1
            healed.append(run.key)
        verdict = Verdict.FAIL if failed else Verdict.PASS
        return RehydrateResult(
            verdict=verdict,
            copied=copied,
            healed=tuple(healed),
            failed=tuple(failed),
            failed_rows=failed_rows,
        )


def _rows_below(run: SimRun, bases: set[str]) -> list[int]:
    return [number for number, base in run.rows.items() if base and base in bases]
