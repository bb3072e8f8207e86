"""Consecutive failed passes: since when, and the message about them."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from xcom_rollout.api.durations import format_duration
from xcom_rollout.decide.actions import Action, ForgetDelivery, InspectBuilds, SetValues
from xcom_rollout.decide.aside import Asides, put_aside, still_wanted, taken_up
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.decide.requests import kill_request
from xcom_rollout.decide.summarize import failure_lasts

K = TypeVar("K", bound=Hashable)

PATIENCE: Final = timedelta(minutes=5)
"""How long passes may fail before a person is needed."""
PATIENCE_IN_KILL: Final = timedelta(minutes=3)
"""The same where a kill is requested: as long as the replacement of an API server may take."""

NO_PROGRESS: Final = (ForgetDelivery, InspectBuilds)
"""Actions that may succeed repeatedly while another one fails: the first undoes an interrupted try,
the second only reads."""


@dataclass(frozen=True)
class Failing:
    """The passes over a rollout fail."""

    since: datetime
    tried: str
    """The action that failed last; empty where none was tried, because nothing could be read."""
    lasting: bool = False

    def tries_again(self, action: Action | None) -> bool:
        """Whether the action is the one that failed."""
        return action is not None and action.describe() == self.tried


class Failures(Generic[K]):
    """Records which rollouts' passes fail, until one succeeds. For threads with different keys.

    Kept in memory. After a restart a lasting failure is taken from the status, so that the restart
    neither reports success nor asks for a person a second time. The time of a recent one begins
    again: the status has no field for it, and a restart is a reason to try for a while.
    """

    def __init__(self) -> None:
        self._of: dict[K, Failing | None] = {}
        """None for a rollout whose last pass succeeded; no entry before its first pass."""
        self._asides: dict[K, Asides] = {}

    def of(self, key: K, previous: Mapping[str, Any], now: datetime) -> Failing | None:
        """Return the present failure, None where there is none.

        Args: `previous` is the status, for the first pass of this process.
        """
        if key not in self._of:
            shown = failure_lasts(previous)
            self._of[key] = Failing(since=now, tried="", lasting=True) if shown else None
        return self._of[key]

    def failed(
        self, key: K, previous: Mapping[str, Any], now: datetime, patience: timedelta, tried: str
    ) -> Failing:
        """Record that a pass failed, and return the failure with its duration."""
        before = self.of(key, previous, now) or Failing(since=now, tried="")
        lasting = before.lasting or now - before.since >= patience
        failing = replace(before, tried=tried or before.tried, lasting=lasting)
        self._of[key] = failing
        return failing

    def succeeded(self, key: K, action: Action) -> None:
        """Record that an action succeeded: an earlier failure does not last."""
        failing = self._of.get(key)
        own = failing is not None and failing.tries_again(action)
        if own or not isinstance(action, NO_PROGRESS):
            self.over(key)

    def asides_of(self, key: K, now: datetime) -> Asides:
        """Return the steps that are put off, because their action failed and may be retried."""
        return still_wanted(self._asides.get(key, {}), now)

    def put_off(self, key: K, step: str, message: str, now: datetime) -> None:
        """Record that the action of a non-blocking step failed."""
        self._asides[key] = put_aside(self.asides_of(key, now), step, message, now)

    def done(self, key: K, step: str) -> None:
        """Record that the action of a step succeeded."""
        if key in self._asides:
            self._asides[key] = taken_up(self._asides[key], step)

    def over(self, key: K) -> None:
        """Record that a pass has ended without failure."""
        self._of[key] = None

    def forget(self, key: K) -> None:
        """Drop everything about a rollout that is gone."""
        self._of.pop(key, None)
        self._asides.pop(key, None)


def patience_for(rollout: Rollout, status: Mapping[str, Any]) -> timedelta:
    """Return how long passes over the rollout may fail before a person is needed."""
    kill = status.get("killSwitch") or {}
    goes_on = bool(kill) and not kill.get("finishedAt")
    return PATIENCE_IN_KILL if goes_on or kill_request(rollout) is not None else PATIENCE


def of_lasting(message: str, rollout: Rollout, patience: timedelta, action: Action | None) -> str:
    """Return the message about a lasting failure: the failure, and the remedy."""
    lines = [
        message,
        f"Each try of the last {format_duration(patience)} or more has failed; the operator keeps "
        "retrying",
    ]
    if isinstance(action, SetValues):
        release = rollout.spec.airflow.release
        lines.append(f"What Helm did: helm history {release} -n {rollout.namespace}")
        if action.way_back:
            lines.append(
                "If Helm cannot deliver, do this step manually: docs/runbooks/kill-switch.md"
            )
    return ". ".join(lines)
