"""Helpers of the steps of a kill: the current kill, its runs, and its view of Airflow."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from xcom_rollout.decide.actions import RunJob, WriteLedger
from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.ledger import Kill, RecoveringRun, RunKey, RunStage, Strategy
from xcom_rollout.decide.observed import AirflowView, JobKind
from xcom_rollout.decide.probe_jobs import ProbeRequest, request_job
from xcom_rollout.decide.rolling import web_server_rolls
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.decide.situation import Situation, some
from xcom_rollout.decide.table import hold, wait

IN_FLIGHT: Final = frozenset({"running", "queued"})
BATCH: Final = 50
"""Runs, pods or DAGs that one action covers at most, so that progress is seen and recorded."""
RECORD_BATCH: Final = 250
"""Outcomes of runs that are recorded at once while other runs are still to be tried: a record is
the whole ledger. What is not on record yet is seen in Airflow again."""
EMPTY_BATCH: Final = 2000
"""Runs that one Job covers at most: their list is a ConfigMap."""
_PURPOSE: Final = "kill-"
API_RETRY: Final = timedelta(seconds=2)
UNSEEN_PATIENCE: Final = timedelta(seconds=30)
"""How long a worker that does not answer is assumed to be ending, or busy."""
STUCK_TRIES: Final = 5
"""Tries after which a run is reported as one that needs a person: some 90 s, because a restart of
the web server alone must not cause an alert."""
STUCK_TIME: Final = timedelta(minutes=5)
"""How long a run is not reported while all its failures are unrelated to it."""

FOUND: Final = "found"
FROZEN: Final = "frozen"
LAST: Final = "last"
OVERDUE: Final = "overdue"
FINISHED: Final = "finished"


def kill_of(s: Situation) -> Kill:
    """Return the kill in progress.

    Raises:
        LookupError: no kill has started; a step was placed before `kill-begun`.
    """
    if s.ledger.kill is None:
        raise LookupError("no kill has started")
    return s.ledger.kill


def view_of(s: Situation) -> AirflowView:
    return s.observed.airflow or AirflowView(error="Airflow's API was not asked")


def baseline_of(s: Situation) -> BackendSettings:
    """Return the settings that a kill restores."""
    if s.ledger.baseline is not None:
        return s.ledger.baseline
    current = s.release.settings
    return current if current.is_database else BackendSettings()


def record(s: Situation, kill: Kill, note: str) -> WriteLedger:
    return WriteLedger(replace(s.ledger, kill=kill), note)


def purpose(kill: Kill, moment: str) -> str:
    """Return what a Job of this kill is bound to: its answer is valid for one round and moment."""
    return f"{_PURPOSE}{kill.attempt}.{kill.round}-{moment}"


def is_of_a_kill(action: RunJob) -> bool:
    """Whether a Job belongs to a kill."""
    return action.digest.startswith(_PURPOSE)


def nothing_delivered(s: Situation) -> bool:
    """Whether nobody has delivered the object storage backend, or not since a resume.

    Rows from before a resume were healed by the kill that preceded it.
    """
    return (
        s.release.settings.is_database
        and not s.half_delivered
        and s.ledger.delivered is None
        and not s.ledger.offloaded_by_others
    )


def is_immediate(kill: Kill) -> bool:
    return kill.strategy is Strategy.IMMEDIATE


def staged(kill: Kill, *stages: RunStage) -> list[RecoveringRun]:
    return [run for run in kill.runs if run.stage in stages]


def is_unread(s: Situation, run: RecoveringRun) -> bool:
    """Whether Airflow refuses to return a run: nothing may be done to it, nor be concluded."""
    return run.key in view_of(s).unread


def readable(s: Situation, runs: Iterable[RecoveringRun]) -> list[RecoveringRun]:
    return [run for run in runs if not is_unread(s, run)]


def due(s: Situation, runs: Iterable[RecoveringRun]) -> list[RecoveringRun]:
    """Return the runs whose next try is not put off."""
    return [run for run in runs if run.next_try is None or run.next_try <= s.now]


def next_look(s: Situation, runs: Iterable[RecoveringRun], *, seconds: float = 1) -> float:
    """Return in how many seconds the first of these runs is due; `seconds` where one is now."""
    waits = [
        (run.next_try - s.now).total_seconds() if run.next_try is not None else seconds
        for run in runs
    ]
    return max(seconds, min(waits, default=seconds))


def names(runs: Iterable[RecoveringRun]) -> list[RunKey]:
    return [run.key for run in runs]


def job(
    s: Situation,
    kind: JobKind,
    moment: str,
    arguments: tuple[str, ...],
    *,
    runs: Iterable[RunKey] = (),
    deadline: timedelta | None = None,
) -> RunJob:
    """Return the action that starts a Job of this kill, for every base that was delivered."""
    return request_job(
        s,
        ProbeRequest.of_scheduler(kind, purpose(kill_of(s), moment)),
        arguments,
        runs=tuple(runs),
        deadline=deadline,
    )


def tasks_unseen(s: Situation) -> Finding | None:
    """Return what holds where some task pods cannot be seen: some may be left then.

    An attempt that is not seen would overwrite the row of the re-run.
    """
    unseen, since = s.observed.unseen_tasks, s.observed.unseen_since
    if not unseen:
        return None
    if since is not None and s.now - since < UNSEEN_PATIENCE:
        return wait("TasksNotVisible", unseen, seconds=API_RETRY.total_seconds())
    return hold("TasksNotVisible", unseen)


def api_unreachable(s: Situation, which: Sequence[object], what: str = "runs") -> Finding:
    """Return the finding for `which` that wait for Airflow's API.

    It does not hold while the kill's own delivery replaces the web server.

    Args:
        which: the names of what waits.
        what: what they name.
    """
    message = (
        f"{len(which)} {what} wait for Airflow's API: {view_of(s).error}; the operator "
        "keeps retrying"
    )
    named = f". Affected: {some(which)}"
    kill = kill_of(s)
    if web_server_rolls(s, kill.reverted_at or kill.writers_stopped_at or kill.engaged_at):
        return wait(
            "AirflowApiUnreachable",
            f"{message}. The pods of the web server are being replaced{named}",
            seconds=API_RETRY.total_seconds(),
        )
    return hold("AirflowApiUnreachable", f"{message}{named}", after=API_RETRY)


def healed(run: RecoveringRun, message: str) -> RecoveringRun:
    """Return a run that no longer needs anything, and why."""
    return replace(run.at(RunStage.HEALED), message=message)
