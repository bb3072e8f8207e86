"""A work queue of keys, and the threads that work on it.

A key stands for an object whose whole state is read again, so keys carry nothing else: adding one
that already waits changes nothing, and one that is being worked on waits until that pass is over.
Delays and the back-off after errors belong to the queue, so that a pass never sleeps.

Urgent keys, those of kills, are taken first. Neither they nor the others get the last worker: a
kill never waits for slow passes over other rollouts, and endless kills do not starve the others.
"""

import heapq
import itertools
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from datetime import timedelta
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_RETRY: Final = timedelta(seconds=1)
LONGEST_RETRY: Final = timedelta(seconds=60)

log = logging.getLogger(__name__)


def spread() -> float:
    """Return a factor from 0.8 to 1.2, so that simultaneous failures are not retried together."""
    return random.uniform(0.8, 1.2)  # noqa: S311  spreads retries, guards nothing


def longest_retry(error: Exception) -> timedelta:
    """Return how long to wait at most between passes that end with `error`.

    An error may have an attribute `retry_after`, the seconds after which a retry makes sense; the
    back-off grows to four times that.
    """
    after = getattr(error, "retry_after", None)
    if not isinstance(after, (int, float)):
        return LONGEST_RETRY
    return min(LONGEST_RETRY, timedelta(seconds=4 * after))


class WorkQueue(Generic[K]):
    """Keys to work on, each at most once at a time. Safe to use from several threads."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = spread,
    ) -> None:
        """Args: `clock` gives seconds, `jitter` the factor of each retry's delay."""
        self._clock = clock
        self._jitter = jitter
        self._changed = threading.Condition()
        self._ready: deque[K] = deque()
        self._waiting: set[K] = set()
        """Keys that are ready, or will be as soon as their current pass is over."""
        self._working: dict[K, bool] = {}
        """Keys in work, and whether each was urgent when it was taken."""
        self._urgent: set[K] = set()
        self._due: dict[K, float] = {}
        self._timers: list[tuple[float, int, K]] = []
        """A heap. An entry is valid only while `_due` has its time for the key."""
        self._numbers = itertools.count()
        self._failures: dict[K, int] = {}
        self._hastened: dict[K, float] = {}
        """When the last hastened pass is, or was, due."""
        self._closed = False

    def add(self, key: K) -> None:
        """Request a pass over `key` as soon as possible."""
        with self._changed:
            self._add(key)

    def mark(self, key: K, *, urgent: bool) -> None:
        """Set whether `key` is taken before others, from now on."""
        with self._changed:
            if urgent:
                self._urgent.add(key)
            else:
                self._urgent.discard(key)
                self._hastened.pop(key, None)
            self._changed.notify_all()

    def add_after(self, key: K, delay: timedelta) -> None:
        """Request a pass over `key` after `delay`, or earlier where one is already requested."""
        with self._changed:
            due = self._clock() + delay.total_seconds()
            if self._closed or self._due.get(key, due + 1) <= due:
                return
            self._due[key] = due
            heapq.heappush(self._timers, (due, next(self._numbers), key))
            self._changed.notify_all()

    def hasten(self, key: K, delay: timedelta, apart: timedelta) -> None:
        """Request a pass over `key` after `delay`, for frequent events.

        Not sooner than `apart` after the last one requested this way; and not while passes over the
        key fail, because their back-off must be kept.
        """
        with self._changed:
            if key in self._failures:
                return
            now = self._clock()
            last = self._hastened.get(key, now - apart.total_seconds())
            due = max(now + delay.total_seconds(), last + apart.total_seconds())
            if due < self._due.get(key, due + 1):
                self._hastened[key] = due
                self.add_after(key, timedelta(seconds=due - now))

    def add_failed(self, key: K, longest: timedelta = LONGEST_RETRY) -> timedelta:
        """Request another pass over `key` after its back-off, and return that delay.

        The back-off begins at a second and doubles up to `longest`.
        """
        with self._changed:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            doubled = FIRST_RETRY.total_seconds() * 2.0 ** min(failures, 16)
            delay = min(timedelta(seconds=doubled), longest) * self._jitter()
        self.add_after(key, delay)
        return delay

    def forget_failures(self, key: K) -> None:
        """Reset the back-off of `key`."""
        with self._changed:
            self._failures.pop(key, None)

    def get(self, *, wait: bool = True, most: int | None = None) -> K | None:
        """Return a key to work on; `done` must follow.

        Delayed requests for `key` are dropped: the pass that begins sees everything.

        Args:
            wait: whether to wait for a key; without it None means that none can be taken.
            most: limit of urgent keys in work at a time, and of others.

        Returns None when the queue is closed, even where keys are left.
        """
        with self._changed:
            while not self._closed:
                next_due = self._wake_due()
                key = self._next(most)
                if key is not None:
                    self._ready.remove(key)
                    self._waiting.discard(key)
                    self._due.pop(key, None)
                    self._working[key] = key in self._urgent
                    return key
                if not wait:
                    return None
                self._changed.wait(None if next_due is None else next_due - self._clock())
            return None

    def done(self, key: K) -> None:
        """Record that the pass over `key` is over."""
        with self._changed:
            self._working.pop(key, None)
            if key in self._waiting:
                self._ready.append(key)
            self._changed.notify_all()

    def close(self) -> None:
        """Return no more keys and wake all threads that wait for one."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def closed(self) -> bool:
        with self._changed:
            return self._closed

    def __len__(self) -> int:
        """Number of keys that wait for a worker, without delayed ones."""
        with self._changed:
            return len(self._waiting)

    def _add(self, key: K) -> None:
        if self._closed or key in self._waiting:
            return
        self._waiting.add(key)
        if key not in self._working:
            self._ready.append(key)
            self._changed.notify_all()

    def _next(self, most: int | None) -> K | None:
        """Return the next ready key, None where none may be taken now."""
        for urgent in (True, False):
            taken = sum(was_urgent is urgent for was_urgent in self._working.values())
            if most is None or taken < most:
                for key in self._ready:
                    if (key in self._urgent) is urgent:
                        return key
        return None

    def _wake_due(self) -> float | None:
        """Make due keys ready, and return when the next is due, in the clock's seconds."""
        now = self._clock()
        while self._timers:
            due, _, key = self._timers[0]
            if self._due.get(key) != due:
                heapq.heappop(self._timers)
            elif due <= now:
                heapq.heappop(self._timers)
                del self._due[key]
                self._add(key)
            else:
                return due
        return None


class Workers(Generic[K]):
    """Threads that work on the keys of a queue."""

    def __init__(
        self,
        queue: WorkQueue[K],
        work: Callable[[K], timedelta | None],
        *,
        count: int = 4,
    ) -> None:
        """Create the threads.

        Args:
            work: makes one pass and returns when to make the next; None means: on request. A pass
                that raises is repeated after a back-off.
            count: number of threads; at least two, so that one is left for urgent keys.
        """
        self._queue = queue
        self._work = work
        count = max(count, 2)
        self._most = count - 1
        self._threads = [
            threading.Thread(target=self._run, name=f"worker-{number}") for number in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Wait until each running pass has ended."""
        self._queue.close()
        for thread in self._threads:
            thread.join()

    def alive(self) -> bool:
        """Whether every thread runs: a dead one means a bug in this module."""
        return all(thread.is_alive() for thread in self._threads)

    def run_one(self) -> bool:
        """Make one pass, if a key is ready; return whether one was made."""
        key = self._queue.get(wait=False)
        if key is None:
            return False
        self._pass(key)
        return True

    def _run(self) -> None:
        while (key := self._queue.get(most=self._most)) is not None:
            self._pass(key)

    def _pass(self, key: K) -> None:
        try:
            after = self._work(key)
        except Exception as error:
            delay = self._queue.add_failed(key, longest_retry(error))
            log.exception(
                "pass failed",
                extra={
                    "key": str(key),
                    "error": str(error),
                    "retry_seconds": round(delay.total_seconds(), 1),
                },
            )
        else:
            self._queue.forget_failures(key)
            if after is not None:
                self._queue.add_after(key, after)
        finally:
            self._queue.done(key)
