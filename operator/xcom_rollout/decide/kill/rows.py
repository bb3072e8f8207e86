"""Changes to the rows of affected runs, made by Jobs with access to Airflow's database.

Rows of stopped runs are removed before the clear; values of runs that are not stopped may be
copied back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from xcom_rollout.decide.bases import base_arguments
from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.kill.common import (
    EMPTY_BATCH,
    due,
    healed,
    job,
    kill_of,
    names,
    purpose,
    readable,
    record,
    staged,
    tasks_unseen,
)
from xcom_rollout.decide.kill.outcomes import failed_try
from xcom_rollout.decide.ledger import Kill, RecoveringRun, RunKey, RunStage, Strategy
from xcom_rollout.decide.observed import EmptyResult, JobKind, RehydrateResult
from xcom_rollout.decide.probe_jobs import (
    JOB_RETRY,
    Answered,
    Failed,
    ProbeRequest,
    Running,
    newest_attempt,
    rehydrate_arguments,
)
from xcom_rollout.decide.situation import Situation, some
from xcom_rollout.decide.table import act, done, hold, wait

EMPTY: Final = "empty"
REHYDRATE: Final = "rehydrate"


def emptied(s: Situation) -> Finding:
    """The rows of stopped runs that hold paths are gone: a clear would leave them.

    Otherwise a re-run that skips a task of its first try would hand the old path to its readers;
    and a re-run purges the old object first, which requires the store.
    """
    kill = kill_of(s)
    halted = staged(kill, RunStage.STOPPED)
    request = ProbeRequest.of_scheduler(JobKind.EMPTY, purpose(kill, EMPTY))
    match newest_attempt(s, request, EmptyResult, retry=JOB_RETRY, recorded=kill.emptied_attempt):
        case Running():
            return wait("EmptyingRuns", "removing the rows of stopped runs that hold paths")
        case Answered(job=answered, result=result):
            return _record_emptied(s, kill, answered.attempt, result)
        case Failed(why=why, again=again):
            return hold(
                "EmptyingFailed",
                f"the rows of {len(halted)} stopped runs could not be removed: {why}; the next "
                f"try is at {again:%H:%M:%SZ}",
                after=max(again - s.now, JOB_RETRY),
            )
    unseen = tasks_unseen(s)
    if halted and unseen is not None:
        return unseen
    ready = [run for run in readable(s, due(s, halted)) if not s.still_works_for(run.key)]
    if ready:
        batch = ready[:EMPTY_BATCH]
        keys = [run.key for run in batch]
        return act(
            "EmptyingRuns",
            f"removing the rows of {some(names(batch))} that hold paths",
            job(s, JobKind.EMPTY, EMPTY, ("forget", *base_arguments(s)), runs=keys),
        )
    if halted:
        return wait(
            "EmptyingRuns",
            f"{len(halted)} runs wait until their tasks have ended or Airflow returns the run",
        )
    return done("RunsEmptied", "no stopped run holds a path")


def _record_emptied(s: Situation, kill: Kill, attempt: int, result: EmptyResult) -> Finding:
    stopped = {run.key: run for run in staged(kill, RunStage.STOPPED)}
    marks = [
        replace(stopped[key].at(RunStage.EMPTIED), was_emptied=False)
        for key in result.emptied
        if key in stopped
    ]
    marks += _failed(s, stopped, result.left)
    changed = replace(kill.with_runs(tuple(marks)), emptied_attempt=attempt)
    return act(
        "RunsEmptied",
        f"{len(result.emptied)} runs no longer hold a path"
        + (f"; {len(result.left)} still do" if result.left else ""),
        record(s, changed, f"rows removed by attempt {attempt}"),
    )


def rehydrated(s: Situation) -> Finding:
    """The values of the runs found are back in the database."""
    kill = kill_of(s)
    if kill.strategy is not Strategy.REHYDRATE:
        return done("NotAsked", "runs are not rehydrated")
    found = staged(kill, RunStage.FOUND)
    request = ProbeRequest.of_scheduler(JobKind.REHYDRATE, purpose(kill, REHYDRATE))
    match newest_attempt(
        s, request, RehydrateResult, retry=JOB_RETRY, recorded=kill.rehydrated_attempt
    ):
        case Running():
            return wait("Rehydrating", f"copying the values of {len(found)} runs back")
        case Answered(job=answered, result=result):
            return _record_rehydrated(s, kill, answered.attempt, result)
        case Failed(why=why, again=again):
            return hold(
                "RehydrationFailed",
                f"the values of {len(found)} runs could not be copied back: {why}; the next try "
                f"is at {again:%H:%M:%SZ}",
                after=max(again - s.now, JOB_RETRY),
            )
    # A task of the old environment would offload after the copy. A worker created when no writer
    # is left has no such tasks, and is not inspected before the revert.
    old = {pod.run for pod in s.old_task_pods}
    in_workers = bool(s.old_workers) and not kill.writers_gone
    ready = [run for run in due(s, found) if run.key not in old and not in_workers]
    if ready:
        batch = ready[:EMPTY_BATCH]
        keys = [run.key for run in batch]
        return act(
            "Rehydrating",
            f"copying the values of {some(names(batch))} back into the database",
            job(s, JobKind.REHYDRATE, REHYDRATE, rehydrate_arguments(s), runs=keys),
        )
    if found:
        return wait(
            "Rehydrating",
            f"{len(found)} runs wait for their old tasks or for their next try",
            seconds=2,
        )
    return done("Rehydrated", "no run is left to rehydrate")


def _record_rehydrated(s: Situation, kill: Kill, attempt: int, result: RehydrateResult) -> Finding:
    found = {run.key: run for run in staged(kill, RunStage.FOUND)}
    marks = [_rehydrated(found[key]) for key in result.healed if key in found]
    marks += _failed(s, found, dict(result.failed).items())
    changed = replace(kill.with_runs(tuple(marks)), rehydrated_attempt=attempt)
    return act(
        "Rehydrated",
        f"{result.copied} values are copied back into the database"
        + (f"; {result.remaining} remain" if result.remaining else "")
        + (f"; {result.failed_rows} could not be copied" if result.failed_rows else ""),
        record(s, changed, f"values copied back by attempt {attempt}"),
    )


def _failed(
    s: Situation, waiting: Mapping[RunKey, RecoveringRun], failures: Iterable[tuple[RunKey, str]]
) -> list[RecoveringRun]:
    """Return the runs for which a Job failed and that still need it."""
    return [failed_try(waiting[key], why, s.now) for key, why in failures if key in waiting]


def _rehydrated(run: RecoveringRun) -> RecoveringRun:
    if not run.stop_asked:
        return healed(run, "its values are back in the database")
    # Airflow may still set it to failed: the strategy was another one before.
    return replace(
        run,
        stage=RunStage.DRAINING,
        message="its values are back in the database; it was asked to stop earlier and is still "
        "watched",
    )
