"""The operator's main job from beginning to end, as a user can see it.

The flip, then a kill with four runs in flight: one that has offloaded a value and is in its next
task; one whose task will offload only after the revert; one that never does (the bystander); and
one of a DAG that people had paused. Tasks end when the story is so far, so that it has one end
only, however long the operator is down in between.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from types import TracebackType
from typing import Generic, TypeVar

from standin.airflow import FOREVER, Run
from standin.driver import NEVER, Driver, Stops
from standin.kube import Json
from standin.node import Node
from standin.place import RELEASE, Place, Site
from standin.settings import Loaded
from standin.wire import Faults, Storm

T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """The state of affairs, without times and generated names."""

    conditions: dict[str, str]
    revision: int
    values: Json
    proofs: list[str]
    """The Jobs that proved something."""
    listed: bool
    """Whether the list of offloaded runs that the status names is there and holds their number."""
    triggerer: Loaded
    """What the pod loaded that a StatefulSet replaces under the same name."""


@dataclass(frozen=True)
class RunSeen:
    """A DAG run, and how often it was changed from outside."""

    state: str
    fails: int
    clears: int
    path_rows: int


@dataclass(frozen=True)
class Outcome:
    """What is compared: equal for every way on which the operator may be disturbed."""

    live: Seen
    end: Seen
    runs: dict[str, RunSeen]
    paused: list[str]
    hazards: list[str]
    counts: Json
    """`status.killSwitch.runs`."""


@dataclass(frozen=True)
class StoryResult(Generic[T]):
    """An outcome, and how it came about."""

    outcome: T
    writes: list[str]
    stopped_after: list[str]
    errors: list[str]
    faults: dict[str, int]


def tell(
    site: Site,
    node: Node,
    namespace: str,
    *,
    stops: Stops = NEVER,
    storm: Storm | None = None,
    strategy: str = "Retrigger",
    cached: bool = False,
) -> StoryResult[Outcome]:
    """Let the story take place in a new namespace.

    Args:
        strategy: how the kill heals runs. Where it leaves them alone, they end by themselves as
            soon as it has found both that offloaded.
        cached: whether the operator rests on what its cache shows.

    Raises:
        AssertionError: it came to no end; what was seen last is in the message.
    """
    faults = Faults(storm) if storm else None
    with Place(site, node, namespace) as place:
        place.declare()
        driver = Driver(place, stops, faults, cached=cached)
        driver.until("a live rollout", is_live)
        live = seen(place)
        early, late = _put_runs_in_flight(place)
        place.kill(strategy=strategy)
        driver.until("no new writer", lambda s: "writersStoppedAt" in s.get("killSwitch", {}))
        place.airflow.let_end(late, ticks=4)
        if strategy in ("Drain", "Rehydrate"):
            # Its task is from before the kill, so what the other one wrote is not counted earlier.
            driver.until("a run", lambda s: s["killSwitch"]["runs"]["found"] >= 1)
            place.airflow.let_end(early, ticks=1)
            driver.until("two runs", lambda s: s["killSwitch"]["runs"]["found"] == 2)
            place.airflow.let_all_end(ticks=2)
        driver.until("a finished kill", lambda s: s.get("phase") == "Reverted")
        # An Immediate kill pauses the bystander's DAG for a while, and does not wait for it.
        driver.until("ended runs", lambda _: all(r.state != "running" for r in place.airflow.runs))
        outcome = Outcome(
            live=live,
            end=seen(place),
            runs={
                run.run_id: RunSeen(run.state, run.fails, run.clears, run.rows)
                for run in place.airflow.runs
            },
            paused=sorted(place.airflow.paused),
            hazards=list(place.airflow.hazards),
            counts=place.status()["killSwitch"]["runs"],
        )
        drawn = dict(faults.seen) if faults else {}
        return StoryResult(outcome, driver.writes, driver.stopped_after, driver.errors, drawn)


def _put_runs_in_flight(place: Place) -> tuple[Run, Run]:
    """Set the scene, and return the run that has offloaded and the one that will."""
    airflow = place.airflow
    early = airflow.trigger("offload", "has-offloaded", (1, 2000), (FOREVER, 10), (1, 10))
    late = airflow.trigger("offload", "will-offload", (FOREVER, 2000), (FOREVER, 10), (1, 10))
    airflow.trigger("bystander", "never-offloads", (3, 10), (3, 10), (3, 10))
    airflow.trigger("asleep", "paused-by-people", (1, 10))
    airflow.paused.add("asleep")
    for _ in range(3):
        place.tick()
    rows = {run.run_id: run.rows for run in airflow.runs}
    assert rows["has-offloaded"] == 1, f"the scene is not set: {rows}"
    return early, late


def is_live(status: Json) -> bool:
    """Whether the rollout is live and rests, and the runs that offloaded have been counted."""
    ready = {(one["type"], one["status"]) for one in status.get("conditions") or []}
    return (
        status.get("phase") == "Live" and "offloadedRuns" in status and ("Ready", "True") in ready
    )


def seen(place: Place) -> Seen:
    """Return what there is to see now."""
    revision = place.revision()
    jobs = place.kube.list(
        f"/apis/batch/v1/namespaces/{place.namespace}/jobs", "xcomrollout.dev/job-kind=proof"
    )
    return Seen(
        conditions=place.conditions(),
        revision=revision.number,
        values=revision.values,
        proofs=sorted(job["metadata"]["name"] for job in jobs),
        listed=_listed(place),
        triggerer=_loaded_by_triggerer(place),
    )


def _loaded_by_triggerer(place: Place) -> Loaded:
    pod = place.kube.get(f"/api/v1/namespaces/{place.namespace}/pods/{RELEASE}-triggerer-0")
    return place.node.loaded(pod["metadata"]["uid"])


def _listed(place: Place) -> bool:
    listed = place.status()["offloadedRuns"]
    maps = f"/api/v1/namespaces/{place.namespace}/configmaps"
    found = place.kube.find(f"{maps}/{listed['listRef']['name']}")
    return found is not None and len(json.loads(found["data"]["runs.json"])) == listed["count"]


class Tellers:
    """Processes that run stories side by side, each with a node of its own; a context manager."""

    def __init__(self, site: Site, workers: int) -> None:
        self._pool = ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_prepare, initargs=(site,)
        )

    def __enter__(self) -> Tellers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def tell(
        self, story: Callable[..., T], namespace: str, **disturbed: Stops | Storm | str | bool
    ) -> Future[T]:
        """Run a story in another process, as soon as one is free.

        Args:
            story: a function of a module; takes site, node and namespace.
            disturbed: its further arguments.
        """
        return self._pool.submit(_tell, story, namespace, disturbed)


_open = ExitStack()
_here: list[tuple[Site, Node]] = []
"""The site and the node of this worker process."""


def _prepare(site: Site) -> None:
    # What goes wrong on purpose is in `StoryResult.errors`; the operator's own log would repeat it.
    logging.getLogger("xcom_rollout").setLevel(logging.CRITICAL)
    node = _open.enter_context(Node(f"node-{os.getpid()}", site.kubeconfig, site.pki))
    _here.append((site, node))


def _tell(
    story: Callable[..., T], namespace: str, disturbed: Mapping[str, Stops | Storm | str | bool]
) -> T:
    site, node = _here[0]
    return story(site, node, namespace, **disturbed)
