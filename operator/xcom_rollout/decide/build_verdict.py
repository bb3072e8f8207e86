"""Whether everything that was seen is of the expected commit. Pure."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from xcom_rollout.api.v1alpha1 import COMMIT_PATTERN
from xcom_rollout.decide.ledger import BuildSource, Freshness

COMMIT: Final = re.compile(COMMIT_PATTERN)
SHORT: Final = 7
_NAMED: Final = 3
"""Most readings that a reason quotes."""


@dataclass(frozen=True)
class Reading:
    """One look at one place.

    Attributes:
        source: what was looked at.
        where: the place, in words.
        build: the commit, whole or short; None where it is not known.
        why: why it is not known, in words; else empty.
    """

    source: BuildSource
    where: str
    build: str | None
    why: str = ""

    def __str__(self) -> str:
        return (
            f"{self.source} of {self.where} {f'is {short(self.build)}' if self.build else self.why}"
        )


@dataclass(frozen=True)
class Verdict:
    """The answer and its evidence.

    Attributes:
        reason: one sentence.
        other: readings of another commit than the one expected; without one, all where they differ.
        unknown: readings that could not be made.
    """

    kind: Freshness
    reason: str
    other: tuple[Reading, ...] = ()
    unknown: tuple[Reading, ...] = ()


def reading(source: BuildSource, where: str, text: str | None, absent: str) -> Reading:
    """Return the reading of `text`, which may be absent or not a commit.

    Args:
        absent: why there is no build where `text` is None or empty.
    """
    if not text:
        return Reading(source, where, None, absent)
    if not COMMIT.fullmatch(text):
        return Reading(source, where, None, f"is {text!r}, which is not a commit")
    return Reading(source, where, text)


def same_build(one: str, other: str) -> bool:
    """Return whether two commits are the same, up to the length of the shorter one."""
    return one.startswith(other) or other.startswith(one)


def short(build: str) -> str:
    return build[:SHORT]


def verdict(
    readings: Iterable[Reading],
    expected: str | None,
    sources: Collection[BuildSource] = tuple(BuildSource),
) -> Verdict:
    """Judge what was seen on the `sources`.

    Fresh requires that a commit is expected, every source was seen, nothing is unknown, and
    everything is of that commit. A known difference outweighs an unknown source.

    Args:
        expected: the commit that should be there, of the form of `COMMIT`; None where nobody says.
    """
    judged = [seen for seen in readings if seen.source in sources]
    unseen = [
        source
        for source in BuildSource
        if source in sources and all(seen.source is not source for seen in judged)
    ]
    unknown = (
        *(seen for seen in judged if seen.build is None),
        *(Reading(source, "the release", None, "was not seen anywhere") for source in unseen),
    )
    known = [seen for seen in judged if seen.build is not None]
    builds = sorted({seen.build for seen in known if seen.build is not None})
    if expected is None:
        if _differ(builds):
            found = ", ".join(short(build) for build in builds)
            return Verdict(Freshness.MIXED, f"builds differ: {found}", tuple(known), unknown)
        if unknown:
            return Verdict(Freshness.UNKNOWN, _quoted(unknown), (), unknown)
        shared = f"all that was seen is {short(builds[0])}, but " if builds else ""
        return Verdict(Freshness.UNKNOWN, f"{shared}no commit was given to expect")
    other = tuple(seen for seen in known if not same_build(str(seen.build), expected))
    if other:
        agreed = len(other) == len(known) and not _differ(builds)
        kind = Freshness.STALE if agreed else Freshness.MIXED
        reason = f"{len(other)} of {len(known)} are not {short(expected)}: {_quoted(other)}"
        return Verdict(kind, reason, other, unknown)
    if unknown or not known:
        return Verdict(Freshness.UNKNOWN, _quoted(unknown) or "nothing was judged", (), unknown)
    return Verdict(Freshness.FRESH, f"all {len(known)} that were seen are {short(expected)}")


def _differ(builds: list[str]) -> bool:
    # In sorted order, a prefix of other builds comes right before them.
    return any(not same_build(one, other) for one, other in pairwise(builds))


def _quoted(readings: Collection[Reading]) -> str:
    named = "; ".join(str(seen) for seen in list(readings)[:_NAMED])
    more = len(readings) - _NAMED
    return f"{named}; and {more} more" if more > 0 else named
