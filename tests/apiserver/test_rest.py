"""What a live rollout at rest costs the API server, request by request."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from harness.waiting import NotYetError, wait_for
from standin.airflow import FOREVER
from standin.driver import Operator, start_operator
from standin.place import ROLLOUT, Place
from standin.story import is_live
from standin.wire import Wire
from xcom_rollout.cache.collections import WATCHED
from xcom_rollout.cache.reflector import WATCH_SECONDS
from xcom_rollout.controller.handlers import WATCH_SECONDS as KOPF_SECONDS
from xcom_rollout.controller.lease import since_boot
from xcom_rollout.controller.reconcile import LONGEST_UNSEEN, Key, Reconciler, utc_now
from xcom_rollout.decide import way_back
from xcom_rollout.decide.actions import Action, ProveWayBack, RunJob, WriteLedger
from xcom_rollout.decide.observed import Observed
from xcom_rollout.stored.rollouts import read_rollout

HOUR = timedelta(hours=1)
_LOG = re.compile(r"^GET pods/xbr-demo-census-[^/]+/log$")
GOAL = 60
"""Requests to the API server in an hour, for one live rollout at rest, or one whose kill waits."""
TO_AIRFLOW = 1200
"""Requests to Airflow's API in an hour in which a kill waits: each 10 s for its version, for a run
that goes on, and for whether its DAG is paused. No watch tells of these, so they are not rarer."""
QUARTERS = 4
"""Of an hour, of which one is waited for: they are all alike, but for a look in one of them."""
HELM = 11
"""Of these those of `helm upgrade --dry-run=server`, once an hour, by the API server's audit log
(Helm 3.18): they are not over the wire."""

CENSUS = Counter(
    {
        "POST jobs": 1,
        "GET the log of its pod": 1,
        "PUT configmaps/xbr-demo-ledger": 1,
        "PUT xcombackendrollouts/demo/status": 1,
        "GET leases/xcom-rollout": 1,
        "PUT leases/xcom-rollout": 1,
    }
)
"""All that a census may ask. Of the Lease it is one of both: it is read once, and then only
written; and no more than once in 7 minutes."""


@dataclass
class Time:
    """The operator's clocks: put forward until it does what is due then, and back after it.

    What is recorded has the API server's time, which nobody can put forward.
    """

    ahead: timedelta = timedelta(0)
    passed: timedelta = timedelta(0)
    """By the clock that is never put back."""
    done: list[type[Action]] = field(default_factory=list)

    back: Callable[[], None] = lambda: None
    """Ends what makes it due."""

    def now(self) -> datetime:
        return utc_now() + self.ahead

    def monotonic(self) -> float:
        return since_boot() + self.passed.total_seconds()

    def after(self, perform: Callable[[Observed, Action], str | None]) -> Callable[..., str | None]:
        def act(observed: Observed, action: Action) -> str | None:
            said = perform(observed, action)
            self.done.append(type(action))
            if isinstance(action, RunJob | ProveWayBack):
                self.back()
            return said

        return act


class Rest:
    """A live rollout, and the operator that rests over it."""

    def __init__(self, place: Place, operator: Operator, wire: Wire, time: Time) -> None:
        self.place, self.wire, self.time = place, wire, time
        self.key = Key(place.namespace, ROLLOUT)
        passes, acting = operator.make_passes, time.after
        assert passes.upkeep is not None
        self.passes: Reconciler = replace(
            passes, perform=acting(passes.perform), upkeep=acting(passes.upkeep)
        )

    def until(self, what: str, goal: Callable[[], bool]) -> None:
        def look() -> bool:
            rest = self.passes(self.key)
            self.place.tick()
            if rest == timedelta(0) or not goal():
                raise NotYetError(self.place.said())
            return True

        wait_for(what, look, 120, interval=0.1)

    def asked(self, what: str, goal: Callable[[], bool]) -> Counter[str]:
        """Return the requests until `goal` holds at rest."""
        before = len(self.wire.asked)
        self.until(what, goal)
        found = [_LOG.sub("GET the log of its pod", one) for one in self.wire.asked[before:]]
        print(f"{what}: {len(found)}", *found, sep="\n  ")  # shown where the test fails
        return Counter(found)

    def census(self) -> Counter[str]:
        """Let the next census be due, and return what it costs."""
        self.time.ahead, self.time.passed = self.interval, self.time.passed + self.interval
        self.time.back = lambda: setattr(self.time, "ahead", timedelta(0))
        self.time.done.clear()
        return self.asked("a census", lambda: self.time.done[-2:] == [RunJob, WriteLedger])

    def way_back(self, patch: pytest.MonkeyPatch) -> Counter[str]:
        """Let the way back be asked for again, and return what that costs."""
        self.time.done.clear()
        # A clock that is put forward so far would let censuses be due without end, and before it.
        patch.setattr(way_back, "INTERVAL", timedelta(0))
        self.time.back = patch.undo
        return self.asked("the way back", lambda: self.time.done == [ProveWayBack])

    def look(self) -> Counter[str]:
        """Let the hourly look be due, and return what it costs."""
        self.passes.settled[self.key] -= LONGEST_UNSEEN
        return self.asked("a look", lambda: True)

    @property
    def interval(self) -> timedelta:
        raw = self.place.rollout()
        assert raw is not None
        return read_rollout(raw).spec.census_interval()


@pytest.fixture
def rest(place: Place) -> Iterator[Rest]:
    with resting(place) as found:
        yield found


@contextmanager
def resting(place: Place) -> Iterator[Rest]:
    place.declare()
    wire, time = Wire(), Time()
    operator = start_operator(place, wire, now=time.now, cached=True, monotonic=time.monotonic)
    try:
        found = Rest(place, operator, wire, time)
        found.until("a live rollout", lambda: is_live(place.status()))
        yield found
    finally:
        operator.end()


def test_an_hour_of_a_live_rollout_at_rest_costs_few_requests(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert way_back.INTERVAL == LONGEST_UNSEEN == HOUR
    rest.census()  # what is made once is there after the first
    censuses = [rest.census() for _ in range(int(HOUR / rest.interval))]
    for found in censuses:
        assert found - CENSUS == Counter()
    asked = sum((*censuses, rest.way_back(monkeypatch), rest.look()), Counter[str]())
    airflow = sum(count for what, count in asked.items() if " airflow " in what)
    watches = HOUR / timedelta(seconds=sum(WATCH_SECONDS) / 2) * len(WATCHED)
    watches += 2 * (HOUR / timedelta(seconds=KOPF_SECONDS))
    total = asked.total() - airflow + HELM + watches
    print(f"{asked.total() - airflow} + {HELM} of helm + {watches:.0f} watches = {total:.0f}")
    assert total <= GOAL


def test_an_hour_of_a_kill_that_waits_for_old_tasks_costs_few_requests(rest: Rest) -> None:
    place, time = rest.place, rest.time
    # One whose re-run goes on without end, and one that is not touched and may still offload.
    place.airflow.trigger("offload", "has-offloaded", (1, 2000), (FOREVER, 10))
    place.airflow.trigger("bystander", "old", (FOREVER, 10))
    for _ in range(3):
        place.tick()
    place.kill()
    rest.until("a kill that waits", lambda: "OldTasksRunning" in place.said())
    _touch_pods(place)
    rest.until("a glance that asks for no pods", lambda: "GET pods" not in rest.wire.asked[-3:])
    passes, before = 0, len(rest.wire.asked)
    while time.ahead < HOUR / QUARTERS:
        delay = rest.passes(rest.key)
        assert delay is not None
        time.ahead, time.passed, passes = time.ahead + delay, time.passed + delay, passes + 1
    asked = Counter(rest.wire.asked[before:])
    print(f"{passes} passes", *asked.most_common(), sep="\n  ")
    assert "OldTasksRunning" in place.said()
    airflow = sum(count for what, count in asked.items() if " airflow " in what)
    assert airflow * QUARTERS <= TO_AIRFLOW
    look = rest.look()
    hourly = sum(count for what, count in look.items() if " airflow " not in what)
    assert (asked.total() - airflow) * QUARTERS + hourly <= GOAL


def _touch_pods(place: Place) -> None:
    """Change each pod: of the watches of some of them one would else hear in a minute only that
    nothing has happened since other pods were deleted."""
    pods = f"/api/v1/namespaces/{place.namespace}/pods"
    for pod in place.kube.list(pods):
        name = pod["metadata"]["name"]
        place.kube.merge(f"{pods}/{name}", {"metadata": {"annotations": {"touched": "1"}}})
