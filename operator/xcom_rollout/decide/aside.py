"""Steps whose action failed: they are put off, so that the steps after them are evaluated.

Only steps that do not block: what depends on them waits anyway, and the others must not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from xcom_rollout.decide.decision import Finding, Progress

FIRST_RETRY: Final = timedelta(seconds=2)
LONGEST_RETRY: Final = timedelta(minutes=1)
LASTS: Final = timedelta(minutes=3)
"""How long an action may fail before a person is needed."""


@dataclass(frozen=True)
class Aside:
    """The action of a step has failed at each of the last tries.

    Attributes:
        message: the error of the last try.
    """

    message: str
    since: datetime
    tries: int
    next_try: datetime


Asides = Mapping[str, Aside]
"""By the name of the step."""


def put_aside(asides: Asides, step: str, message: str, now: datetime) -> Asides:
    """Return the steps put off, after another failed try of `step`."""
    before = asides.get(step)
    tries = before.tries if before else 0
    delay = min(FIRST_RETRY * 2 ** min(tries, 10), LONGEST_RETRY)
    since = before.since if before else now
    return {**asides, step: Aside(message, since, tries + 1, now + delay)}


def taken_up(asides: Asides, step: str) -> Asides:
    """Return the steps put off, once the action of `step` was done."""
    return {name: aside for name, aside in asides.items() if name != step}


def still_wanted(asides: Asides, now: datetime) -> Asides:
    """Return the steps put off without those not tried again: their cause has gone away.

    A later failure of the same step starts a new count.
    """
    return {
        name: aside for name, aside in asides.items() if now - aside.next_try < 2 * LONGEST_RETRY
    }


def put_off(finding: Finding, aside: Aside, now: datetime) -> Finding:
    """Return the finding of a step whose action failed: it waits for its next try."""
    due = now >= aside.next_try
    if now - aside.since < LASTS:
        if due:
            return finding
        return Finding(
            Progress.WAITING,
            "ActionPutOff",
            f"{aside.message}; the next try is at {aside.next_try:%H:%M:%SZ}",
            after=aside.next_try - now,
        )
    return replace(
        finding,
        progress=Progress.HELD,
        reason="ActionPutOff",
        message=f"{aside.message}. Every try since {aside.since:%H:%M:%SZ} has failed. The "
        "operator keeps trying; steps that do not need this one continue",
        action=finding.action if due else None,
        after=timedelta(0) if due else aside.next_try - now,
    )
