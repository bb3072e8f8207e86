"""Requests that people make through annotations or the spec."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from xcom_rollout.api import names
from xcom_rollout.decide.ledger import Strategy
from xcom_rollout.decide.observed import Rollout

LONGEST: Final = 1024
"""Most characters kept of what a person wrote: each of the last kills has it, in one ConfigMap."""


@dataclass(frozen=True)
class KillRequest:
    by: str
    reason: str
    strategy: Strategy
    strategy_by: str
    """Who asked for the strategy: it may have been changed after the request was made."""


@dataclass(frozen=True)
class Attestation:
    """A person's statement that the kill-switch was rehearsed."""

    by: str
    at: datetime
    evidence: str
    expires_at: datetime


@dataclass(frozen=True)
class InvalidAttestation:
    problem: str


def kill_request(rollout: Rollout) -> KillRequest | None:
    """Return who asks for the kill-switch, or None when nobody does.

    A malformed annotation still engages it: in an emergency a typing error must not count as a
    refusal. For an unknown strategy that of the spec is used, and the reason says so.
    """
    declared = Strategy(rollout.spec.kill_switch.strategy)
    text = rollout.annotations.get(names.ANNOTATION_KILL)
    if text is not None:
        fields = _json_object(text)
        by = _shown(fields.get("by")) or "unknown"
        asked = str(fields.get("strategy") or "")
        named = strategy_named(asked)
        note = ""
        if asked and named is None:
            note = (
                f" (there is no strategy {_shown(asked, 64)!r}: {declared} of the spec is used; "
                f"use one of {', '.join(Strategy)})"
            )
        reason = _shown(fields.get("reason") or text, LONGEST - len(note)) or "none given"
        return KillRequest(
            by=by,
            reason=reason + note,
            strategy=named or declared,
            strategy_by=_shown(fields.get("strategyBy")) or by,
        )
    if rollout.spec.kill_switch.engaged:
        by = "spec.killSwitch.engaged"
        return KillRequest(by, "declared in the spec", declared, strategy_by=by)
    return None


def strategy_named(text: str) -> Strategy | None:
    """Return the strategy of this name, however it is capitalized; None where there is none."""
    return {str(one).lower(): one for one in Strategy}.get(text.strip().lower())


def attestation(rollout: Rollout, now: datetime) -> Attestation | InvalidAttestation | None:
    """Return the attestation of a rehearsal, None when there is none.

    It expires at the time it names, and no later than `spec.rehearsal.maxAge` after it was given.
    """
    text = rollout.annotations.get(names.ANNOTATION_ATTESTATION)
    if text is None:
        return None
    fields = _json_object(text)
    missing = [name for name in ("by", "at", "evidence", "expiresAt") if not fields.get(name)]
    if missing:
        return InvalidAttestation(f"it lacks {', '.join(missing)}")
    try:
        at = datetime.fromisoformat(str(fields["at"]))
        claimed = datetime.fromisoformat(str(fields["expiresAt"]))
    except ValueError as error:
        return InvalidAttestation(f"it contains an invalid time: {error}")
    if at.tzinfo is None or claimed.tzinfo is None:
        return InvalidAttestation("its times lack a time zone; use the form 2026-01-31T12:00:00Z")
    if at > now:
        return InvalidAttestation(f"its time is in the future: {at.isoformat()}")
    expires = min(claimed, at + rollout.spec.rehearsal_max_age())
    if expires <= now:
        return InvalidAttestation(f"it expired at {expires.isoformat()}")
    return Attestation(str(fields["by"]), at, str(fields["evidence"]), expires)


def _json_object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _shown(value: object, longest: int = LONGEST) -> str:
    """Return what a person wrote as text that can be stored: in UTF-8, and not too long."""
    text = str(value or "").encode(errors="replace").decode()
    return text if len(text) <= longest else f"{text[: longest - 4]} ..."
