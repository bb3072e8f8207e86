"""The gate on the build from beginning to end, as a user can see it.

All is of an old build, then a part of it of the expected one, then all. Between the two deliveries
one pod's DAGs are the old ones again for a while.
"""

from __future__ import annotations

from dataclasses import dataclass

from standin.builds import Builds
from standin.driver import NEVER, Driver, Stops
from standin.kube import Json
from standin.node import Node
from standin.place import Place, Site
from standin.story import Seen, StoryResult, is_live, seen

OLD, EXPECTED = "1" * 40, "2" * 40


@dataclass(frozen=True)
class Held:
    """What the rollout says while it is held, and what is delivered then."""

    ready: str
    verdict: str
    sources: tuple[str, ...]
    """Those with a reading of another build."""
    revision: int
    threshold: str | None
    """None while it is the database backend."""


@dataclass(frozen=True)
class GateOutcome:
    """What is compared: equal for every way on which the operator may be disturbed."""

    held: tuple[Held, ...]
    end: Seen
    verdict: str


def tell_gate(
    site: Site, node: Node, namespace: str, *, stops: Stops = NEVER
) -> StoryResult[GateOutcome]:
    """Let the story take place in a new namespace.

    Raises:
        AssertionError: it came to no end; what was seen last is in the message.
    """
    held = []
    with Place(site, node, namespace) as place:
        builds = Builds({"scheduler": OLD, "triggerer": OLD}, parsed=OLD)
        node.set_builds(namespace, builds)
        gate = {"expectedBuild": EXPECTED, "sources": ["stamp", "tags"], "interval": "1s"}
        place.declare(gates={"provenance": gate})
        driver = Driver(place, stops)

        def hold(what: str, verdict: str, *sources: str) -> None:
            driver.until(what, lambda s: _found(s) == (verdict, sources))
            held.append(_held(place))

        hold("all of the old build", "stale", "stamp", "tags")
        builds.stamps["scheduler"] = EXPECTED
        hold("one pod of the expected build", "mixed", "stamp", "tags")
        builds.stamps["triggerer"] = EXPECTED
        hold("all pods of the expected build", "mixed", "tags")
        builds.parsed = EXPECTED
        driver.until("the first delivery", lambda s: s.get("phase") == "ReadersFirst")
        builds.stamps["triggerer"] = OLD
        hold("a pod of the old build", "mixed", "stamp")
        builds.stamps["triggerer"] = EXPECTED
        driver.until("a live rollout", is_live)
        verdict = place.status()["provenance"]["verdict"]
        outcome = GateOutcome(tuple(held), seen(place), verdict)
        return StoryResult(outcome, driver.writes, driver.stopped_after, driver.errors, {})


def _found(status: Json) -> tuple[str, tuple[str, ...]]:
    found = status.get("provenance") or {}
    sources = {reading.partition(" ")[0] for reading in found.get("readings") or []}
    return found.get("verdict", ""), tuple(sorted(sources))


def _held(place: Place) -> Held:
    revision = place.revision()
    section = (revision.values.get("config") or {}).get("common.io") or {}
    return Held(
        place.conditions()["Ready"],
        *_found(place.status()),
        revision.number,
        section.get("xcom_objectstorage_threshold"),
    )
