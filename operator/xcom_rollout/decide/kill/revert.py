"""Revert: deliver the database backend when nothing that runs can get a path, and verify it."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from xcom_rollout.decide.actions import SetFinalizer, SetValues, UnpauseDags, WriteLedger
from xcom_rollout.decide.confirming import fleet_confirmed
from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.kill.common import (
    API_RETRY,
    BATCH,
    FINISHED,
    FROZEN,
    IN_FLIGHT,
    api_unreachable,
    baseline_of,
    is_immediate,
    is_unread,
    job,
    kill_of,
    names,
    nothing_delivered,
    purpose,
    readable,
    record,
    staged,
    view_of,
)
from xcom_rollout.decide.kill.writers import next_round
from xcom_rollout.decide.ledger import (
    ENDED_STAGES,
    SAFE_STAGES,
    FinishedRuns,
    Kill,
    RecoveringRun,
    RunStage,
)
from xcom_rollout.decide.observed import (
    CensusResult,
    FinishedValues,
    JobKind,
    ProbeJob,
    RehydrateResult,
)
from xcom_rollout.decide.probe_jobs import (
    JOB_RETRY,
    Answered,
    Due,
    Failed,
    ProbeRequest,
    Running,
    census_arguments,
    newest_attempt,
    rehydrate_arguments,
)
from xcom_rollout.decide.release_steps import layout_unknown
from xcom_rollout.decide.rolling import fleet_rolled, no_longer_patient
from xcom_rollout.decide.situation import Situation, some
from xcom_rollout.decide.table import act, done, hold, wait

COPY_DEADLINE: Final = timedelta(hours=1)
"""How long one Job copies values of finished runs; the next one continues."""
COPY_SECONDS: Final = "3000"
COPY_RETRY: Final = timedelta(minutes=2)
"""How soon values that could not be copied are tried again."""
COUNT_AGAIN: Final = {
    FinishedRuns.HOLD: timedelta(minutes=10),
    FinishedRuns.ACCEPT: timedelta(minutes=1),
}
"""How soon values of finished runs are counted again, while people may copy or clear them."""
RERUN_PATIENCE: Final = timedelta(hours=2)
"""How long re-runs may take before that is reported."""
HELD_PATIENCE: Final = timedelta(minutes=5)
"""How long DAGs are paused by the operator before that is reported."""
QUEUED_PATIENCE: Final = timedelta(minutes=15)
"""How long a cleared run may stay queued before that is reported."""


def all_safe(s: Situation) -> Finding:
    """No run in flight holds an offloaded value, or every one that does is stopped and emptied."""
    kill = kill_of(s)
    if nothing_delivered(s):
        return done("RunsSafe", "no value was ever offloaded")
    unsafe = [run for run in kill.runs if run.stage not in SAFE_STAGES]
    if unsafe:
        return wait(
            "Recovering",
            f"{len(unsafe)} of {len(kill.runs)} runs may still read offloaded values: "
            + some(unsafe, words=lambda run: f"{run.key} ({run.stage})"),
            seconds=2,
        )
    if FROZEN not in kill.counted:
        return wait("Recovering", "the last process that could offload has not ended", seconds=2)
    return done("RunsSafe", f"{len(kill.runs)} runs no longer hold an offloaded value")


def finished_values(s: Situation) -> Finding:
    """What happens to offloaded values of finished runs is settled, as the spec says.

    A run that ended and was then cleared by a person is in flight and holds paths, although nobody
    can write new ones by now: Rehydrate copies those back, too; the other policies count them.
    """
    kill = kill_of(s)
    policy = FinishedRuns(s.spec.kill_switch.finished_runs)
    if nothing_delivered(s):
        return done("FinishedRunsSettled", "no value was ever offloaded")
    if kill.reverting or kill.finished_values:
        left = "left unchanged: the strategy is Immediate" if is_immediate(kill) else "settled"
        return done("FinishedRunsSettled", kill.finished_values or left)
    if policy is not FinishedRuns.REHYDRATE:
        return _count_finished(s, kill, policy)
    request = ProbeRequest.of_scheduler(JobKind.REHYDRATE, purpose(kill, FINISHED))
    match newest_attempt(
        s, request, RehydrateResult, retry=JOB_RETRY, recorded=kill.rehydrated_attempt
    ):
        case Running():
            return wait(
                "RehydratingFinishedRuns",
                "copying offloaded values of finished runs back into the database",
                seconds=2,
            )
        case Answered(job=answered, result=result):
            looked_at = answered.finished_at or answered.created_at
            if not result.failed_rows or s.now < looked_at + COPY_RETRY:
                return _record_finished(s, kill, answered.attempt, result)
        case Failed(why=why, again=again):
            return hold(
                "FinishedRunsRemain",
                f"offloaded values of finished runs could not be copied back: {why}. Every "
                f"process can still read them; the next try is at {again:%H:%M:%SZ}. To revert "
                "without them, set spec.killSwitch.finishedRuns to Accept: a task that reads such "
                "a value then gets a path",
                after=max(again - s.now, JOB_RETRY),
            )
        case Due():
            pass
    return act(
        "RehydratingFinishedRuns",
        "copying offloaded values of finished runs back into the database",
        job(
            s,
            JobKind.REHYDRATE,
            FINISHED,
            (*rehydrate_arguments(s), "--all", "--limit-seconds", COPY_SECONDS),
            deadline=COPY_DEADLINE,
        ),
    )


def reverted(s: Situation) -> Finding:
    """The settings from before the flip are delivered."""
    kill, baseline = kill_of(s), baseline_of(s)
    there = s.release.settings == baseline and not s.half_delivered
    if kill.reverted_at is not None and there:
        return done("Reverted", f"the {baseline.describe()} is delivered")
    if there and s.release.status == "deployed" and (kill.reverting or nothing_delivered(s)):
        ledger = replace(s.ledger, kill=replace(kill, reverting=True, reverted_at=s.now))
        if not nothing_delivered(s):
            ledger = replace(
                ledger,
                delivered=s.delivered_now,
            )
        return act(
            "Reverted",
            f"the {baseline.describe()} is delivered",
            WriteLedger(ledger, f"the revert in revision {s.release.revision}"),
        )
    if not kill.reverting:
        return act(
            "Reverting",
            f"no run in flight needs the object storage backend: the {baseline.describe()} is "
            "delivered next",
            record(s, replace(kill, reverting=True), "the revert is about to be delivered"),
        )
    return act(
        "Reverting",
        f"delivering the {baseline.describe()}",
        SetValues(baseline, s.release.revision, way_back=True),
    )


def dags_released(s: Situation) -> Finding:
    """A DAG that the operator paused runs again as soon as none of its tasks can get a path."""
    kill, view = kill_of(s), view_of(s)
    waiting = list(kill.dags_still_held)
    if not waiting:
        return done("DagsReleased", "no DAG is paused by the operator")
    if view.error:
        return api_unreachable(s, waiting, "DAGs that the operator paused")
    unsafe = _dags_at_risk(s, kill, waiting)
    blind = [dag for dag in waiting if dag in view.unread_dags]
    safe = [dag for dag in waiting if dag not in unsafe and dag not in blind]
    paused = [dag for dag in safe if dag in view.paused_dags]
    if paused:
        return act("ReleasingDags", f"unpausing {some(paused)}", UnpauseDags(tuple(paused[:BATCH])))
    if safe:
        return act(
            "DagsReleased",
            f"{some(safe)} run again",
            record(
                s,
                replace(kill, released_dags=(*kill.released_dags, *safe)),
                f"{len(safe)} DAGs released",
            ),
        )
    if blind:
        return hold(
            "DagsHeld",
            f"{len(blind)} DAGs that the operator paused cannot be read, so it is not known "
            "whether they are still paused: "
            + some(blind, words=lambda dag: f"{dag} ({view.unread_dags[dag]})")
            + "; they are unpaused as soon as they can be read",
            after=API_RETRY,
        )
    since = kill.writers_stopped_at
    if since is not None and s.now - since >= HELD_PATIENCE:
        old = sorted({str(pod.run) for pod in s.dirty_pods(kill)})
        return hold(
            "DagsHeld",
            f"{len(waiting)} DAGs are paused by the operator: {some(waiting)}. They are unpaused "
            "when the tasks that started before the kill have ended: "
            f"{some(old) if old else 'none is left'}. If these tasks wait for a paused DAG, set "
            "spec.killSwitch.stopTasksAfter, or stop them",
        )
    return wait("DagsHeld", f"{len(waiting)} DAGs are paused: {some(waiting)}", seconds=2)


def pods_replaced(s: Situation) -> Finding:
    """Every long-lived pod has been replaced."""
    rolled = fleet_rolled(s)
    return no_longer_patient(s, rolled, kill_of(s).reverted_at)


def pods_confirmed(s: Situation) -> Finding:
    """A process inside each pod loads the database backend."""
    return fleet_confirmed(s, baseline_of(s))


def runs_recovered(s: Situation) -> Finding:
    """Every cleared run has ended again, or waits because a person paused its DAG."""
    kill, view = kill_of(s), view_of(s)
    watched = staged(kill, RunStage.CLEARED, RunStage.FAILED)
    if watched and view.error:
        return api_unreachable(s, names(watched))
    marks = [marked for run in readable(s, watched) if (marked := _rerun(s, run)) is not None]
    if marks:
        return act(
            "RunsEnded",
            some(marks, words=lambda run: f"{run.key}: {run.stage}"),
            record(s, kill.with_runs(tuple(marks)), f"{len(marks)} re-runs ended"),
        )
    ours = frozenset(kill.dags_still_held)
    going_on = [run for run in kill.runs if run.stage not in ENDED_STAGES]
    waits = [run for run in going_on if _waits(s, run, ours)]
    running = [run for run in going_on if not _waits(s, run, ours)] if waits else going_on
    idle = [run for run in running if _is_queued(s, run)]
    lost = [run for run in idle if run.key.dag_id in view.missing_dags]
    if lost:
        return hold(
            "RunsNotScheduled",
            f"{some(names(lost))} were cleared and Airflow no longer knows their DAGs: restore "
            f"the file of {lost[0].key.dag_id}, or delete the runs",
        )
    since = kill.queued_at
    if idle and since is not None and s.now - since >= QUEUED_PATIENCE:
        return hold(
            "RunsNotScheduled",
            f"{some(names(idle))} were cleared and have been queued since {since:%H:%M:%SZ}: "
            "check that Airflow's scheduler is running and that max_active_runs of their DAGs is "
            "not exhausted; the kill then continues"
            + "".join(
                f". The DAG {dag} cannot be read: {why}"
                for dag, why in sorted(view.unread_dags.items())
                if dag in {run.key.dag_id for run in idle}
            ),
        )
    if running and since is not None and s.now - since >= RERUN_PATIENCE:
        return hold(
            "RunsRecovering",
            f"{some(names(running))} were queued again at {since:%H:%M:%SZ} and have not ended; "
            "check in Airflow what they wait for",
        )
    if running:
        ended = len(kill.runs) - len(running)
        return wait(
            "RunsRecovering",
            f"{ended} of {len(kill.runs)} runs have run again; waiting for " + some(names(running)),
            seconds=2,
        )
    paused = sorted({run.key.dag_id for run in waits})
    return done(
        "RunsEnded",
        f"{len(kill.runs)} runs are healed"
        + (
            f"; runs of {some(paused)} are queued because a person paused these DAGs"
            if paused
            else ""
        ),
    )


def no_run_lost(s: Situation) -> Finding:
    """A run that did not recover is listed, and keeps the rollout stalled."""
    failed = staged(kill_of(s), RunStage.FAILED)
    if failed:
        return hold(
            "RunsNotRecovered",
            f"{some([f'{run.key} ({run.message})' for run in failed])}. Fix the cause and clear "
            "the run in Airflow; the operator notices when it succeeds. Keep the objects in the "
            "bucket until then",
        )
    return done("NoRunLost", "every re-triggered run has recovered")


def finished(s: Situation) -> Finding:
    """The end of the kill is on record, and the resource may be deleted."""
    kill = kill_of(s)
    if kill.finished_at is None:
        return act(
            "KillFinished",
            f"kill {kill.attempt} is finished: {len(kill.runs)} runs healed",
            record(s, replace(kill, finished_at=s.now), f"the end of kill {kill.attempt}"),
        )
    if s.observed.rollout.finalized:
        return act("KillFinished", "the resource may be deleted", SetFinalizer(False))
    queued = staged(kill, RunStage.CLEARED)
    spoilt = [run for run in kill.runs if run.spoilt and run.message]
    took = int((kill.finished_at - kill.engaged_at).total_seconds())
    parents = sorted(
        {str(key) for run in kill.runs if run.cleared_round for key in run.waited_for_by}
    )
    return done(
        "Reverted",
        f"the database backend is restored and {len(kill.runs)} runs were healed in {took} s"
        + (
            f"; check whether {some(parents)} failed together with a run they waited for"
            if parents
            else ""
        )
        + (
            f"; {some(names(spoilt))} held paths repeatedly: check what they passed on"
            if spoilt
            else ""
        )
        + (
            f"; {some(names(queued))} are queued because a person paused their DAGs"
            if queued
            else ""
        )
        + "; to flip again: kubectl xbr resume",
    )


def still_reverted(s: Situation) -> Finding:
    """The release holds what the finished kill delivered."""
    current, baseline = s.release.settings, baseline_of(s)
    if s.release.layout_problem and s.ledger.delivered is not None:
        return layout_unknown(s)
    if current.serves_as(baseline):
        return done("Reverted", f"the {baseline.describe()} is delivered")
    return hold(
        "Drifted",
        f"revision {s.release.revision} of the release holds the {current.describe()}, but the "
        f"kill-switch delivered the {baseline.describe()}: somebody changed it. Change it back "
        "with helm upgrade, or let the rollout flip again: kubectl xbr resume "
        f"{s.observed.rollout.name}",
    )


def _rerun(s: Situation, run: RecoveringRun) -> RecoveringRun | None:
    """Return the new state of a re-run; None where it has not changed."""
    seen = view_of(s).run(run.key)
    if seen is None:
        return replace(run, stage=RunStage.HEALED, message="deleted from Airflow")
    beyond = run.spoilt and run.stage is RunStage.FAILED
    if seen.state == "success":
        return replace(run, stage=RunStage.RECOVERED, message=run.message if beyond else "")
    if beyond:
        return None
    if seen.state == "failed" and run.stage is RunStage.CLEARED:
        return replace(run, stage=RunStage.FAILED, message="the re-run failed")
    if seen.state in IN_FLIGHT and run.stage is RunStage.FAILED:
        return replace(run, stage=RunStage.CLEARED, message="")
    return None


def _is_queued(s: Situation, run: RecoveringRun) -> bool:
    seen = view_of(s).run(run.key)
    return run.stage is RunStage.CLEARED and seen is not None and seen.state == "queued"


def _waits(s: Situation, run: RecoveringRun, ours: frozenset[str]) -> bool:
    """Whether a cleared run waits because a person, not the operator (`ours`), paused its DAG."""
    dag = run.key.dag_id
    if is_unread(s, run):
        return False  # it may have run again, and failed
    return run.stage is RunStage.CLEARED and dag in view_of(s).paused_dags and dag not in ours


def _dags_at_risk(s: Situation, kill: Kill, dags: list[str]) -> frozenset[str]:
    """Return those of the DAGs paused by the operator of which a task could get a path."""
    if nothing_delivered(s):
        return frozenset()
    if not is_immediate(kill):
        return frozenset(dags if kill.writers_stopped_at is None else ())
    if FROZEN not in kill.counted:
        return frozenset(dags)
    return frozenset(run.key.dag_id for run in kill.runs if run.stage not in SAFE_STAGES)


def _settle(s: Situation, kill: Kill, how: str) -> Finding:
    return act(
        "FinishedRunsSettled",
        f"offloaded values of finished runs: {how}",
        record(s, replace(kill, finished_values=how), f"finished runs: {how}"),
    )


def _record_finished(s: Situation, kill: Kill, attempt: int, result: RehydrateResult) -> Finding:
    counted = replace(kill, rehydrated_attempt=attempt)
    if result.remaining:
        return act(
            "RehydratingFinishedRuns",
            f"{result.copied} values are copied back into the database, {result.remaining} remain",
            record(s, counted, f"{result.copied} values copied back"),
        )
    if result.failed_rows:
        listed = some([f"{key}: {why}" for key, why in result.failed], most=3)
        return hold(
            "FinishedRunsRemain",
            f"{result.failed_rows} offloaded values of finished runs cannot be copied back: "
            f"{listed}. The operator keeps retrying. Restore the objects, or set "
            "spec.killSwitch.finishedRuns to Accept: a task that reads such a value then gets a "
            "path",
        )
    how = f"{result.copied} values copied back into the database"
    return act(
        "FinishedRunsSettled",
        f"offloaded values of finished runs: {how}",
        record(s, replace(counted, finished_values=how), f"finished runs: {how}"),
    )


def _count_finished(s: Situation, kill: Kill, policy: FinishedRuns) -> Finding:
    request = ProbeRequest.of_scheduler(JobKind.CENSUS, purpose(kill, FINISHED))
    match newest_attempt(s, request, CensusResult, retry=JOB_RETRY):
        case Running():
            return wait("CountingFinishedRuns", "counting offloaded values of finished runs")
        case Answered(job=answered, result=result) if _counts(s, answered, result, policy):
            again = [run.key for run in result.runs if run.rows and run.state in IN_FLIGHT]
            if again:
                return act(
                    "RunsMissed",
                    f"{some(again)} are in flight and hold offloaded values, as a finished run "
                    "does that a person clears: they are healed first",
                    record(s, next_round(kill), f"round {kill.round + 1}: runs in flight again"),
                )
            if policy is FinishedRuns.ACCEPT:
                return _settle(s, kill, "accepted by spec.killSwitch.finishedRuns")
            seen = result.finished or FinishedValues(runs=0, rows=0)
            if not seen.rows:
                return _settle(s, kill, "there are none")
            return hold(
                "FinishedRunsRemain",
                f"{seen.rows} offloaded values of {seen.runs} finished runs remain (DAGs: "
                f"{some(list(seen.dags))}), and spec.killSwitch.finishedRuns is Hold. Every "
                "process can read them and nothing more is offloaded, so it is safe to stay in "
                "this state. To revert, set it to Rehydrate or Accept",
            )
        case Failed(why=why, again=again):
            return hold(
                "CensusFailed",
                f"offloaded values of finished runs could not be counted: {why}; the next try is "
                f"at {again:%H:%M:%SZ}",
                after=max(again - s.now, JOB_RETRY),
            )
    finished = ("--finished",) if policy is FinishedRuns.HOLD else ()
    return act(
        "CountingFinishedRuns",
        "counting offloaded values of finished runs",
        job(s, JobKind.CENSUS, FINISHED, (*census_arguments(s), *finished)),
    )


def _counts(s: Situation, answered: ProbeJob, result: CensusResult, policy: FinishedRuns) -> bool:
    """Whether an answer is current and covers everything that was asked."""
    young = s.now < (answered.finished_at or answered.created_at) + COUNT_AGAIN[policy]
    return young and (policy is FinishedRuns.ACCEPT or result.finished is not None)
