"""A pod that waits for questions, so that no question of a kill waits for a pod to start."""

from typing import Final

from xcom_rollout.decide.actions import EndStandby, RunJob
from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.kill.common import job, kill_of, purpose
from xcom_rollout.decide.observed import JobKind, JobState
from xcom_rollout.decide.situation import Situation
from xcom_rollout.decide.table import act, done

STANDBY: Final = "standby"


def standby(s: Situation) -> RunJob | None:
    """Return the Job of a pod like the scheduler's that waits; None where this round has had one.

    It is started together with the delivery that stops the writers, and runs when Helm is done.
    Where it does not start, or stops answering, Jobs are used instead: a kill never waits for it.
    """
    mine = purpose(kill_of(s), STANDBY)
    if any(entry.kind is JobKind.STANDBY and entry.digest == mine for entry in s.observed.jobs):
        return None
    return job(s, JobKind.STANDBY, STANDBY, ("standby",))


def standby_ended(s: Situation) -> Finding:
    """No standby pod is running: the last census has been taken."""
    waiting = tuple(
        entry.name
        for entry in s.observed.jobs
        if entry.kind is JobKind.STANDBY and entry.state is JobState.RUNNING
    )
    if waiting:
        return act("StandbyEnded", "no more questions follow", EndStandby(waiting))
    return done("StandbyEnded", "no more questions follow")
