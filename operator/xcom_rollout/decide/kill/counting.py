"""Count the in-flight runs that hold offloaded values, at three moments of a kill.

`found`: as soon as nothing new is offloaded, so that healing begins at once. `frozen`: when no
process is left that could offload, so that none can be missed. `last`: with the database backend
delivered, for what the other two have missed.
"""

from dataclasses import replace
from datetime import timedelta
from operator import attrgetter
from typing import Final

from xcom_rollout.decide.actions import WriteLedger
from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.kill.common import (
    FOUND,
    FROZEN,
    IN_FLIGHT,
    LAST,
    OVERDUE,
    job,
    kill_of,
    names,
    nothing_delivered,
    purpose,
    view_of,
)
from xcom_rollout.decide.kill.outcomes import was_cleared
from xcom_rollout.decide.kill.writers import next_round, overdue_runs, overdue_seen
from xcom_rollout.decide.ledger import (
    SAFE_STAGES,
    Kill,
    OffloadedRun,
    RecoveringRun,
    RunKey,
    RunStage,
)
from xcom_rollout.decide.observed import CensusResult, JobKind, ProbeJob
from xcom_rollout.decide.probe_jobs import (
    JOB_RETRY,
    Answered,
    Failed,
    ProbeRequest,
    Running,
    census_arguments,
    newest_attempt,
    record_of,
)
from xcom_rollout.decide.situation import Situation, some
from xcom_rollout.decide.table import act, done, hold, wait

OVERDUE_AGAIN: Final = timedelta(minutes=1)
"""How soon runs are looked up again that are not in flight but still have old pods."""


def found_counted(s: Situation) -> Finding:
    """The runs with offloaded values were counted once; healing need not wait for more."""
    kill = kill_of(s)
    if nothing_delivered(s) or FOUND in kill.counted or FROZEN in kill.counted:
        return done("CensusTaken", f"{len(kill.runs)} runs are healed")
    return _count(s, kill, FOUND)


def frozen_counted(s: Situation) -> Finding:
    """The runs were counted again after the last process that could offload had ended."""
    kill = kill_of(s)
    if nothing_delivered(s) or FROZEN in kill.counted:
        return done("CensusTaken", f"{len(kill.runs)} runs are healed; no more runs can be added")
    if not kill.writers_gone:
        return wait(
            "WaitingForWriters", "runs are counted again when no process can offload", seconds=2
        )
    return _count(s, kill, FROZEN)


def overdue_counted(s: Situation) -> Finding:
    """Runs whose old tasks outlast `spec.killSwitch.stopTasksAfter` are healed as well.

    They are looked up first: the type of each run, and which runs wait for it.
    """
    kill, overdue = kill_of(s), overdue_runs(s)
    if (look := overdue_seen(s)) is not None:
        return look
    if not overdue:
        return done("NoTaskOverdue", "no old task exceeds its limit")
    listed = some(overdue)
    last = s.ledger.census
    if last is not None and last.purpose == purpose(kill, OVERDUE):
        again = last.taken_at + OVERDUE_AGAIN
        if s.now < again:
            return wait(
                "OldTasksOverdue",
                f"old tasks of {listed} remain although their runs are not in flight; the next "
                f"check is at {again:%H:%M:%SZ}",
                seconds=(again - s.now).total_seconds(),
            )
    return _count(
        s,
        kill,
        OVERDUE,
        asked=overdue,
        why=f"checking {listed}, whose tasks exceeded spec.killSwitch.stopTasksAfter "
        f"({s.spec.kill_switch.stop_tasks_after})",
    )


def last_counted(s: Situation) -> Finding:
    """With the database backend delivered, no run in flight holds a path."""
    kill = kill_of(s)
    if nothing_delivered(s) or LAST in kill.counted:
        return done("Verified", "no run in flight holds an offloaded value")
    return _count(s, kill, LAST)


def _count(
    s: Situation,
    kill: Kill,
    moment: str,
    *,
    asked: tuple[RunKey, ...] = (),
    why: str = "counting the in-flight runs that hold offloaded values",
) -> Finding:
    request = ProbeRequest.of_scheduler(JobKind.CENSUS, purpose(kill, moment))
    match newest_attempt(s, request, CensusResult, retry=JOB_RETRY):
        case Running(job=running):
            return wait("CensusRunning", why + (f" ({running.message})" if running.message else ""))
        case Answered(job=answered, result=result):
            if moment == LAST:
                return _record_last(s, kill, answered, result)
            return _record_count(s, kill, moment, answered, result)
        case Failed(why=problem, again=again):
            return hold(
                "CensusFailed",
                f"the census failed: {problem}; the next try is at {again:%H:%M:%SZ}",
                after=max(again - s.now, JOB_RETRY),
            )
    return act("TakingCensus", why, job(s, JobKind.CENSUS, moment, census_arguments(s), runs=asked))


def _record_count(
    s: Situation, kill: Kill, moment: str, answered: ProbeJob, result: CensusResult
) -> Finding:
    overdue = moment == OVERDUE
    held = tuple(run for run in result.runs if run.rows)
    census = replace(record_of(answered, result), runs=held)
    by_key = {run.key: run for run in kill.runs}
    found = [
        entry
        for seen in result.runs
        if (not overdue or seen.state in IN_FLIGHT)
        and (entry := _taken_up(s, kill, by_key.get(seen.key), seen)) is not None
    ]
    # More tasks may become overdue; the other moments occur once in a round.
    done_with = kill.counted if overdue else (*kill.counted, moment)
    counted = replace(kill.with_runs(tuple(found)), counted=done_with)
    return act(
        "OldTasksOverdue" if overdue else "CensusTaken",
        f"{len(held)} in-flight runs hold offloaded values"
        + (f"; new: {some(names(found))}" if found else ""),
        WriteLedger(replace(s.ledger, census=census, kill=counted), f"census {answered.attempt}"),
    )


def _taken_up(
    s: Situation, kill: Kill, known: RecoveringRun | None, seen: OffloadedRun
) -> RecoveringRun | None:
    """Return the run to be healed; None where it is being healed already.

    A census may be older than what is on record by now: a run is never put back to a stage at which
    the ledger would forget that the kill stopped it.
    """
    new = RecoveringRun(
        seen.key, seen.rows, run_type=seen.run_type, waited_for_by=seen.waited_for_by
    )
    if known is None:
        return new
    if known.stage not in SAFE_STAGES:
        return None
    now = view_of(s).run(known.key)
    if known.stage is RunStage.EMPTIED:
        failed = known.error and not known.unread
        tried = failed or (now is not None and was_cleared(known, now))
        return None if tried else replace(known.at(RunStage.STOPPED), was_emptied=True)
    if known.stage is not RunStage.HEALED and now is not None and now.state not in IN_FLIGHT:
        return None  # its re-run has ended since
    if known.cleared_round == kill.round:
        return replace(
            known,
            stage=RunStage.DRAINING,
            message="it was cleared, and a process that was not yet replaced offloaded one of its "
            "values; it runs to its end",
        )
    return replace(new, cleared_round=known.cleared_round, spoilt=known.spoilt)


def _record_last(s: Situation, kill: Kill, answered: ProbeJob, result: CensusResult) -> Finding:
    holding = {run.key: run for run in result.runs if run.rows and run.state in IN_FLIGHT}
    rerun = [
        run
        for run in kill.runs
        if run.key in holding
        and run.stage in (RunStage.CLEARED, RunStage.RECOVERED, RunStage.FAILED)
    ]
    # Healed once more: a write may have come late. The second time the run itself is the cause.
    spoilt = tuple(
        replace(
            run,
            stage=RunStage.FAILED,
            message=f"it was emptied twice, ran again, and holds {holding[run.key].rows} paths "
            "again; check whether its own code returns such a string",
        )
        for run in rerun
        if run.spoilt
    )
    # By their texts: there may be ten thousand, and to compare the keys takes four times as long.
    missed = sorted(
        holding.keys() - {run.key for run in spoilt}, key=attrgetter("dag_id", "run_id")
    )
    census = record_of(answered, result)
    if missed:
        marked = tuple(replace(run, spoilt=True) for run in rerun if not run.spoilt)
        again = next_round(kill.with_runs(marked))
        return act(
            "RunsMissed",
            f"{some(missed)} are in flight and hold offloaded values, which was not expected: the "
            "operator makes every process able to read them again, then heals these runs",
            WriteLedger(replace(s.ledger, census=census, kill=again), f"round {again.round}"),
        )
    checked = replace(kill.with_runs(spoilt), counted=(*kill.counted, LAST), verified=True)
    return act(
        "Verified" if not spoilt else "ValuesStillOffloaded",
        f"{len(holding)} in-flight runs hold offloaded values",
        WriteLedger(replace(s.ledger, census=census, kill=checked), "the last census"),
    )
