"""The decision: one pure function from what was seen to what to do."""

from dataclasses import replace
from datetime import datetime

from xcom_rollout.api.names import Condition
from xcom_rollout.decide.actions import SetFinalizer, WriteLedger
from xcom_rollout.decide.aside import Asides
from xcom_rollout.decide.decision import Decision, Finding
from xcom_rollout.decide.kill.table import FINISHED_TABLE, KILL_TABLE
from xcom_rollout.decide.kill.writers import new_kill
from xcom_rollout.decide.ledger import Kill, Ledger
from xcom_rollout.decide.observed import Observed
from xcom_rollout.decide.release_steps import release_exists, sole_owner
from xcom_rollout.decide.rollout_table import ROLLOUT_TABLE
from xcom_rollout.decide.situation import Situation
from xcom_rollout.decide.table import Step, act, done, evaluate

MOST_PAST_KILLS = 20


def decide(observed: Observed, now: datetime, asides: Asides | None = None) -> Decision:
    """Return what to do next about one rollout, and what to report.

    Args:
        asides: steps whose action failed lately.

    Pure: the same world and time give the same decision. A kill that has begun is carried to its
    end even if the request is taken back or the resource is deleted meanwhile; a finished one
    stays until then.
    """
    situation = Situation(observed, now, asides or {})
    rollout, kill = observed.rollout, observed.ledger.kill
    open_kill = kill is not None and kill.finished_at is None
    if rollout.deleting and not open_kill:
        return evaluate(_DELETED_TABLE, "Deleted", situation)
    if kill is not None and not open_kill and situation.kill_request is None:
        return evaluate(_RESUMED_TABLE, "Preparing", situation)
    if open_kill or situation.kill_request is not None:
        if kill is None or open_kill:
            return evaluate(KILL_TABLE, "Reverted", situation)
        offloads_again = observed.release is not None and observed.release.settings.reads_offloaded
        table = _ENGAGED_AGAIN_TABLE if offloads_again else FINISHED_TABLE
        return evaluate(table, "Reverted", situation)
    return evaluate(ROLLOUT_TABLE, "Live", situation)


def _resumed(s: Situation) -> Finding:
    if s.observed.rollout.finalized:
        return act("Resumed", "the resource may be deleted", SetFinalizer(False))
    return act(
        "Resumed",
        "the kill request was withdrawn; the rollout starts again",
        WriteLedger(resumed(s.ledger), "the resumption"),
    )


def _engaged_again(s: Situation) -> Finding:
    """A finished kill whose release can hold offloaded values again is a new kill."""
    request = s.kill_request
    if request is None:
        raise LookupError("only a kill request that still stands engages again")
    why = (
        f"the request stands, and revision {s.release.revision} of the release holds the "
        f"{s.release.settings.describe()} again ({request.reason})"
    )
    kill = new_kill(s.ledger, request, s, why=why)
    past = _past_kills(s.ledger)
    return act(
        "KillSwitchEngaged",
        f"kill {kill.attempt}: {why}",
        WriteLedger(replace(s.ledger, kill=kill, past_kills=past), f"the start of {why}"),
    )


def _deleted(s: Situation) -> Finding:
    if s.observed.rollout.finalized:
        return act("Deleted", "the resource may be deleted", SetFinalizer(False))
    return done("Deleted", "the resource may be deleted")


_RESUMED_TABLE = (Step("resumed", "Preparing", None, _resumed),)
_ENGAGED_AGAIN_TABLE = (
    Step("sole-owner", "Refused", Condition.ACCEPTED, sole_owner),
    Step("release-found", "Refused", Condition.ACCEPTED, release_exists),
    Step("engaged-again", "Killing", Condition.REVERTED, _engaged_again),
)
_DELETED_TABLE = (Step("deleted", "Deleted", None, _deleted),)


def _past_kills(ledger: Ledger) -> tuple[Kill, ...]:
    past = (*ledger.past_kills, *((ledger.kill,) if ledger.kill else ()))
    return tuple(kill.past() for kill in past[-MOST_PAST_KILLS:])


def resumed(ledger: Ledger) -> Ledger:
    """Return the ledger with its finished kill moved to the past ones, as counts."""
    return replace(
        ledger,
        kill=None,
        past_kills=_past_kills(ledger),
        baseline=None,
        delivered=None,
        offloaded_by_others=False,
        proofs=(),
        audits=(),
        calibration=None,
        build=None,
        readers=(),
        census=None,
        way_back=None,
    )
