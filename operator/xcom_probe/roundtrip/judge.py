"""What the trips of a value say. Pure: no Airflow, no store."""

from __future__ import annotations

from typing import Any, Iterable, NamedTuple

from xcom_probe.values import drift

EQUAL = "equal"
DRIFT = "drift"
FAILURE = "failure"
SKIPPED = "skipped"
_RANKS = (EQUAL, DRIFT, FAILURE)

NONE = "none"
BETTER = "better"
WORSE = "worse"

# The ways a value can take. `base` is Airflow's own class, which keeps everything in its row;
# `loaded` is the class of this pod, where that is not the object storage backend.
BASE = "base"
LOADED = "loaded"
INLINE = "inline"
OFFLOADED = "offloaded"


class Trip(NamedTuple):
    """One value on one way.

    Attributes:
        verdict: `equal`, `drift` or `failure`.
        drift: its classes, sorted; empty unless the verdict is `drift`.
        detail: what became what, or the error; empty if equal.
        offloaded: whether the row held a path; None if the value could not be written.
        as_base: of a drift, whether the very same comes back with BaseXCom.
    """

    verdict: str
    drift: tuple[str, ...] = ()
    detail: str = ""
    offloaded: bool | None = None
    as_base: bool = False


class Outcome(NamedTuple):
    """All trips of one value.

    Attributes:
        name: of the sample.
        kind: of the sample.
        size: bytes of its JSON; None if it has none.
        trips: by way.
        configured: the way that the configuration of this pod sends it.
        known: see `Sample`.
        skipped: why there was no trip; empty if there was one.
    """

    name: str
    kind: str
    size: int | None
    trips: dict[str, Trip]
    configured: str
    known: str = ""
    skipped: str = ""

    @property
    def judged(self) -> dict[str, Trip]:
        """The trips through the class that is loaded here, the configured way first."""
        ways = [way for way in self.trips if way not in (self.configured, BASE)]
        return {way: self.trips[way] for way in [self.configured, *ways]}

    @property
    def worst(self) -> Trip:
        """The trip with the worst verdict; the first among equals."""
        return max(self.judged.values(), key=lambda trip: _RANKS.index(trip.verdict))

    @property
    def base(self) -> Trip:
        """The trip through BaseXCom; where none was needed, that of a value that is fine there."""
        return self.trips.get(BASE, Trip(EQUAL))

    @property
    def change(self) -> str:
        """What the loaded class changes for this value: nothing, or is it better or worse."""
        if self.configured == BASE:
            return NONE
        changes = {change(self.base, trip) for trip in self.judged.values()}
        return WORSE if WORSE in changes else BETTER if BETTER in changes else NONE

    @property
    def worse(self) -> dict[str, Trip]:
        """The trips that are worse than that of BaseXCom, by way."""
        if self.configured == BASE:
            return {}
        return {way: trip for way, trip in self.judged.items() if change(self.base, trip) == WORSE}

    @property
    def drift(self) -> list[str]:
        """Classes of drift on any way through the loaded class, sorted."""
        return sorted({name for trip in self.judged.values() for name in trip.drift})

    @property
    def new_drift(self) -> list[str]:
        """Classes of drift that come with the loaded class, sorted."""
        return sorted({one for trip in self.worse.values() for one in drift_from(self.base, trip)})

    @property
    def newly_fails(self) -> bool:
        """Whether it fails on some way and did not with BaseXCom, and not for its keys alone."""
        return any(
            trip.verdict == FAILURE and not drift_from(self.base, trip)
            for trip in self.worse.values()
        )

    def as_dict(self) -> dict[str, Any]:
        """Its item of the result document."""
        common = {"name": self.name, "class": self.kind, "bytes": self.size}
        if self.skipped:
            return {
                **common,
                "verdict": SKIPPED,
                "drift": [],
                "offloaded": None,
                "change": NONE,
                "detail": self.skipped,
                "trips": {},
            }
        return {
            **common,
            "verdict": self.worst.verdict,
            "drift": self.drift,
            "offloaded": self.trips[self.configured].offloaded,
            "change": self.change,
            "detail": self.worst.detail,
            "trips": {
                way: {"verdict": trip.verdict, "drift": list(trip.drift), "detail": trip.detail}
                for way, trip in self.trips.items()
            },
        }


def change(base: Trip, other: Trip) -> str:
    """How a value fares on another way, compared with BaseXCom.

    A value that fails with BaseXCom is pushed by no task that works, so whatever else happens to
    it is no loss.
    """
    one, two = _RANKS.index(base.verdict), _RANKS.index(other.verdict)
    if one != two:
        return WORSE if two > one else BETTER
    if base.verdict != DRIFT or other.as_base:
        return NONE
    return BETTER if set(base.drift) > set(other.drift) else WORSE


def drift_from(base: Trip, other: Trip) -> set[str]:
    """The classes of drift that come with another way, which is worse; empty if it just fails."""
    if other.verdict == FAILURE:
        # The backend encodes before it decides where to keep a value, by a stricter encoder.
        refused = other.offloaded is None and base.drift == (drift.KEY_TO_STR,)
        return {drift.KEYS_REFUSED} if refused else set()
    # With the same classes it is another change of the same kind: key 'None' became 'null'.
    return (set(other.drift) - set(base.drift)) or set(other.drift)


def new_drift(outcomes: Iterable[Outcome]) -> dict[str, list[str]]:
    """Names of the values by class of drift that BaseXCom does not have; known ones left out."""
    found: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.trips and outcome.change == WORSE and not outcome.known:
            for name in outcome.new_drift:
                found.setdefault(name, []).append(outcome.name)
    return dict(sorted(found.items()))
