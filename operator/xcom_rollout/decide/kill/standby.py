"""A pod that waits to be asked, so that no question of a kill waits for a pod to start."""

from typing import Final

from xcom_rollout.decide.actions import EndStandby
from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.kill.common import LAST, job, kill_of, nothing_delivered, purpose
from xcom_rollout.decide.observed import JobKind, JobState
from xcom_rollout.decide.situation import Situation
from xcom_rollout.decide.table import act, done

STANDBY: Final = "standby"


def standby(s: Situation) -> Finding:
    """A pod like the scheduler's runs beside it, and is asked what a Job would be sent for.

    It is started once in a round, while Helm has yet to work. Where it does not come, or answers
    no more, Jobs are sent instead: a kill never waits for it.
    """
    kill = kill_of(s)
    mine = [
        entry
        for entry in s.observed.jobs
        if entry.kind is JobKind.STANDBY and entry.state is JobState.RUNNING
    ]
    if nothing_delivered(s) or LAST in kill.counted:
        if mine:
            return act(
                "StandbyEnded", "nothing more is asked", EndStandby(tuple(e.name for e in mine))
            )
        return done("NoStandby", "nothing is asked")
    if kill.writers_stopped_at is None and not any(
        entry.digest == purpose(kill, STANDBY)
        for entry in s.observed.jobs
        if entry.kind is JobKind.STANDBY
    ):
        return act(
            "StandbyStarted",
            "a pod is started that questions can be put to",
            job(s, JobKind.STANDBY, STANDBY, ("standby",)),
        )
    return done("Standby", "questions are put to a pod that waits, or sent as Jobs")
