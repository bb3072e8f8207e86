"""Waiting for a condition, with a deadline and an account of what was last seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from harness.shell import HarnessError

T = TypeVar("T")


class WaitTimeoutError(HarnessError):
    """A condition did not come true in time; the message holds what was last seen."""


class NotYetError(Exception):
    """Raised inside a predicate: not yet; the message is what was seen instead."""


def wait_for(
    what: str,
    predicate: Callable[[], T],
    deadline: float,
    *,
    interval: float = 0.2,
    on_timeout: Callable[[], str] | None = None,
) -> T:
    """Call `predicate` until it returns something true, and return that.

    A predicate that is not satisfied returns something false, or raises `NotYetError` or any
    `HarnessError` (such as a refused kubectl call): its text is then what was last seen.

    Args:
        what: the condition in words, for the error.
        predicate: asks the world once.
        deadline: seconds from now.
        interval: seconds between two calls.
        on_timeout: asked for more to print when the deadline has passed.

    Raises:
        WaitTimeoutError: the deadline passed.
    """
    begin = time.monotonic()
    while True:
        try:
            seen = predicate()
            if seen:
                return seen
            last = repr(seen)
        except (NotYetError, HarnessError) as error:
            last = str(error)
        passed = time.monotonic() - begin
        if passed >= deadline:
            more = f"\n{on_timeout()}" if on_timeout is not None else ""
            raise WaitTimeoutError(
                f"{what}: not seen within {deadline:g} s; last seen: {last}{more}"
            )
        time.sleep(min(interval, max(0.0, deadline - passed)))
