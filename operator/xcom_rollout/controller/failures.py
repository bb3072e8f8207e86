"""Passes that end in failure, one after the other: since when, and what a person is told of it."""

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
"""How long passes may fail before a person is asked for."""
PATIENCE_IN_KILL: Final = timedelta(minutes=3)
"""The same where a kill is asked for: as long as an API server may take to be replaced."""

NO_PROGRESS: Final = (ForgetDelivery, InspectBuilds)
"""Actions that may succeed again and again beside one that fails: the first takes back a try that
was cut off, the second only looks."""


@dataclass(frozen=True)
class Failing:
    """The passes over a rollout fail."""

    since: datetime
    tried: str
    """What could not be done at last; empty where nothing was tried, for nothing could be seen."""
    lasting: bool = False

    def tries_again(self, action: Action | None) -> bool:
        """Whether the action is the one that could not be done."""
        return action is not None and action.describe() == self.tried


class Failures(Generic[K]):
    """Remembers which rollouts' passes fail, until one succeeds. For threads with different keys.

    Kept in memory. After a restart a failure that had lasted is taken from the status, so that the
    restart neither says that all is well nor asks for a person a second time. The time of a younger
    one begins anew: the status has no place for it, and a restart is a reason to try for a while.
    """

    def __init__(self) -> None:
        self._of: dict[K, Failing | None] = {}
        """None for a rollout whose last pass succeeded; without an entry none was made yet."""
        self._asides: dict[K, Asides] = {}

    def of(self, key: K, previous: Mapping[str, Any], now: datetime) -> Failing | None:
        """Return the failure that goes on, None where there is none.

        Args: `previous` is the status, for the first pass of this process.
        """
        if key not in self._of:
            shown = failure_lasts(previous)
            self._of[key] = Failing(since=now, tried="", lasting=True) if shown else None
        return self._of[key]

    def failed(
        self, key: K, previous: Mapping[str, Any], now: datetime, patience: timedelta, tried: str
    ) -> Failing:
        """Say that a pass failed, and return for how long that has gone on."""
        before = self.of(key, previous, now) or Failing(since=now, tried="")
        lasting = before.lasting or now - before.since >= patience
        failing = replace(before, tried=tried or before.tried, lasting=lasting)
        self._of[key] = failing
        return failing

    def succeeded(self, key: K, action: Action) -> None:
        """Say that an action was done: what failed before it does not last."""
        failing = self._of.get(key)
        own = failing is not None and failing.tries_again(action)
        if own or not isinstance(action, NO_PROGRESS):
            self.over(key)

    def asides_of(self, key: K, now: datetime) -> Asides:
        """Return the steps that are put off, for their action failed and may be tried again."""
        return still_wanted(self._asides.get(key, {}), now)

    def put_off(self, key: K, step: str, message: str, now: datetime) -> None:
        """Say that the action of a step failed that no other step waits for."""
        self._asides[key] = put_aside(self.asides_of(key, now), step, message, now)

    def done(self, key: K, step: str) -> None:
        """Say that the action of a step was done."""
        if key in self._asides:
            self._asides[key] = taken_up(self._asides[key], step)

    def over(self, key: K) -> None:
        """Say that a pass came to its end."""
        self._of[key] = None

    def forget(self, key: K) -> None:
        """Keep nothing of a rollout that is gone."""
        self._of.pop(key, None)
        self._asides.pop(key, None)


def patience_for(rollout: Rollout, status: Mapping[str, Any]) -> timedelta:
    """Return how long passes over the rollout may fail before a person is asked for."""
    kill = status.get("killSwitch") or {}
    goes_on = bool(kill) and not kill.get("finishedAt")
    return PATIENCE_IN_KILL if goes_on or kill_request(rollout) is not None else PATIENCE


def of_lasting(message: str, rollout: Rollout, patience: timedelta, action: Action | None) -> str:
    """Return what a person is told of a failure that lasts: the failure, and what helps."""
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
