"""Waiting for a kill: when to stop, with which exit code, and what to print then."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from xcom_rollout.api.names import LABEL_ROLLOUT, Condition
from xcom_rollout.cli.kill_state import (
    KillState,
    back_already,
    finished,
    kill_of,
    stalled,
    state_of,
)
from xcom_rollout.cli.options import EXIT_DONE, EXIT_GOING_ON, EXIT_STALLED
from xcom_rollout.cli.output import lasting, width, wrapped
from xcom_rollout.cli.story import condition, headline, troubled
from xcom_rollout.decide.summarize import ACTION_FAILED, FAILED, OBSERVE_FAILED
from xcom_rollout.stored.rollouts import Raw

PATIENCE: Final = 30.0
"""Seconds for which a kill may be stalled while it is waited for."""


class Outcome(StrEnum):
    """How the wait for a kill ended."""

    FINISHED = "finished"
    NOTHING_TO_DO = "nothing to do"
    """An earlier kill has restored the database backend, and the operator starts no other."""
    STALLED = "stalled"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"

    @property
    def exit_code(self) -> int:
        if self in (Outcome.FINISHED, Outcome.NOTHING_TO_DO):
            return EXIT_DONE
        return EXIT_STALLED if self is Outcome.STALLED else EXIT_GOING_ON


class Wait:
    """Decides, for successive states of a rollout, whether to continue waiting.

    The operator recovers by itself from many stalls, such as a late answer of Airflow's API. A
    lasting one needs a person.
    """

    def __init__(
        self,
        *,
        after: int | None = None,
        timeout: timedelta | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start before anything is seen.

        Args:
            after: number of a kill that does not count, as in `kill_state.answered`.
            timeout: how long to wait at most; None for no limit.
            clock: gives seconds.
        """
        self._after = after
        self._clock = clock
        self._until = None if timeout is None else clock() + timeout.total_seconds()
        self._seen: tuple[Outcome, float] | None = None
        self.outcome = Outcome.INTERRUPTED

    def __call__(self, raw: Raw) -> bool:
        """Whether the wait is over; `outcome` then says how."""
        if finished(raw, self._after):
            self.outcome = Outcome.FINISHED
            return True
        lasts = self._lasts(raw)
        if lasts is not None:
            self.outcome = lasts
            return True
        if self._until is not None and self._clock() >= self._until:
            self.outcome = Outcome.TIMEOUT
            return True
        return False

    def _lasts(self, raw: Raw) -> Outcome | None:
        """Return the outcome that has been seen without a break for `PATIENCE`."""
        if stalled(raw):
            shown = Outcome.STALLED
        elif back_already(raw, self._after):
            # What is seen may be from before the request: it counts if it lasts.
            shown = Outcome.NOTHING_TO_DO
        else:
            self._seen = None
            return None
        now = self._clock()
        if self._seen is None or self._seen[0] is not shown:
            self._seen = (shown, now)
        return shown if now - self._seen[1] >= PATIENCE else None


def report(raw: Raw, outcome: Outcome) -> list[str]:
    """Return what the outcome of the wait means, for people, and useful commands."""
    if outcome is Outcome.FINISHED:
        return ["The kill has finished."]
    if outcome is Outcome.NOTHING_TO_DO:
        return [
            f"Kill {kill_of(raw)['attempt']} had finished before this request, and the release "
            "still holds what it delivered: there is nothing to do."
        ]
    if outcome is Outcome.STALLED:
        return stall(raw)
    first = "The wait was interrupted. The kill continues in the cluster."
    if outcome is Outcome.TIMEOUT:
        first = "The wait reached its --timeout. The kill continues in the cluster."
    return [first, *(f"  {line}" for line in wrapped(headline(raw), width() - 2)), *_follow(raw)]


def stall(raw: Raw) -> list[str]:
    """Return what is stalled, which runs have problems, and useful commands."""
    found = condition(raw, Condition.STALLED)
    reason = str(found.get("reason", "Stalled"))
    lines = [f"Stalled for {lasting(timedelta(seconds=PATIENCE))}: {reason}"]
    lines += [f"  {line}" for line in wrapped(str(found.get("message", "")), width() - 2)]
    lines += troubled(kill_of(raw), indent=2)
    goes_on = (
        "The operator continues with everything else, and with this step when its cause is gone."
    )
    lines.append(_BLOCKED if reason in FAILED else goes_on)
    if command := _HELPS.get(reason):
        lines.append(f"Look:    {command.format(**_fields(raw))}")
    return [*lines, *_follow(raw)]


_BLOCKED: Final = "The kill is blocked until the cause is gone; the operator keeps retrying."
_HELPS: Final[Mapping[str, str]] = {
    "AirflowApiUnreachable": "kubectl get pods,services -n {namespace} -l release={release}",
    "CensusFailed": "kubectl get jobs,pods -n {namespace} -l {label}={name}",
    "EmptyingFailed": "kubectl get jobs,pods -n {namespace} -l {label}={name}",
    "FinishedRunsRemain": "kubectl get jobs,pods -n {namespace} -l {label}={name}",
    "RehydrationFailed": "kubectl get jobs,pods -n {namespace} -l {label}={name}",
    "NoAirflowPods": "kubectl get deployments,statefulsets,pods -n {namespace} "
    "-l release={release}",
    "PodNotConfirmed": "kubectl describe pods -n {namespace} -l release={release}",
    "ReleaseNotFound": "helm list -a -n {namespace}",
    OBSERVE_FAILED: "kubectl logs -n xcom-rollout deploy/xcom-rollout --since=10m",
    ACTION_FAILED: "helm history {release} -n {namespace}",
}
"""Commands that show the cause, for reasons whose message contains none."""


def _fields(raw: Raw) -> dict[str, Any]:
    metadata = raw["metadata"]
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "release": raw["spec"]["airflow"]["release"],
        "label": LABEL_ROLLOUT,
    }


def _follow(raw: Raw) -> list[str]:
    metadata = raw["metadata"]
    name, where = metadata["name"], metadata["namespace"]
    lines = [f"Follow:  xbr status {name} -n {where} -w"]
    if state_of(raw) is not KillState.NOT_BEGUN:
        lines.append(f"Runs:    kubectl get cm xbr-{name}-kill-runs -n {where} -o yaml")
    return lines
