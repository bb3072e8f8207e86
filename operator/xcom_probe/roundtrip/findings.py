"""One check for each kind of value, from the outcomes of its values."""

from __future__ import annotations

from typing import Any, Iterable

from xcom_probe.model import FAIL, PASS, SKIP, WARN, Finding
from xcom_probe.roundtrip.judge import BETTER, DRIFT, EQUAL, NONE, WORSE, Outcome, Trip
from xcom_probe.values import drift

_WHY = "A task that pulls such a value would get another value or none, with or without an error."
_REMEDY = "Do not switch the backend in this image; try another version of the provider."
_DRIFT_REMEDY = (
    "Change the tasks that push such values, or accept the change with --accept-drift {}."
)


class Policy:
    """Which drift is let through.

    Args:
        accepted: classes of drift that somebody has accepted.
        strict: any other drift fails instead of warning.
        remedies: what to do about a class of drift, where more is known than that it is one.
    """

    def __init__(
        self, accepted: Iterable[str], strict: bool, remedies: dict[str, str] | None = None
    ) -> None:
        self.accepted = frozenset(accepted)
        self.strict = strict
        self.remedies = remedies or {}

    def status(self, outcome: Outcome) -> str:
        """The status that this value alone would give its kind."""
        if outcome.change != WORSE or outcome.known:
            return PASS
        if outcome.newly_fails:
            return FAIL
        if self.accepted.issuperset(outcome.new_drift):
            return PASS
        return FAIL if self.strict else WARN

    def remedy(self, outcomes: list[Outcome]) -> str:
        """What to do about these values."""
        if any(outcome.newly_fails for outcome in outcomes):
            return _REMEDY
        names = {name for outcome in outcomes for name in outcome.new_drift} - self.accepted
        known = [self.remedies[name] for name in sorted(names) if name in self.remedies]
        return " ".join([*known, _DRIFT_REMEDY.format(" --accept-drift ".join(sorted(names)))])


def findings(outcomes: list[Outcome], policy: Policy) -> list[Finding]:
    """One finding per kind, in the order in which the kinds come."""
    kinds: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        kinds.setdefault(outcome.kind, []).append(outcome)
    return [_finding(kind, items, policy) for kind, items in kinds.items()]


def not_looked_at(kind: str, reason: str) -> Finding:
    """The finding of a kind whose values were not tried."""
    return Finding(f"roundtrip-{kind}", SKIP, f"not checked: {reason}")


def drift_members(found: dict[str, list[str]], policy: Policy) -> list[dict[str, Any]]:
    """The member `drift` of the result: what changes with the backend, and who accepts it."""
    return [
        {
            "class": name,
            "meaning": drift.CLASSES[name],
            "values": names,
            "accepted": name in policy.accepted,
        }
        for name, names in found.items()
    ]


def _finding(kind: str, outcomes: list[Outcome], policy: Policy) -> Finding:
    tried = [outcome for outcome in outcomes if outcome.trips]
    if not tried:
        return not_looked_at(kind, "; ".join(f"{one.name} {one.skipped}" for one in outcomes))
    expected = f"{len(tried)} values come back as with BaseXCom, or better"
    by_status = {
        status: [one for one in tried if policy.status(one) == status]
        for status in (FAIL, WARN, PASS)
    }
    bad = by_status[FAIL] or by_status[WARN]
    if bad:
        worse = by_status[FAIL] + by_status[WARN]
        return Finding(
            f"roundtrip-{kind}",
            FAIL if by_status[FAIL] else WARN,
            "; ".join(_worse(one) for one in worse),
            expected,
            _WHY,
            policy.remedy(bad),
        )
    return Finding(f"roundtrip-{kind}", PASS, _summary(outcomes, tried), expected, _WHY)


def _summary(outcomes: list[Outcome], tried: list[Outcome]) -> str:
    """What is worth saying of a kind in which nothing is wrong."""
    equal = [one for one in tried if one.worst.verdict == EQUAL]
    ways = sorted({way for one in tried for way in one.judged})
    parts = ["{} of {} equal ({})".format(len(equal), len(tried), " and ".join(ways))]
    rest = [one for one in tried if one.worst.verdict != EQUAL]
    for text, items in (
        ("the same with BaseXCom", [one for one in rest if one.change == NONE]),
        ("better than with BaseXCom", [one for one in rest if one.change == BETTER]),
        ("accepted", [one for one in rest if one.change == WORSE and not one.known]),
        ("the same in every version", [one for one in rest if one.change == WORSE and one.known]),
    ):
        if items:
            parts.append("{}: {}".format(text, ", ".join(_short(one) for one in items)))
    skipped = [one.name for one in outcomes if one.skipped]
    if skipped:
        parts.append("not checked: {}".format(", ".join(skipped)))
    return "; ".join(parts)


def _short(outcome: Outcome) -> str:
    return f"{outcome.name} ({_verdict(outcome.worst)})"


def _worse(outcome: Outcome) -> str:
    seen: dict[tuple[str, str], list[str]] = {}
    for way, trip in outcome.worse.items():
        seen.setdefault((_verdict(trip), trip.detail), []).append(way)
    return "; ".join(
        "{} ({}, {}): {}".format(outcome.name, " and ".join(ways), verdict, detail)
        for (verdict, detail), ways in seen.items()
    )


def _verdict(trip: Trip) -> str:
    return "drift {}".format(", ".join(trip.drift)) if trip.verdict == DRIFT else trip.verdict
