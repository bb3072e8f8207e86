"""The kill-switch: revert and re-trigger, in the order that keeps every run correct.

Measured on Airflow 2.11 and 3.1 (docs/kill-switch.md): a task pod that started before the revert
writes an offloaded row after it, and an attempt that outlives the clear writes its row over the
new one. So DAGs are held before the revert, a run is cleared only when none of its task pods is
left, and the census is repeated once the last old pod of a DAG has ended.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from xcom_rollout.api.names import Condition
from xcom_rollout.decide.actions import (
    ClearRuns,
    DeletePods,
    FailRuns,
    PauseDags,
    SetValues,
    UnpauseDags,
    WriteLedger,
)
from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.errands import (
    Answered,
    Errand,
    Failed,
    Running,
    count_offloaded,
    newest_attempt,
    record_of,
)
from xcom_rollout.decide.ledger import (
    CensusRecord,
    Component,
    Delivered,
    Kill,
    RecoveringRun,
    RunKey,
    RunStage,
)
from xcom_rollout.decide.observed import (
    AirflowView,
    CensusResult,
    JobKind,
    ProbeJob,
)
from xcom_rollout.decide.release_steps import (
    fleet_confirmed,
    fleet_rolled,
    release_found,
    release_settled,
    sole_owner,
)
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.decide.situation import Situation, some
from xcom_rollout.decide.table import Step, act, done, hold, wait

IN_FLIGHT: Final = frozenset({"running", "queued"})
BATCH: Final = 50
"""Runs, pods or DAGs that one action covers at most, so that progress is seen and recorded."""
JOB_RETRY: Final = timedelta(seconds=5)
API_RETRY: Final = timedelta(seconds=2)


def begun(s: Situation) -> Finding:
    """The kill has a number, and the DAGs to hold are on record before any is paused."""
    if s.ledger.kill is not None:
        return done("KillBegun", f"kill {s.ledger.kill.attempt} by {s.ledger.kill.by}")
    request = s.kill_request
    if request is None:
        raise LookupError("the kill table is only for a rollout that is being killed")
    view = _view(s)
    held = _holdable(s, view) if not view.error else ()
    kill = Kill(
        attempt=s.ledger.past_kills[-1].attempt + 1 if s.ledger.past_kills else 1,
        engaged_at=s.now,
        by=request.by,
        reason=request.reason,
        held_dags=held,
        hold_error=view.error,
    )
    return act(
        "KillSwitchEngaged",
        f"engaged by {request.by}: {request.reason}",
        WriteLedger(replace(s.ledger, kill=kill), f"the beginning of kill {kill.attempt}"),
    )


def dags_held(s: Situation) -> Finding:
    """No task starts in the new environment on values that the old one offloaded."""
    kill, view = _kill(s), _view(s)
    if view.error:
        why = kill.hold_error or view.error
        return done("DagsNotHeld", f"DAGs could not be paused, the revert does not wait: {why}")
    missing = _late_dags(s, kill, view)
    if missing:
        return act(
            "HoldingDags",
            f"recording the DAGs to hold: {some(list(missing))}",
            _record(s, replace(kill, held_dags=(*kill.held_dags, *missing)), "DAGs to hold"),
        )
    open_dags = [
        dag
        for dag in kill.held_dags
        if dag not in kill.released_dags and dag in view.unpaused_dags and _must_hold(s, kill, dag)
    ]
    if open_dags:
        return act(
            "HoldingDags",
            f"pausing {some(open_dags)} until their runs are safe",
            PauseDags(tuple(open_dags[:BATCH])),
        )
    return done("DagsHeld", f"{len(kill.held_dags) - len(kill.released_dags)} DAGs are held")


def reverted(s: Situation) -> Finding:
    """The settings of before the flip are delivered."""
    kill, current = _kill(s), s.release.settings
    baseline = _baseline(s)
    if current != baseline or s.release.status != "deployed":
        return act(
            "Reverting",
            f"delivering the {baseline.describe()}",
            SetValues(baseline, s.release.revision),
        )
    if kill.reverted_at is None:
        ledger = replace(
            s.ledger,
            kill=replace(kill, reverted_at=s.now),
            delivered=Delivered(baseline, s.release.revision, s.now),
        )
        return act(
            "Reverted",
            f"the {baseline.describe()} is delivered",
            WriteLedger(ledger, f"the revert in revision {s.release.revision}"),
        )
    return done("Reverted", f"the {baseline.describe()} is delivered")


def census_taken(s: Situation) -> Finding:
    """The runs with offloaded values were counted, after the revert and after old tasks ended."""
    kill, record = _kill(s), _census(s)
    errand = Errand(JobKind.CENSUS, Component.SCHEDULER, _purpose(kill))
    match newest_attempt(s, errand, CensusResult, retry=JOB_RETRY):
        case Running(job):
            return wait(
                "CensusRunning",
                "counting the in-flight runs that hold offloaded values"
                + (f" ({job.message})" if job.message else ""),
            )
        case Answered(job, result):
            return _record_census(s, kill, job, result)
        case Failed(why=why):
            return hold(
                "CensusFailed",
                f"the census could not be taken: {why}; it is tried again in a few seconds",
                after=JOB_RETRY,
            )
    if record is not None and not _ended_unseen(s, kill, record):
        left = _unknown(kill, record)
        more = f"; {len(left)} others still had old tasks" if left else ""
        return done("CensusTaken", f"{len(kill.runs)} runs are re-triggered{more}")
    return act(
        "TakingCensus",
        "counting the in-flight runs that hold offloaded values",
        count_offloaded(s, JobKind.CENSUS, _purpose(kill), old_runs=_with_old_tasks(s, kill)),
    )


def runs_stopped(s: Situation) -> Finding:
    """Airflow schedules nothing more of the runs that will be cleared."""
    kill, view = _kill(s), _view(s)
    found = [run for run in kill.runs if run.stage is RunStage.FOUND]
    if not found:
        return done("RunsStopped", "no run is left to be stopped")
    if view.error:
        return _api_unreachable(view, found)
    stopped, gone, active = [], [], []
    for run in found:
        seen = view.run(run.key)
        if seen is None:
            gone.append(replace(run, stage=RunStage.RECOVERED, message="deleted from Airflow"))
        elif seen.state in IN_FLIGHT:
            active.append(run.key)
        else:
            stopped.append(replace(run, stage=RunStage.STOPPED, start_date=seen.start_date))
    if active:
        return act(
            "StoppingRuns",
            f"setting {some([str(key) for key in active])} to failed",
            FailRuns(tuple(active[:BATCH])),
        )
    return act(
        "RunsStopped",
        f"stopped {some([str(run.key) for run in (*stopped, *gone)])}",
        _record(s, kill.with_runs((*stopped, *gone)), f"{len(stopped)} runs stopped"),
    )


def attempts_ended(s: Situation) -> Finding:
    """No task pod of a stopped run is left that could still write."""
    stopped = [run for run in _kill(s).runs if run.stage is RunStage.STOPPED]
    pods = [pod for run in stopped for pod in s.task_pods_of(run.key)]
    doomed = [(pod.name, pod.uid) for pod in pods if not pod.terminating]
    if doomed:
        return act(
            "EndingOldAttempts",
            f"ending the task pods {some([name for name, _ in doomed])}",
            DeletePods(tuple(doomed[:BATCH])),
        )
    if pods:
        return wait(
            "OldAttemptsEnding",
            f"waiting until the pods {some([pod.name for pod in pods])} are gone: an attempt that "
            "outlives the clear would spoil the re-run",
            seconds=0.5,
        )
    return done("OldAttemptsEnded", "no task pod of a stopped run is left")


def runs_cleared(s: Situation) -> Finding:
    """Every stopped run without a task pod has been cleared, once."""
    kill, view = _kill(s), _view(s)
    stopped = [run for run in kill.runs if run.stage is RunStage.STOPPED]
    if not stopped:
        return done("RunsCleared", "no run is left to be cleared")
    if view.error:
        return _api_unreachable(view, stopped)
    marks, ready = [], []
    for run in stopped:
        seen = view.run(run.key)
        if seen is None:
            marks.append(replace(run, stage=RunStage.RECOVERED, message="deleted from Airflow"))
        elif seen.state in IN_FLIGHT or seen.start_date != run.start_date:
            # Only the clear resets the start: it was done, even if the re-run has ended by now.
            marks.append(replace(run, stage=RunStage.CLEARED))
        elif not s.task_pods_of(run.key):
            ready.append(run.key)
    if marks:
        after = kill.with_runs(tuple(marks))
        if not any(run.stage in (RunStage.FOUND, RunStage.STOPPED) for run in after.runs):
            after = replace(after, queued_at=s.now)
        return act(
            "RunsCleared",
            f"queued again: {some([str(run.key) for run in marks])}",
            _record(s, after, f"{len(marks)} runs cleared"),
        )
    if ready:
        return act(
            "ClearingRuns",
            f"clearing {some([str(key) for key in ready])}",
            ClearRuns(tuple(ready[:BATCH])),
        )
    return wait("WaitingForOldAttempts", f"{len(stopped)} runs wait for their old task pods")


def dags_released(s: Situation) -> Finding:
    """A DAG runs again once no old task of it is left and its runs are cleared."""
    kill, view = _kill(s), _view(s)
    held = [dag for dag in kill.held_dags if dag not in kill.released_dags]
    if not held:
        return done("DagsReleased", "every DAG that was held runs again")
    safe = [dag for dag in held if not _must_hold(s, kill, dag)]
    if safe and not view.error:
        released = [dag for dag in safe if dag in view.unpaused_dags]
        paused = [dag for dag in safe if dag not in view.unpaused_dags]
        if paused:
            return act(
                "ReleasingDags",
                f"unpausing {some(paused)}",
                UnpauseDags(tuple(paused[:BATCH])),
            )
        return act(
            "DagsReleased",
            f"{some(released)} run again",
            _record(
                s,
                replace(kill, released_dags=(*kill.released_dags, *released)),
                f"{len(released)} DAGs released",
            ),
        )
    return wait("DagsHeld", f"{len(held)} DAGs are held: {some(held)}")


def old_tasks_ended(s: Situation) -> Finding:
    """Tasks that started before the revert in other runs have ended; they are not touched."""
    kill = _kill(s)
    pods = s.dirty_pods(kill)
    if not pods:
        return done("OldTasksEnded", "no task of the old environment is left")
    limit = s.spec.stop_tasks_after()
    if limit is not None and kill.reverted_at is not None and s.now >= kill.reverted_at + limit:
        runs = {pod.run for pod in pods if pod.run is not None}
        found = tuple(
            RecoveringRun(key, 0, message="stopped by spec.killSwitch.stopTasksAfter")
            for key in sorted(runs)
        )
        return act(
            "OldTasksOverdue",
            f"{some([str(key) for key in sorted(runs)])} outlasted "
            f"spec.killSwitch.stopTasksAfter ({s.spec.kill_switch.stop_tasks_after}) and are "
            "re-triggered too",
            _record(s, kill.with_runs(found), "overdue old tasks"),
        )
    return wait(
        "OldTasksRunning",
        f"{len(pods)} tasks that started before the revert go on in runs without offloaded "
        f"values: {some(sorted({str(pod.run) for pod in pods}))}; they may still offload, so "
        "they are waited for and looked at again",
    )


def runs_recovered(s: Situation) -> Finding:
    """Every cleared run has run again to its end."""
    kill, view = _kill(s), _view(s)
    open_runs = [run for run in kill.runs if run.stage not in (RunStage.RECOVERED, RunStage.FAILED)]
    watched = [run for run in kill.runs if run.stage in (RunStage.CLEARED, RunStage.FAILED)]
    if watched and view.error:
        return _api_unreachable(view, watched)
    marks = []
    for run in watched:
        seen = view.run(run.key)
        if seen is None:
            marks.append(replace(run, stage=RunStage.RECOVERED, message="deleted from Airflow"))
        elif seen.state == "success" and not kill.verified:
            marks.append(replace(run, stage=RunStage.RECOVERED, message=""))
        elif seen.state == "failed" and run.stage is RunStage.CLEARED:
            marks.append(replace(run, stage=RunStage.FAILED, message="the re-run ended as failed"))
        elif seen.state in IN_FLIGHT and run.stage is RunStage.FAILED:
            marks.append(replace(run, stage=RunStage.CLEARED, message=""))
    if marks:
        return act(
            "RunsEnded",
            some([f"{run.key}: {run.stage}" for run in marks]),
            _record(s, kill.with_runs(tuple(marks)), f"{len(marks)} re-runs ended"),
        )
    if open_runs:
        ended = len(kill.runs) - len(open_runs)
        return wait(
            "RunsRecovering",
            f"{ended} of {len(kill.runs)} runs have run again; "
            f"waiting for {some([str(run.key) for run in open_runs])}",
        )
    return done("RunsEnded", f"{len(kill.runs)} runs have run again")


def values_verified(s: Situation) -> Finding:
    """The re-runs hold inline values only, as a query in the database shows."""
    kill = _kill(s)
    recovered = tuple(run.key for run in kill.runs if run.stage is RunStage.RECOVERED)
    if kill.verified or not recovered:
        return done("ValuesVerified", f"{len(recovered)} re-runs hold inline values only")
    errand = Errand(JobKind.VERIFY, Component.SCHEDULER, _purpose(kill))
    match newest_attempt(s, errand, CensusResult, retry=JOB_RETRY):
        case Running():
            return wait("Verifying", "verifying that the re-runs hold inline values only")
        case Answered(result=result):
            return _record_verification(s, kill, result)
        case Failed(why=why):
            return hold(
                "VerificationFailed",
                f"the re-runs could not be looked at: {why}; it is tried again",
                after=JOB_RETRY,
            )
    return act(
        "Verifying",
        "verifying that the re-runs hold inline values only",
        count_offloaded(s, JobKind.VERIFY, _purpose(kill), runs=recovered),
    )


def pods_replaced(s: Situation) -> Finding:
    """Every long-lived pod has been replaced."""
    return fleet_rolled(s, wait_for_old_tasks=False)


def pods_confirmed(s: Situation) -> Finding:
    """A process inside each pod loads the database backend."""
    return fleet_confirmed(s, _baseline(s))


def nothing_lost(s: Situation) -> Finding:
    """A run that did not recover is named, and keeps the rollout stalled."""
    failed = [run for run in _kill(s).runs if run.stage is RunStage.FAILED]
    if failed:
        return hold(
            "RunsNotRecovered",
            f"{some([f'{run.key} ({run.message})' for run in failed])}. Repair the cause and clear "
            "the run in Airflow; it is seen when it succeeds. Objects are kept until then",
        )
    return done("NothingLost", "every run that was re-triggered recovered")


def finished(s: Situation) -> Finding:
    """The end of the kill is on record."""
    kill = _kill(s)
    if kill.finished_at is None:
        return act(
            "KillFinished",
            f"kill {kill.attempt} is finished: {len(kill.runs)} runs re-triggered",
            _record(s, replace(kill, finished_at=s.now), f"the end of kill {kill.attempt}"),
        )
    took = int((kill.finished_at - kill.engaged_at).total_seconds())
    return done(
        "Reverted",
        f"the database backend is back and {len(kill.runs)} runs were re-triggered, in {took} s; "
        "to flip again: kubectl xbr resume",
    )


def all_settled(s: Situation) -> Finding:
    """No affected run and no old task is left: the steps marked `*` are all done."""
    kill, record = _kill(s), _census(s)
    open_runs = [run for run in kill.runs if run.stage not in (RunStage.RECOVERED, RunStage.FAILED)]
    if open_runs or record is None or _unknown(kill, record) or s.dirty_pods(kill):
        return wait("Recovering", f"{len(open_runs)} of {len(kill.runs)} runs have not recovered")
    return done("Settled", "no run and no old task is left to wait for")


KILL_TABLE: Final = (
    Step("sole-owner", "Refused", Condition.ACCEPTED, sole_owner),
    Step("release-found", "Refused", Condition.ACCEPTED, release_found),
    Step("kill-begun", "Killing", Condition.REVERTED, begun),
    Step("dags-held", "Killing", Condition.REVERTED, dags_held),
    Step("release-settled", "Killing", Condition.REVERTED, release_settled),
    Step("reverted", "Killing", Condition.REVERTED, reverted),
    Step("runs-stopped", "Recovering", Condition.RECOVERED, runs_stopped, blocking=False),
    Step("attempts-ended", "Recovering", Condition.RECOVERED, attempts_ended, blocking=False),
    Step("runs-cleared", "Recovering", Condition.RECOVERED, runs_cleared, blocking=False),
    Step("census-taken", "Recovering", Condition.RECOVERED, census_taken, blocking=False),
    Step("dags-released", "Recovering", Condition.RECOVERED, dags_released, blocking=False),
    Step("old-tasks-ended", "Recovering", Condition.RECOVERED, old_tasks_ended, blocking=False),
    Step("runs-recovered", "Recovering", Condition.RECOVERED, runs_recovered, blocking=False),
    Step("all-settled", "Recovering", Condition.RECOVERED, all_settled),
    Step("pods-replaced", "Recovering", Condition.REVERTED, pods_replaced),
    Step("pods-confirmed", "Recovering", Condition.REVERTED, pods_confirmed),
    Step("values-verified", "Recovering", Condition.RECOVERED, values_verified),
    Step("nothing-lost", "Recovering", Condition.RECOVERED, nothing_lost),
    Step("finished", "Recovering", Condition.RECOVERED, finished),
)


def _kill(s: Situation) -> Kill:
    if s.ledger.kill is None:
        raise LookupError("no kill has begun")
    return s.ledger.kill


def _view(s: Situation) -> AirflowView:
    return s.observed.airflow or AirflowView(error="Airflow's API was not asked")


def _baseline(s: Situation) -> BackendSettings:
    if s.ledger.baseline is not None:
        return s.ledger.baseline
    current = s.release.settings
    return current if current.is_database else BackendSettings()


def _purpose(kill: Kill) -> str:
    return f"kill-{kill.attempt}"


def _record(s: Situation, kill: Kill, note: str) -> WriteLedger:
    return WriteLedger(replace(s.ledger, kill=kill), note)


def _census(s: Situation) -> CensusRecord | None:
    """Return the latest census of this kill that was taken after its revert."""
    kill, record = _kill(s), s.ledger.census
    if record is None or not record.after_revert or kill.reverted_at is None:
        return None
    # Jobs carry whole seconds.
    return record if record.taken_at >= kill.reverted_at.replace(microsecond=0) else None


def _with_old_tasks(s: Situation, kill: Kill) -> frozenset[RunKey]:
    """Return runs with old task pods that the kill does not re-trigger (yet)."""
    return frozenset(pod.run for pod in s.dirty_pods(kill) if pod.run is not None)


def _unknown(kill: Kill, record: CensusRecord) -> frozenset[RunKey]:
    """Return runs that may have offloaded after the census, and are not re-triggered anyway."""
    return record.old_runs - {run.key for run in kill.runs}


def _ended_unseen(s: Situation, kill: Kill, record: CensusRecord) -> frozenset[RunKey]:
    """Return runs whose old tasks have ended since the census: it has to be taken again."""
    return _unknown(kill, record) - _with_old_tasks(s, kill)


def _must_hold(s: Situation, kill: Kill, dag: str) -> bool:
    record = _census(s)
    if record is None:
        return True
    unsafe = set(_unknown(kill, record) | _with_old_tasks(s, kill))
    unsafe |= {run.key for run in kill.runs if run.stage in (RunStage.FOUND, RunStage.STOPPED)}
    return any(run.dag_id == dag for run in unsafe)


def _holdable(s: Situation, view: AirflowView) -> tuple[str, ...]:
    active = {run.key.dag_id for run in view.runs if run.state in IN_FLIGHT}
    active |= {pod.run.dag_id for pod in s.task_pods if pod.run is not None}
    return tuple(sorted(active & view.unpaused_dags))


def _late_dags(s: Situation, kill: Kill, view: AirflowView) -> tuple[str, ...]:
    """Return DAGs that got an old task or an affected run after the holding list was made."""
    if kill.reverted_at is None:
        late = set(_holdable(s, view))
    else:
        late = {run.dag_id for run in _with_old_tasks(s, kill)}
        late |= {
            run.key.dag_id for run in kill.runs if run.stage in (RunStage.FOUND, RunStage.STOPPED)
        }
        late &= view.unpaused_dags
    return tuple(sorted(late - set(kill.held_dags)))


def _record_census(s: Situation, kill: Kill, job: ProbeJob, result: CensusResult) -> Finding:
    census = record_of(job, result, after_revert=True)
    known = {run.key for run in kill.runs}
    found = tuple(RecoveringRun(run.key, run.rows) for run in result.runs if run.key not in known)
    ledger = replace(s.ledger, census=census, kill=kill.with_runs(found))
    return act(
        "CensusTaken",
        f"{len(result.runs)} in-flight runs hold offloaded values"
        + (f"; new: {some([str(run.key) for run in found])}" if found else ""),
        WriteLedger(ledger, f"census {job.attempt}"),
    )


def _record_verification(s: Situation, kill: Kill, result: CensusResult) -> Finding:
    rows = {run.key: run.rows for run in result.runs if run.rows}
    spoilt = tuple(
        replace(
            run,
            stage=RunStage.FAILED,
            message=f"re-ran, and still holds {rows[run.key]} offloaded values",
        )
        for run in kill.runs
        if run.key in rows
    )
    census = s.ledger.census
    if census is not None:
        # A clear deletes no row: at the last census the runs still held those of their first try.
        healed = {run.key for run in kill.runs} - rows.keys()
        left = tuple(run for run in census.runs if run.key not in healed)
        census = replace(census, runs=left)
    verified = replace(kill.with_runs(spoilt), verified=True)
    return act(
        "ValuesVerified" if not spoilt else "ValuesStillOffloaded",
        f"{len(kill.runs) - len(spoilt)} of {len(kill.runs)} re-runs hold inline values only",
        WriteLedger(replace(s.ledger, kill=verified, census=census), "the verification"),
    )


def _api_unreachable(view: AirflowView, runs: list[RecoveringRun]) -> Finding:
    return hold(
        "AirflowApiUnreachable",
        f"{len(runs)} runs wait for Airflow's API: {view.error}; it is asked again and again",
        after=API_RETRY,
    )
