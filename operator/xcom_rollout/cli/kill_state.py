"""The state of a rollout's kill, and of the request for one. Pure."""

import json
from enum import StrEnum
from typing import Any, Final

from xcom_rollout.api.names import ANNOTATION_KILL, Condition
from xcom_rollout.cli.output import read_time
from xcom_rollout.cli.session import Person
from xcom_rollout.cli.story import condition
from xcom_rollout.decide.ledger import Strategy
from xcom_rollout.decide.requests import strategy_named
from xcom_rollout.decide.summarize import INVALID_SPEC, OBSERVE_FAILED
from xcom_rollout.stored.rollouts import Raw

STRATEGIES: Final = tuple(str(strategy) for strategy in Strategy)
AFTER: Final = "after"
"""Member of a request: number of the newest kill that had ended when it was made, 0 for none. A
kill with a higher number is the requested one; no two clocks are compared."""


class KillState(StrEnum):
    """State of the requested kill."""

    NOT_BEGUN = "NotBegun"
    """The operator has not started it, as far as the status shows."""
    GOING_ON = "GoingOn"
    STALLED = "Stalled"
    """A part of it waits for a person."""
    FINISHED = "Finished"
    """The database backend is back, and the release still holds it."""
    DRIFTED = "Drifted"
    """It had finished, and the release no longer holds what it delivered."""


_DECLARED: Final = {"by": "spec.killSwitch.engaged", "reason": "declared in the spec"}


def request_of(raw: Raw) -> dict[str, Any] | None:
    """Return the request of the annotation, else that of the spec, None where there is none.

    An annotation that is not a JSON object counts as a request with this text as its reason.
    """
    text = (raw["metadata"].get("annotations") or {}).get(ANNOTATION_KILL)
    if text is None:
        engaged = ((raw.get("spec") or {}).get("killSwitch") or {}).get("engaged")
        return dict(_DECLARED) if engaged else None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {"reason": text}
    return value if isinstance(value, dict) else {"reason": text}


def kill_of(raw: Raw) -> dict[str, Any]:
    """Return `status.killSwitch`, empty where there is none."""
    return (raw.get("status") or {}).get("killSwitch") or {}


def newest_ended(raw: Raw) -> int:
    """Return the number of the newest kill that has ended; 0 for none."""
    kill = kill_of(raw)
    attempt = int(kill.get("attempt") or 0)
    return attempt if kill.get("finishedAt") or not attempt else attempt - 1


def declared_strategy(raw: Raw) -> Strategy:
    """Return `spec.killSwitch.strategy`, with its default."""
    asked = str(((raw.get("spec") or {}).get("killSwitch") or {}).get("strategy") or "")
    return Strategy(asked) if asked in STRATEGIES else Strategy.RETRIGGER


def asked_strategy(raw: Raw) -> Strategy:
    """Return the strategy that the operator follows: that of the request, else of the spec."""
    asked = str((request_of(raw) or {}).get("strategy") or "")
    return strategy_named(asked) or declared_strategy(raw)


def engage(
    raw: Raw, person: Person, reason: str, strategy: Strategy | None
) -> dict[str, Any] | None:
    """Return the request to write into the annotation; None where the existing one is equivalent.

    An existing request keeps who made it, when and why; another strategy is added to it, with who
    requested that.
    """
    standing = request_of(raw)
    at = f"{person.now:%Y-%m-%dT%H:%M:%SZ}"
    if standing is None:
        asked = {} if strategy is None else {"strategy": str(strategy)}
        return {"by": person.name, "at": at, "reason": reason} | asked | {AFTER: newest_ended(raw)}
    if strategy is None or strategy is asked_strategy(raw):
        return None
    return standing | {
        "strategy": str(strategy),
        "strategyBy": person.name,
        "strategyAt": at,
        "strategyReason": reason,
    }


def answered(raw: Raw, after: int | None = None) -> bool:
    """Whether the kill in the status is, or includes, the one that is requested now.

    Args:
        after: number of a kill that does not count, nor any before it; None leaves that to the
            request.
    """
    kill, request = kill_of(raw), request_of(raw) or {}
    if not kill.get("attempt"):
        return False
    if after is None and isinstance(request.get(AFTER), int):
        after = request[AFTER]
    if after is not None:
        return int(kill["attempt"]) > after
    # Written by hand or by an older xbr. A kill in progress includes a later request.
    asked, ended = request.get("at"), kill.get("finishedAt")
    if not asked or not ended:
        return True
    try:
        return read_time(ended) >= read_time(str(asked))
    except (TypeError, ValueError):
        return True


def concluded(raw: Raw) -> bool:
    """Whether the requested kill has ended, whatever came after that, or is not going to start."""
    return (answered(raw) and bool(kill_of(raw).get("finishedAt"))) or back_already(raw)


def state_of(raw: Raw, after: int | None = None) -> KillState:
    """Return the state of the requested kill; `after` is that of `answered`."""
    if not answered(raw, after):
        return KillState.STALLED if stalled(raw) else KillState.NOT_BEGUN
    if not kill_of(raw).get("finishedAt"):
        return KillState.STALLED if stalled(raw) else KillState.GOING_ON
    if condition(raw, Condition.READY).get("status") == "True":
        return KillState.FINISHED
    return KillState.DRIFTED


def finished(raw: Raw, after: int | None = None) -> bool:
    """Whether the requested kill has finished and the release holds what it delivered."""
    return state_of(raw, after) is KillState.FINISHED


_BLIND: Final = (OBSERVE_FAILED, INVALID_SPEC)
"""Reasons of a stall in which the operator sees nothing of a rollout."""


def stalled(raw: Raw) -> bool:
    """Whether a part of the kill is stalled."""
    found = condition(raw, Condition.STALLED)
    # The operator sets this condition as soon as it has seen the request; while it sees nothing, it
    # does not see the request either.
    seen = bool(condition(raw, Condition.REVERTED)) or found.get("reason") in _BLIND
    return seen and found.get("status") == "True"


def back_already(raw: Raw, after: int | None = None) -> bool:
    """Whether an earlier kill has finished, and the release holds what that delivered."""
    ended = bool(kill_of(raw).get("finishedAt")) and not answered(raw, after)
    return ended and condition(raw, Condition.READY).get("status") == "True"
