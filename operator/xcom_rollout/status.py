"""What changed between two statuses, and whether a status is worth writing. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Transition:
    """A condition whose status or reason is another than before."""

    type: str
    before: str
    """Status of the condition before, empty where it is new."""
    status: str
    reason: str
    message: str


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
