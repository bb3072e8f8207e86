"""Pass after pass: observe, decide, write the status, act, until there is nothing left to do.

Every pass starts from the world. After one that found nothing to do, a glance at a cache is enough
to see that this has not changed; an effect is decided on a look at the API server itself. Only
failures are remembered from earlier passes, and they only delay another try, so the operator may be
stopped at any point and continue from there.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from xcom_rollout.api.names import Condition
from xcom_rollout.api.parse import SpecInvalidError
from xcom_rollout.clients.errors import Conflict, ExternalError
from xcom_rollout.controller.events import Note, Recorder, Severity, notes_of
from xcom_rollout.controller.failures import Failures, of_lasting, patience_for
from xcom_rollout.controller.lease import StandsBy, Unleased
from xcom_rollout.controller.status_diff import differs, transitions, without_nulls, worth_reporting
from xcom_rollout.decide.actions import Action, WriteLedger
from xcom_rollout.decide.core import decide
from xcom_rollout.decide.decision import Decision, Progress
from xcom_rollout.decide.observed import Observed, Rollout
from xcom_rollout.decide.summarize import (
    ACTION_FAILED,
    INVALID_SPEC,
    OBSERVE_FAILED,
    failure,
    failure_lasts,
    still_failing,
    summarize,
)
from xcom_rollout.stored.rollouts import (
    ConflictError,
    Raw,
    Rollouts,
    is_deleting,
    is_kept,
    read_rollout,
)

MOST_ON_ONE_LOOK: Final = 4
"""Most decisions that may use one look at the world."""
MOST_PASSES: Final = 50
"""Most consecutive passes over one rollout before the others have their turn."""

PATIENT_PASSES: Final = 4
"""Passes over a held rollout before they become rarer."""
LONGEST_UNSEEN: Final = timedelta(hours=1)
"""Longest time for which glances at the cache are enough: no cache is trusted forever."""
LONGEST_HELD: Final = timedelta(minutes=1)
"""Longest time between passes over a held rollout."""
LONGEST_IN_KILL: Final = timedelta(seconds=10)
"""The same while a kill waits, such as for a task that takes hours. Most of what it waits for has
no event: a Celery task that ends, Airflow's API that answers again, a DAG that is unpaused. Its
passes without work cost the API server nothing, so they need not be rarer."""

STANDING_BY: Final = "StandingBy"
"""Reason of the Event that another operator acts."""
NO_LEASE: Final = "LeaseForbidden"
"""Reason of the Event that nothing prevents another operator from acting."""
ACTION_REMARK: Final = "ActionRemark"
"""Reason of an Event about how an action was done: a key that was kept, a rollback instead."""

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, order=True)
class Key:
    """Identifies a rollout."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Patience:
    """Checks less often what has been held for long.

    A remedy that causes no event is only seen by a pass. Somebody who has just been informed acts
    within minutes; a rollout that is held for hours need not cost as much as one in progress. Kept
    in memory: losing it costs a few requests.
    """

    def __init__(self) -> None:
        self._calm: dict[Key, int] = {}

    def after(
        self, key: Key, asked: timedelta, *, calm: bool, longest: timedelta = LONGEST_HELD
    ) -> timedelta:
        """Return when to make the next pass.

        Args:
            calm: whether this pass found the rollout waiting, like the previous one, unchanged.
            longest: upper limit of the time between passes.
        """
        if not calm:
            self._calm.pop(key, None)
            return asked
        passes = self._calm[key] = self._calm.get(key, 0) + 1
        slower = min(asked * max(1.0, passes / PATIENT_PASSES), longest)
        return max(asked, slower)


@dataclass(frozen=True)
class Reconciler:
    """Advances rollouts. Safe to use from several threads, for different keys."""

    rollouts: Rollouts
    recorder: Recorder
    observe: Callable[[Rollout], Observed]
    perform: Callable[[Observed, Action], str | None]
    """Performs an action; returns what people have to know about it, if anything."""
    now: Callable[[], datetime] = utc_now
    stopping: Callable[[], bool] = lambda: False
    """Whether to leave further passes to the next start of the operator."""
    same_look: Callable[[Observed], Observed | None] = lambda _: None
    """Returns what was observed, with the current ledger; None where that needs another look at the
    world."""
    glance: Callable[[Rollout], Observed] | None = None
    """Returns what a cache shows, which may be slightly behind; None: there are no glances."""
    is_cached: Callable[[str], bool] = lambda _: True
    """Whether the cache holds a namespace by now; else a glance would cost what a look costs."""
    upkeep: Callable[[Observed, Action], str | None] | None = None
    """As `perform`, for what is started at a glance: it may read from the cache too."""
    patience: Patience = field(default_factory=Patience)
    failures: Failures[Key] = field(default_factory=Failures)
    hold: Callable[[str], None] = lambda _: None
    """Called with the namespace before anything is written there; raises `StandsBy` where another
    operator acts."""
    let_go: Callable[[Key], bool] = lambda _: False
    """Called for a rollout that is deleted and kept for its kill: removes the finalizer where the
    whole namespace is being deleted, and returns whether it is. No look is possible there, because
    the operator's rights are deleted with it."""
    standing_by: dict[Key, str] = field(default_factory=dict)
    """Why nothing is written, for rollouts of another operator."""
    settled: dict[Key, datetime] = field(default_factory=dict)
    """When a look found nothing to do, for rollouts where no pass has found anything since."""
    known: set[Key] = field(default_factory=set)
    """Rollouts over which a pass was made since the start."""

    def __call__(self, key: Key) -> timedelta | None:
        """Make passes over the rollout until there is nothing to do.

        Returns when to make the next pass; None when only a change of the resource can matter.

        Raises any error, after having reported it in the status.
        """
        try:
            return self._passes(key)
        except StandsBy as other:
            self._report_standing_by(key, other.message)
            return timedelta(seconds=other.retry_after)

    def _passes(self, key: Key) -> timedelta | None:
        for _ in range(MOST_PASSES):
            if self._may_glance(key) and (rest := self._glance(key)) is not None:
                if rest.over:
                    return rest.look_again
                continue
            self.settled.pop(key, None)
            raw = self.rollouts.get(key.namespace, key.name)
            if raw is None or _is_gone(raw):
                self.failures.forget(key)
                self.known.discard(key)
                return None
            try:
                if _is_held_back(raw) and self.let_go(key):
                    continue
                rest = self._pass(key, raw)
            except (ConflictError, Conflict):
                continue  # somebody else was faster: look again
            if rest.over:
                self.settled[key] = self.now()
                return rest.look_again
            if self.stopping():
                break
        return timedelta(0)

    def _may_glance(self, key: Key) -> bool:
        if key not in self.known:
            # The cache was listed just now, by this process. A thousand rollouts at rest that each
            # got a look would keep the API server busy at each start; they get one with the next
            # pass, each at its own time.
            self.known.add(key)
            return self.is_cached(key.namespace)
        looked = self.settled.get(key)
        return looked is not None and timedelta(0) <= self.now() - looked < LONGEST_UNSEEN

    def _glance(self, key: Key) -> "_Rest | None":
        """Return the result of a pass over the cache; None where a look at the world is needed.

        A cache may be behind, so it is never a reason to act or to report trouble: whatever a
        glance cannot see, or finds to be wrong, gets a look. Only upkeep is started at a glance,
        such as a census while there is no problem: it changes nothing in Airflow.
        """
        if self.glance is None:
            return None
        try:
            raw = self.rollouts.get(key.namespace, key.name, glance=True)
            if raw is None or _is_gone(raw):
                return None
            rollout = read_rollout(raw)
            observed, now = self.glance(rollout), self.now()
            decision = decide(observed, now, self.failures.asides_of(key, now))
        except (SpecInvalidError, ExternalError):
            return None
        except Exception:
            # Whatever it is, a look finds and reports it too, or shows that only the cache has it.
            log.exception("a glance failed", extra={"rollout": str(key)})
            return None
        progress = decision.current.finding.progress
        if decision.action is not None and progress is not Progress.DONE:
            return None
        if progress is Progress.HELD and not _shows(raw, decision):
            return None
        try:
            return self._decide_and_act(key, raw, rollout, (observed, decision, now))[0]
        except (ConflictError, Conflict):
            return None
        except Exception:
            self.settled.pop(key, None)
            raise

    def _pass(self, key: Key, raw: Raw) -> "_Rest":
        try:
            rollout = read_rollout(raw)
        except SpecInvalidError as invalid:
            self.failures.over(key)
            self._report_failure(key, raw, INVALID_SPEC, str(invalid), accepted=False)
            return _Rest(over=True)
        rest, raw, seen = self._decide_and_act(key, raw, rollout, None)
        for _ in range(MOST_ON_ONE_LOOK - 1):
            if seen is None or self.stopping():
                break
            rest, raw, seen = self._decide_and_act(key, raw, rollout, seen)
        return rest

    def _decide_and_act(
        self,
        key: Key,
        raw: Raw,
        rollout: Rollout,
        seen: Observed | tuple[Observed, Decision, datetime] | None,
    ) -> tuple["_Rest", Raw, Observed | None]:
        """Return whether the passes are over, the resource, and a look that can be reused.

        Args:
            seen: a look to reuse here; or one with the decision made on it, and when: at another
                time the decision could be another one.
        """
        previous = raw.get("status") or {}
        try:
            if isinstance(seen, tuple):
                observed, decision, now = seen
                asides = self.failures.asides_of(key, now)
            else:
                observed = seen or self.observe(rollout)
                now = self.now()
                asides = self.failures.asides_of(key, now)
                decision = decide(observed, now, asides)
            status = summarize(observed, decision, now, previous)
        except Conflict:
            raise
        except Exception as error:
            self._try_to_report(key, raw, rollout, error)
            raise
        failing = self.failures.of(key, previous, now)
        again = failing is not None and failing.tries_again(decision.action)
        reported = again or decision.current.step in asides
        if again or (failing is not None and failing.lasting and decision.action is not None):
            status = still_failing(status, previous, now)
        raw = self._publish(key, raw, status, () if reported else _announcement(decision))
        if decision.action is None:
            rest = self._rest(key, observed, decision, calm=not differs(previous, status))
            return rest, raw, None
        started = self.now()
        glanced = isinstance(seen, tuple)
        perform = self.upkeep if glanced and self.upkeep is not None else self.perform
        try:
            self._hold(key, raw)
            said = perform(observed, decision.action)
        except (Conflict, StandsBy):
            raise
        except Exception as error:
            if self._put_off(key, decision, error):
                return _Rest(over=False), raw, None
            self._try_to_report(key, raw, rollout, error, decision.action)
            raise
        self.failures.succeeded(key, decision.action)
        self.failures.done(key, decision.current.step)
        if said:
            self.recorder.record(raw, (Note(Severity.WARNING, ACTION_REMARK, said),))
        log.info(
            "action",
            extra={
                "rollout": str(key),
                "step": decision.current.step,
                "action": type(decision.action).__name__,
                "what": decision.action.describe(),
                "seconds": round((self.now() - started).total_seconds(), 3),
            },
        )
        recorded = isinstance(decision.action, WriteLedger)
        return _Rest(over=False), raw, self.same_look(observed) if recorded else None

    def _rest(self, key: Key, observed: Observed, decision: Decision, *, calm: bool) -> "_Rest":
        """Return when to make the next pass, where nothing is to be done now.

        Args:
            calm: whether nothing has changed since the previous pass.
        """
        self.failures.over(key)
        progress = decision.current.finding.progress
        killing = observed.ledger.kill is not None
        # The way back is urgent; what it waits for may still take hours.
        waits = progress is Progress.HELD or (killing and progress is Progress.WAITING)
        longest = LONGEST_IN_KILL if killing else LONGEST_HELD
        asked = decision.requeue_after
        after = self.patience.after(key, asked, calm=waits and calm, longest=longest)
        return _Rest(over=True, look_again=after)

    def _put_off(self, key: Key, decision: Decision, error: Exception) -> bool:
        """Put off an action that failed, where the steps after it do not depend on it.

        A ledger that cannot be written, and a bug of the operator, are failures of the whole pass.
        """
        current, action = decision.current, decision.action
        mine = isinstance(error, ExternalError) and not isinstance(action, WriteLedger)
        if current.blocking or not mine or action is None:
            return False
        message = f"could not {action.describe()}: {error}"
        self.failures.put_off(key, current.step, message, self.now())
        log.warning("postponed", extra={"rollout": str(key), "step": current.step, "why": message})
        return True

    def _publish(
        self, key: Key, raw: Raw, status: Mapping[str, Any], notes: tuple[Note, ...] = ()
    ) -> Raw:
        """Write the status if it has changed, then report the changes."""
        previous = raw.get("status") or {}
        changes = transitions(previous, status)
        if differs(previous, status):
            self._may_report(key, raw)
            wanted = without_nulls(status)
            raw = self.rollouts.write_status(raw, wanted)
            if differs(raw.get("status"), wanted):
                log.error(
                    "the installed CRD drops parts of the status; install the CRD of this version",
                    extra={"rollout": str(key)},
                )
        for change in worth_reporting(changes):
            log.info(
                "condition",
                extra={
                    "rollout": str(key),
                    "condition": change.type,
                    "status": change.status,
                    "reason": change.reason,
                    "what": change.message,
                },
            )
        unique = {(note.reason, note.message): note for note in (*notes, *notes_of(changes))}
        self.recorder.record(raw, unique.values())
        return raw

    def _hold(self, key: Key, raw: Raw) -> None:
        """Ensure that no other operator acts.

        Raises:
            StandsBy: one does.
            ExternalError: that is not known.
        """
        try:
            self.hold(key.namespace)
        except Unleased as unleased:
            log.warning("no Lease", extra={"rollout": str(key), "why": unleased.message})
            self.recorder.record(raw, (Note(Severity.WARNING, NO_LEASE, unleased.message),))
        if self.standing_by.pop(key, None) is not None:
            log.info("no longer standing by", extra={"rollout": str(key)})

    def _may_report(self, key: Key, raw: Raw) -> None:
        """Raise where another operator acts, which reports the status.

        A status is still written where that is not known: it reports that.
        """
        try:
            self._hold(key, raw)
        except (Conflict, StandsBy):
            raise
        except ExternalError as error:
            log.warning("the Lease is unknown", extra={"rollout": str(key), "why": error.message})

    def _report_standing_by(self, key: Key, why: str) -> None:
        """Report that another operator acts: once, in the log and as an Event."""
        self.settled.pop(key, None)
        if self.standing_by.get(key) == why:
            return
        self.standing_by[key] = why
        log.warning("standing by", extra={"rollout": str(key), "why": why})
        raw = self.rollouts.get(key.namespace, key.name, glance=True)
        if raw is not None:
            self.recorder.record(raw, (Note(Severity.WARNING, STANDING_BY, why),))

    def _report_failure(
        self,
        key: Key,
        raw: Raw,
        reason: str,
        message: str,
        *,
        accepted: bool = True,
        lasting: bool = False,
    ) -> None:
        previous = raw.get("status") or {}
        status = failure(
            raw["metadata"]["generation"],
            reason,
            message,
            self.now(),
            previous,
            accepted=accepted,
            lasting=lasting,
        )
        # For a lasting one the status has the newest message; it was reported already.
        news = differs(previous, status) and not (lasting and failure_lasts(previous))
        notes = (Note(Severity.WARNING, reason, message),) if news else ()
        self._publish(key, raw, status, notes)

    def _try_to_report(
        self, key: Key, raw: Raw, rollout: Rollout, error: Exception, action: Action | None = None
    ) -> None:
        """Report a failure in the status, if that can be written; the error is raised anyway."""
        reason, message, tried = OBSERVE_FAILED, str(error) or type(error).__name__, ""
        if action is not None:
            reason, tried = ACTION_FAILED, action.describe()
            message = f"could not {tried}: {message}"
        previous = raw.get("status") or {}
        patience = patience_for(rollout, previous)
        failing = self.failures.failed(key, previous, self.now(), patience, tried)
        if failing.lasting:
            message = of_lasting(message, rollout, patience, action)
        try:
            self._report_failure(key, raw, reason, message, lasting=failing.lasting)
        except StandsBy:
            return  # the other operator reports the status
        except Exception as second:
            log.exception(
                "a failure could not be written to the status",
                extra={"rollout": str(key), "failure": message, "error": str(second)},
            )


@dataclass(frozen=True)
class _Rest:
    """Whether the passes are over for now, and when the next one is."""

    over: bool
    look_again: timedelta | None = None


def _shows(raw: Raw, decision: Decision) -> bool:
    """Whether the status already shows what holds the rollout."""
    conditions = (raw.get("status") or {}).get("conditions") or []
    shown = {condition["type"]: condition.get("reason") for condition in conditions}
    return shown.get(Condition.READY) == decision.current.finding.reason


def _is_gone(raw: Raw) -> bool:
    """Whether the rollout is being deleted, without a finalizer to wait for."""
    return is_deleting(raw["metadata"]) and not is_kept(raw["metadata"])


def _is_held_back(raw: Raw) -> bool:
    """Whether a rollout is to be deleted, and is kept for a kill in progress."""
    return is_deleting(raw["metadata"]) and is_kept(raw["metadata"])


def _announcement(decision: Decision) -> tuple[Note, ...]:
    """Return what to report about the next action.

    Upkeep of a live rollout is not reported, and a held step was reported when the hold began.
    """
    finding = decision.current.finding
    if finding.action is None or finding.progress in (Progress.DONE, Progress.HELD):
        return ()
    return (Note(Severity.NORMAL, finding.reason, finding.message),)
