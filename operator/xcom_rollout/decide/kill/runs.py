"""Heal each affected run separately: a stage, an error, a next try.

Every process can read offloaded values meanwhile (except in an Immediate kill), so nothing here is
urgent, and a run without progress does not block the others.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from xcom_rollout.decide.actions import (
    ClearRuns,
    DeletePods,
    EndAttempts,
    StopRuns,
    TaskPod,
)
from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.kill.common import (
    BATCH,
    IN_FLIGHT,
    RECORD_BATCH,
    STUCK_TIME,
    STUCK_TRIES,
    api_unreachable,
    due,
    healed,
    is_immediate,
    is_unread,
    kill_of,
    names,
    next_look,
    readable,
    record,
    staged,
    tasks_unseen,
    view_of,
)
from xcom_rollout.decide.kill.outcomes import unread_try, was_cleared
from xcom_rollout.decide.kill.writers import is_stuck, stuck_pods
from xcom_rollout.decide.ledger import Kill, RecoveringRun, RunStage, Strategy
from xcom_rollout.decide.observed import Attempt, DagRun, Pod
from xcom_rollout.decide.situation import Situation, some
from xcom_rollout.decide.table import act, done, hold, wait

BACKFILL: Final = "backfill"
ATTEMPT_PATIENCE: Final = timedelta(seconds=35)
"""How long a task in a worker may continue after its run was set to failed: its supervisor asks
Airflow every 5 s (docs/airflow.md, "Executors"), and `on_kill` then has as long as in a pod."""
DRAIN_PATIENCE: Final = timedelta(hours=1)
"""How long runs that are left to end may take before that is reported."""


def strategy_for(s: Situation, kill: Kill, run: RecoveringRun) -> tuple[Strategy, str]:
    """Return how one run is healed, and why if it differs from the kill's strategy."""
    if kill.strategy in (Strategy.DRAIN, Strategy.REHYDRATE):
        return kill.strategy, ""
    if _is_old_backfill(s, run):
        why = (
            "a backfill of Airflow 2 is not scheduled again after a clear, so it runs to its end; "
            "if its command no longer runs, use --strategy Rehydrate"
        )
        return (Strategy.RETRIGGER, "") if is_immediate(kill) else (Strategy.DRAIN, why)
    if run.waited_for_by:
        parents = some([str(key) for key in run.waited_for_by])
        if is_immediate(kill):
            return Strategy.RETRIGGER, f"{parents} waits for it and may fail with it"
        return Strategy.DRAIN, f"{parents} waits for it and would fail with it; it runs to its end"
    return Strategy.RETRIGGER, ""


def _is_old_backfill(s: Situation, run: RecoveringRun) -> bool:
    """Whether only the command that started the run would schedule it again after a clear."""
    return run.run_type == BACKFILL and view_of(s).major == 2


def read(s: Situation) -> Finding:
    """Airflow returns each run; one that it does not return is retried later, like a failed try.

    The other steps leave such a run alone: it may run, have ended or be gone.
    """
    kill, view = kill_of(s), view_of(s)
    if view.error:
        return done("RunsRead", "Airflow was not asked about single runs")
    blind = [run for run in kill.runs if is_unread(s, run) and _has_to_be_read(kill, run)]
    marks = [unread_try(run, view.unread[run.key], s.now) for run in due(s, blind)]
    marks += [run.at(run.stage) for run in kill.runs if run.unread and not is_unread(s, run)]
    if marks:
        return act(
            "RunsUnread",
            some(marks, words=lambda run: f"{run.key}: {run.error or 'it can be read again'}"),
            record(s, kill.with_runs(tuple(marks)), f"which of {len(marks)} runs can be read"),
        )
    if blind:
        return wait(
            "RunsUnread",
            f"{len(blind)} runs cannot be read and are left unchanged: "
            + some(blind, words=lambda run: f"{run.key} ({run.error})"),
            seconds=next_look(s, blind),
        )
    return done("RunsRead", "Airflow returns each run")


def _has_to_be_read(kill: Kill, run: RecoveringRun) -> bool:
    """Whether it matters: values of a run found are copied back without asking Airflow."""
    return run.stage not in (RunStage.RECOVERED, RunStage.HEALED) and not (
        kill.strategy is Strategy.REHYDRATE and run.stage is RunStage.FOUND
    )


def none_stuck(s: Situation) -> Finding:
    """No run has failed to be stopped, emptied or cleared several times in a row."""
    kill = kill_of(s)
    stuck = [run for run in kill.runs if _is_stuck(s, run)]
    if stuck:
        listed = some(
            stuck, most=3, words=lambda run: f"{run.key} ({run.stage}): {_trouble(s, run)}"
        )
        return hold(
            "RunsStuck",
            f"{len(stuck)} runs are stuck: {listed}. The other runs continue; these are retried "
            "automatically, or can be healed without being stopped: kubectl xbr kill "
            f"{s.observed.rollout.name} --strategy Rehydrate --reason ...",
            after=timedelta(seconds=5),
        )
    return done("RunsGoOn", "no run is stuck")


def _is_stuck(s: Situation, run: RecoveringRun) -> bool:
    """Whether a person has to look at a run."""
    if run.error:
        since = run.failing_since
        return run.tries >= STUCK_TRIES or (since is not None and s.now - since >= STUCK_TIME)
    if run.stage is not RunStage.STOPPING or run.tries < STUCK_TRIES:
        return False
    seen = view_of(s).run(run.key)
    return seen is not None and seen.state in IN_FLIGHT


def _trouble(s: Situation, run: RecoveringRun) -> str:
    """Return what blocks a run, in words."""
    if run.error:
        return run.error
    view, dag = view_of(s), run.key.dag_id
    why = "Airflow accepts the stop, but the run continues"
    if dag in view.missing_dags:
        return f"{why}: Airflow does not know the DAG {dag}; restore its file, or delete the run"
    if dag in view.unread_dags:
        return (
            f"{why}, and Airflow does not return whether its DAG is paused: {view.unread_dags[dag]}"
        )
    if dag in view.paused_dags:
        return (
            f"{why}: Airflow runs teardown tasks first, and a person paused the DAG. Unpause it: "
            f"airflow dags unpause {dag}"
        )
    return f"{why}: its teardown tasks may be pending; it stops when they have ended"


def chosen(s: Situation) -> Finding:
    """Each run found is stopped or runs to its end; which of the two is recorded first."""
    kill, view = kill_of(s), view_of(s)
    found = staged(kill, RunStage.FOUND)
    draining = staged(kill, RunStage.DRAINING)
    if not found and not draining:
        return done("RunsChosen", "each run is being healed")
    if view.error:
        return api_unreachable(s, names([*found, *draining]))
    marks: list[RecoveringRun] = []
    unseen = tasks_unseen(s)
    for run in readable(s, found):
        way, why = strategy_for(s, kill, run)
        ended = _ended_by_itself(s, run)
        if ended is not None:
            marks.append(ended)
        elif way is Strategy.DRAIN:
            marks.append(replace(run, stage=RunStage.DRAINING, message=why))
        elif way is Strategy.RETRIGGER and (unseen is None or is_immediate(kill)):
            marks.append(replace(run, stage=RunStage.STOPPING, message=why, stop_asked=True))
    seen = readable(s, draining)
    marks += [ended for run in seen if (ended := _ended_by_itself(s, run)) is not None]
    if marks:
        return act(
            "RunsChosen",
            some(marks, words=lambda run: f"{run.key}: {run.stage}"),
            record(s, kill.with_runs(tuple(marks)), f"how {len(marks)} runs are healed"),
        )
    if unseen is not None and found and kill.strategy is not Strategy.REHYDRATE:
        # A stopped run could not be cleared: it is better to leave it running.
        return unseen
    return done("RunsChosen", "each run is being healed")


def stopped(s: Situation) -> Finding:
    """Airflow schedules nothing more of the runs that will be cleared."""
    kill, view = kill_of(s), view_of(s)
    stopping = staged(kill, RunStage.STOPPING)
    if not stopping:
        return done("RunsStopped", "no run remains to be stopped")
    if view.error:
        return api_unreachable(s, names(stopping))
    marks, active = [], []
    for run in readable(s, stopping):
        seen = view.run(run.key)
        if seen is None:
            marks.append(healed(run, "deleted from Airflow"))
        elif seen.state in IN_FLIGHT:
            active.append(run)
        else:
            # Success, too: a stopped run succeeds if only its teardown was left to run.
            marks.append(_stopped(s, run, seen))
    ready = due(s, active)
    if marks and _worth_a_record(marks, ready):
        return act(
            "RunsStopped",
            f"stopped {some(names(marks))}",
            record(s, kill.with_runs(tuple(marks)), f"{len(marks)} runs stopped"),
        )
    if ready:
        # Those not tried yet come first: others must not keep them waiting.
        ready.sort(key=lambda run: run.tries)
        batch = ready[:BATCH]
        return act(
            "StoppingRuns",
            f"setting {some(names(batch))} to failed; {len(stopping)} remain to be stopped",
            StopRuns(tuple(run.key for run in batch)),
        )
    return wait(
        "StoppingRuns",
        f"{len(stopping)} runs have not stopped yet: "
        + some(
            stopping, words=lambda run: f"{run.key} ({run.error})" if run.error else str(run.key)
        ),
        # Most stop at once; when to ask again is another matter.
        seconds=1,
    )


def attempts_ended(s: Situation) -> Finding:
    """No task of a stopped run is left that could still write: neither its pod nor a process."""
    kill, view = kill_of(s), view_of(s)
    halted = staged(kill, RunStage.STOPPED)
    if not halted:
        return done("OldAttemptsEnded", "no task of a stopped run remains")
    if view.error:
        # Its pods may be those of a run that somebody cleared.
        return api_unreachable(s, names(halted))
    seen_now = readable(s, halted)
    again = [
        _cleared_meanwhile(kill, run)
        for run in seen_now
        if (seen := view.run(run.key)) is not None and seen.state in IN_FLIGHT
    ]
    if again:
        return act(
            "RunsChosen",
            some(again, words=lambda run: f"{run.key}: it was cleared; {run.stage}"),
            record(s, kill.with_runs(tuple(again)), f"{len(again)} runs cleared in the meantime"),
        )
    pods = [pod for run in seen_now for pod in s.task_pods_of(run.key)]
    put_off = {run.key for run in halted} - {run.key for run in due(s, halted)}
    doomed = [pod for pod in pods if not pod.terminating and pod.run not in put_off]
    if doomed:
        return act(
            "EndingOldAttempts",
            f"deleting the task pods {some([pod.name for pod in doomed])}",
            DeletePods(tuple(_task_pod(s, pod) for pod in doomed[:BATCH])),
        )
    # Before any wait: a pod on a lost node must not prevent processes from being ended.
    late = _processes_to_end(s, seen_now)
    if late:
        return act(
            "EndingOldAttempts",
            f"stopping the processes {some(late, words=_process)}: their runs were set to failed, "
            "but their supervisors have not stopped them",
            EndAttempts(tuple(late[:BATCH])),
        )
    stuck = [pod for pod in pods if is_stuck(s, pod)]
    if stuck:
        return hold("PodsNotEnding", stuck_pods(stuck))
    unseen = tasks_unseen(s)
    if unseen is not None:
        return unseen
    if pods:
        return wait(
            "OldAttemptsEnding",
            f"waiting until the pods {some([pod.name for pod in pods])} are gone: a task that "
            "still runs after the clear would corrupt the re-run",
            seconds=0.5,
        )
    in_workers = _attempts_in_workers(s, seen_now)
    if in_workers is not None:
        return in_workers
    if len(seen_now) < len(halted):
        return wait(
            "OldAttemptsEnding",
            f"stopped runs that cannot be read are left unchanged: {some(names(halted))}",
            seconds=2,
        )
    return done("OldAttemptsEnded", "no task of a stopped run remains")


def _processes_to_end(s: Situation, halted: Sequence[RecoveringRun]) -> list[Attempt]:
    """Return the processes of stopped runs in workers that nobody else ends.

    Neither Airflow's rows nor Celery's answers show that a process has ended: only a look does.
    """
    ready = {run.key for run in due(s, halted) if _should_have_ended(s, run)}
    return [attempt for run in sorted(ready) for attempt in s.attempts_of(run)]


def _attempts_in_workers(s: Situation, halted: Sequence[RecoveringRun]) -> Finding | None:
    """Return which processes in workers are waited for; None where none is left."""
    ending = [attempt for run in halted for attempt in s.attempts_of(run.key)]
    if ending:
        return wait(
            "OldAttemptsEnding",
            f"waiting until the processes {some(ending, words=_process)} have ended: a task that "
            "still runs after the clear would corrupt the re-run",
            seconds=1,
        )
    unknown = s.attempts_of(None)
    if not (unknown and halted):
        return None
    stopped_at = max((run.stopped_at for run in halted if run.stopped_at), default=None)
    if stopped_at is not None and s.now - stopped_at >= STUCK_TIME:
        first = unknown[0]
        return hold(
            "AttemptsUnknown",
            f"the processes {some(unknown, words=_process)} run tasks of unknown runs: Airflow "
            f"does not return which. {len(halted)} stopped runs are not cleared while they run, "
            "because a process may belong to one of these runs. If you know that a process is "
            f"not needed, stop it: kubectl exec {first.pod} -- kill -9 {first.pid}",
            after=timedelta(seconds=5),
        )
    return wait(
        "OldAttemptsEnding",
        f"waiting for the processes {some(unknown, words=_process)}: Airflow does not return "
        "which runs they belong to, and it may be a stopped one",
        seconds=1,
    )


def _should_have_ended(s: Situation, run: RecoveringRun) -> bool:
    return run.stopped_at is None or s.now - run.stopped_at >= ATTEMPT_PATIENCE


def _process(attempt: Attempt) -> str:
    return f"{attempt.pid} in {attempt.pod} ({attempt.run or attempt.title})"


def cleared(s: Situation) -> Finding:
    """Every emptied run has been cleared, once."""
    kill, view = kill_of(s), view_of(s)
    empty = staged(kill, RunStage.EMPTIED)
    if not empty:
        return done("RunsCleared", "no run remains to be cleared")
    if view.error:
        return api_unreachable(s, names(empty))
    if is_immediate(kill) and not kill.reverting:
        return wait("RunsWaiting", f"{len(empty)} runs are cleared after the revert")
    marks, ready = [], []
    for run in readable(s, empty):
        seen = view.run(run.key)
        if seen is None:
            marks.append(healed(run, "deleted from Airflow"))
        elif _is_old_backfill(s, run):
            marks.append(
                replace(
                    run,
                    stage=RunStage.FAILED,
                    message="a backfill of Airflow 2 is not scheduled again after a clear; run "
                    "airflow dags backfill again",
                )
            )
        elif was_cleared(run, seen):
            marks.append(
                replace(run.at(RunStage.CLEARED), stop_asked=False, cleared_round=kill.round)
            )
        else:
            ready.append(run)
    now = due(s, ready)
    if marks and _worth_a_record(marks, now):
        after = kill.with_runs(tuple(marks))
        waiting = (RunStage.FOUND, RunStage.STOPPING, RunStage.STOPPED, RunStage.EMPTIED)
        if not staged(after, *waiting):
            after = replace(after, queued_at=s.now)
        return act(
            "RunsCleared",
            f"queued again: {some(names(marks))}",
            record(s, after, f"{len(marks)} runs cleared"),
        )
    if now:
        now.sort(key=lambda run: run.tries)
        batch = now[:BATCH]
        return act(
            "ClearingRuns",
            f"clearing {some(names(batch))}; {len(empty)} remain to be queued",
            ClearRuns(tuple(run.key for run in batch)),
        )
    return wait(
        "ClearingRuns",
        f"{len(empty)} runs could not be cleared yet: "
        + some(empty, words=lambda run: f"{run.key} ({run.error})"),
        seconds=next_look(s, empty),
    )


def _worth_a_record(marks: Sequence[RecoveringRun], ready: Sequence[RecoveringRun]) -> bool:
    """Whether outcomes of runs are recorded now, before the other runs that are ready are tried.

    Each run has only one first try, so a record is not put off forever.
    """
    return len(marks) >= RECORD_BATCH or all(run.tries for run in ready)


def drained(s: Situation) -> Finding:
    """The runs that are left to end have ended."""
    kill, view = kill_of(s), view_of(s)
    draining = staged(kill, RunStage.DRAINING)
    if not draining:
        return done("Drained", "no run remains that must end")
    paused = [run for run in draining if run.key.dag_id in view.paused_dags]
    if paused:
        dags = sorted({run.key.dag_id for run in paused})
        return hold(
            "DrainingRunsPaused",
            f"{len(paused)} runs must run to their end, but a person paused their DAGs: "
            f"{some(dags)}. Unpause them (airflow dags unpause {dags[0]}), or copy their values "
            f"back: kubectl xbr kill {s.observed.rollout.name} --strategy Rehydrate --reason ...",
        )
    listed = some(
        draining, words=lambda run: f"{run.key} ({run.message})" if run.message else str(run.key)
    )
    since = kill.writers_stopped_at
    if since is not None and s.now - since >= DRAIN_PATIENCE:
        return hold(
            "DrainingLong",
            f"{len(draining)} runs with offloaded values have not ended yet: {listed}. If one "
            "cannot end, such as a backfill whose command no longer runs, copy their values back: "
            f"kubectl xbr kill {s.observed.rollout.name} --strategy Rehydrate --reason ...",
        )
    return wait(
        "Draining",
        f"{len(draining)} runs with offloaded values run to their end: {listed}",
        seconds=2,
    )


def _ended_by_itself(s: Situation, run: RecoveringRun) -> RecoveringRun | None:
    seen = view_of(s).run(run.key)
    if seen is None:
        return healed(run, "deleted from Airflow")
    if seen.state in IN_FLIGHT:
        return None
    if run.stop_asked:
        return _stopped(s, run, seen)
    return healed(run, "ended by itself")


def _stopped(s: Situation, run: RecoveringRun, seen: DagRun) -> RecoveringRun:
    return replace(
        run.at(RunStage.STOPPED),
        start_date=seen.start_date,
        stopped_at=s.now if s.workers else None,
    )


def _cleared_meanwhile(kill: Kill, run: RecoveringRun) -> RecoveringRun:
    """Return a stopped run that runs again, before its rows were removed.

    Somebody cleared it; or, where its rows had been removed before and a census put it back, this
    kill had done so, and no look had shown it yet. Its pods are those of the re-run now, which
    reads what is left of the first try and writes inline, so it may end. Where it cannot read, it
    is healed from the beginning, unless this kill would clear it twice.
    """
    by_us = run.was_emptied
    fresh = replace(run.at(RunStage.FOUND), start_date=None, stop_asked=False, was_emptied=False)
    if by_us:
        fresh = replace(fresh, cleared_round=kill.round)
    if kill.strategy is Strategy.REHYDRATE or (kill.strategy is Strategy.IMMEDIATE and not by_us):
        return fresh
    return replace(
        fresh,
        stage=RunStage.DRAINING,
        message="it was already cleared when a census found paths in it, and the census may be "
        "older; it runs to its end"
        if by_us
        else "somebody cleared it after it was stopped; it runs to its end",
    )


def _task_pod(s: Situation, pod: Pod) -> TaskPod:
    if pod.run is None:
        raise LookupError(f"{pod.name} is not a task pod")
    return TaskPod(pod.namespace or s.observed.rollout.namespace, pod.name, pod.uid, pod.run)
