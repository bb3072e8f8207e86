"""Simulated time: whole seconds, and the events that happen at them."""

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

START: Final = datetime(2026, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=65536)
def moment(seconds: int) -> datetime:
    """Return a simulated second as a time."""
    return START + timedelta(seconds=seconds)


class Clock:
    """A queue of events. Time jumps from one event to the next."""

    def __init__(self) -> None:
        self.now = 0
        """Seconds since START."""
        self.happened = 0
        """Number of events so far: unchanged means that the world has not changed on its own."""
        self.after_each: Callable[[], None] = lambda: None
        """Called after the events of each second: the scheduler's loop."""
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._serial = 0

    def at(self, second: int, event: Callable[[], None]) -> None:
        """Let `event` happen at `second`; at once where that has passed."""
        self._serial += 1
        heapq.heappush(self._events, (second, self._serial, event))

    def after(self, seconds: int, event: Callable[[], None]) -> None:
        """Let `event` happen in so many seconds."""
        self.at(self.now + seconds, event)

    def next(self) -> int | None:
        """Return the second of the next event; None where nothing will happen."""
        return self._events[0][0] if self._events else None

    def advance(self, second: int) -> None:
        """Let time pass until `second`, with all that happens on the way."""
        self.after_each()
        while self._events and self._events[0][0] <= second:
            self.now = max(self.now, self._events[0][0])
            while self._events and self._events[0][0] <= self.now:
                self.happened += 1
                heapq.heappop(self._events)[2]()
            self.after_each()
        self.now = max(self.now, second)
