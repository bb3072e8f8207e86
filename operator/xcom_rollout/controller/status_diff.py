"""What changed between two statuses, and whether a status is worth writing. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from xcom_rollout.api.names import Condition

NOT_REACHED: Final = "NotReached"
"""Reason of a condition whose step has not been reached."""


@dataclass(frozen=True)
class Transition:
    """A condition whose status or reason has changed."""

    type: str
    before: str
    """Status of the condition before, empty where it is new."""
    status: str
    reason: str
    message: str

    @property
    def flipped(self) -> bool:
        """Whether its status has changed, and not only its reason."""
        return self.before != self.status


def without_nulls(value: Any) -> Any:
    """Return plain JSON data without members that are null, as the API server stores it."""
    if isinstance(value, Mapping):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def differs(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> bool:
    """Whether writing `after` over `before` would change anything."""
    return bool(without_nulls(before or {}) != without_nulls(after))


def worth_reporting(changes: Iterable[Transition]) -> list[Transition]:
    """Return the changes that report something which no other one of them reports.

    Ready, Reconciling and Stalled have the same reason: that of the current step. A condition of
    which only the reason changes is reported if it has that reason; the others follow it.
    """
    changes = list(changes)
    now_about = {change.reason for change in changes if change.type == Condition.READY}
    return [
        change
        for change in changes
        if change.reason != NOT_REACHED
        and change.type != Condition.RECONCILING
        and not (change.type in (Condition.READY, Condition.STALLED) and change.status != "True")
        and (change.flipped or change.reason in now_about)
    ]


def transitions(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Transition]:
    """Return the conditions of `after` whose status or reason changed, in their order."""
    old = {entry["type"]: entry for entry in (before or {}).get("conditions") or ()}
    changed = []
    for entry in after.get("conditions") or ():
        was = old.get(entry["type"], {})
        if (was.get("status"), was.get("reason")) != (entry["status"], entry["reason"]):
            changed.append(
                Transition(
                    entry["type"],
                    was.get("status", ""),
                    entry["status"],
                    entry["reason"],
                    entry["message"],
                )
            )
    return changed
