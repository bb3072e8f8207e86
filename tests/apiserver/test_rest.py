"""What a live rollout at rest costs the API server, request by request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from standin.driver import Operator, start_operator
from standin.place import ROLLOUT, Place
from standin.story import is_live
from standin.wire import Wire

from harness.waiting import NotYetError, wait_for
from xcom_rollout.controller.lease import since_boot
from xcom_rollout.controller.reconcile import LONGEST_UNSEEN, Key, Reconciler, utc_now
from xcom_rollout.decide.actions import Action, ProveWayBack, RunJob, WriteLedger
from xcom_rollout.decide.observed import Observed
from xcom_rollout.decide.way_back import INTERVAL
from xcom_rollout.stored.rollouts import read_rollout

HOUR = timedelta(hours=1)


@dataclass
class Time:
    """The operator's clocks: put forward until it does what is due then, and back after it.

    What is recorded has the API server's time, which nobody can put forward.
    """

    ahead: timedelta = timedelta(0)
    passed: timedelta = timedelta(0)
    """By the clock that is never put back."""
    done: list[type[Action]] = field(default_factory=list)

    def now(self) -> datetime:
        return utc_now() + self.ahead

    def monotonic(self) -> float:
        return since_boot() + self.passed.total_seconds()

    def after(self, perform: Callable[[Observed, Action], str | None]) -> Callable[..., str | None]:
        def act(observed: Observed, action: Action) -> str | None:
            said = perform(observed, action)
            self.done.append(type(action))
            if isinstance(action, RunJob | ProveWayBack):
                self.ahead = timedelta(0)
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
        found = self.wire.asked[before:]
        print(f"{what}: {len(found)}", *found, sep="\n  ")
        return Counter(found)

    def census(self) -> Counter[str]:
        """Let the next census be due, and return what it costs."""
        interval = self._interval()
        self.time.ahead, self.time.passed = interval, self.time.passed + interval
        self.time.done.clear()
        return self.asked("a census", lambda: self.time.done[-2:] == [RunJob, WriteLedger])

    def way_back(self) -> Counter[str]:
        """Let the way back be asked for again, and return what that costs."""
        self.time.ahead = INTERVAL
        self.time.done.clear()
        return self.asked("the way back", lambda: self.time.done == [ProveWayBack])

    def look(self) -> Counter[str]:
        """Let the hourly look be due, and return what it costs."""
        self.passes.settled[self.key] -= LONGEST_UNSEEN
        return self.asked("a look", lambda: True)

    def _interval(self) -> timedelta:
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


def test_an_hour_of_a_live_rollout_at_rest(rest: Rest) -> None:
    rest.census()
    rest.census()
    rest.census()
    rest.way_back()
    rest.look()
