"""The decision: one pure function from what was seen to what to do."""

from dataclasses import replace
from datetime import datetime

from xcom_rollout.decide.actions import WriteLedger
from xcom_rollout.decide.decision import Decision, Finding
from xcom_rollout.decide.kill_table import KILL_TABLE
from xcom_rollout.decide.ledger import Ledger
from xcom_rollout.decide.observed import Observed
from xcom_rollout.decide.rollout_table import ROLLOUT_TABLE
from xcom_rollout.decide.situation import Situation
from xcom_rollout.decide.table import Step, act, evaluate

MOST_PAST_KILLS = 20


def decide(observed: Observed, now: datetime) -> Decision:
    """Return what to do next about one rollout, and what to tell people.

    Pure: the same world and time give the same decision. A kill that has begun is carried to its
    end even if the request is taken back meanwhile; a finished one stays until then.
    """
    situation = Situation(observed, now)
    kill = observed.ledger.kill
    if kill is not None and kill.finished_at is not None and situation.kill_request is None:
        table = (Step("resumed", "Preparing", None, _resumed),)
        return evaluate(table, "Preparing", situation)
    if kill is not None or situation.kill_request is not None:
        return evaluate(KILL_TABLE, "Reverted", situation)
    return evaluate(ROLLOUT_TABLE, "Live", situation)


def _resumed(s: Situation) -> Finding:
    return act(
        "Resumed",
        "the kill request was taken back; the rollout begins anew",
        WriteLedger(resumed(s.ledger), "the resumption"),
    )


def resumed(ledger: Ledger) -> Ledger:
    """Return the ledger with its finished kill laid to the past ones."""
    past = (*ledger.past_kills, *((ledger.kill,) if ledger.kill else ()))
    return replace(
        ledger,
        kill=None,
        past_kills=past[-MOST_PAST_KILLS:],
        baseline=None,
        delivered=None,
        proofs=(),
        audits=(),
        calibration=None,
        build=None,
        readers=(),
        census=None,
    )
