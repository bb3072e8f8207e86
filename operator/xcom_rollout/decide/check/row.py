"""One line of the report of `xbr check`, and the verdict of all lines."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Group(StrEnum):
    SUPPORTED = "Supported"
    CHANGE = "Change first"
    LATER = "Checked later by the proof"
    """What reading the cluster cannot show, or what belongs to the operator's own installation."""
    UNKNOWN = "Unknown"
    """What the caller may not read."""


class Verdict(StrEnum):
    SUPPORTED = "supported"
    CHANGE = "change-first"
    UNKNOWN = "unknown"
    """No obstacle in what could be read, but not everything could be."""


@dataclass(frozen=True)
class Row:
    """What was found of one subject."""

    group: Group
    subject: str
    found: str
    remedy: str = ""
    """What to do, with field and value; empty where there is nothing to do."""
    reason: str = ""
    """The reason in the conditions of a rollout that this would hold; empty where it would not."""


def supported(subject: str, found: str, remedy: str = "") -> Row:
    return Row(Group.SUPPORTED, subject, found, remedy)


def change(subject: str, found: str, remedy: str = "", *, reason: str = "") -> Row:
    return Row(Group.CHANGE, subject, found, remedy, reason)


def later(subject: str, found: str, remedy: str = "", *, reason: str = "") -> Row:
    return Row(Group.LATER, subject, found, remedy, reason)


def unknown(subject: str, needs: str) -> Row:
    """Return the row of a subject that may not be read; `needs` is the missing right."""
    return Row(Group.UNKNOWN, subject, f"unknown: requires permission to {needs}")


def verdict_of(rows: Iterable[Row]) -> Verdict:
    groups = {row.group for row in rows}
    if Group.CHANGE in groups:
        return Verdict.CHANGE
    return Verdict.UNKNOWN if Group.UNKNOWN in groups else Verdict.SUPPORTED
