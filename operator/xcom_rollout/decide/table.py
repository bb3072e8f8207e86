"""Tables of steps, and the one way in which they are evaluated.

A step is a small named check. A blocking step that is not done ends the evaluation; after a
non-blocking one the later steps are evaluated too, so that a wait for one thing does not delay
another. The first action found is performed. The state diagram of the documentation is generated
from these tables.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from xcom_rollout.decide.actions import Action
from xcom_rollout.decide.aside import put_off
from xcom_rollout.decide.decision import Decision, Finding, Progress, StepFinding
from xcom_rollout.decide.situation import Situation

AT_REST: Final = timedelta(minutes=5)
"""How long until the next pass when everything is done and no event comes."""
HELD: Final = timedelta(seconds=30)
"""How soon a held step is evaluated again, where the remedy causes no event."""
UNTIL_CHANGED: Final = AT_REST
"""The same where the remedy is a change of the rollout, which is an event."""


@dataclass(frozen=True)
class Step:
    """One line of a table."""

    name: str
    phase: str
    condition: str | None
    check: Callable[[Situation], Finding]
    blocking: bool = True


def evaluate(table: Sequence[Step], done_phase: str, situation: Situation) -> Decision:
    """Return the decision of the table for the situation."""
    found: list[StepFinding] = []
    pending: list[tuple[Step, StepFinding]] = []
    for step in table:
        finding = step.check(situation)
        aside = situation.asides.get(step.name)
        if aside is not None and finding.action is not None and not step.blocking:
            finding = put_off(finding, aside, situation.now)
        entry = StepFinding(step.name, step.condition, finding, step.blocking)
        found.append(entry)
        if finding.progress is not Progress.DONE:
            pending.append((step, entry))
            if step.blocking or finding.action is not None:
                break
        elif finding.action is not None:
            break
    if not pending:
        return Decision(
            done_phase, tuple(found), _first(found), min(AT_REST, found[-1].finding.after)
        )
    # The finding with an action; else one that needs a person; else one that waits.
    step, entry = next(
        (item for item in pending if item[1].finding.action is not None),
        next(
            (item for item in pending if item[1].finding.progress is Progress.HELD),
            pending[0],
        ),
    )
    after = min(item[1].finding.after for item in pending)
    upkeep = found[-1].finding.action
    if entry.finding.action is None and upkeep is not None:
        # The upkeep of a step that is done continues; the finding that holds is reported.
        entry = replace(entry, finding=replace(entry.finding, action=upkeep))
        after = timedelta(0)
    return Decision(step.phase, tuple(found), entry, after)


def done(reason: str, message: str, *, after: timedelta = AT_REST) -> Finding:
    return Finding(Progress.DONE, reason, message, after=after)


def background(reason: str, message: str, action: Action) -> Finding:
    """A step that is done and has upkeep to do."""
    return Finding(Progress.DONE, reason, message, action, timedelta(0))


def act(reason: str, message: str, action: Action) -> Finding:
    return Finding(Progress.ACTING, reason, message, action, timedelta(0))


def wait(reason: str, message: str, *, seconds: float = 1) -> Finding:
    return Finding(Progress.WAITING, reason, message, after=timedelta(seconds=seconds))


def hold(
    reason: str, message: str, *, after: timedelta = HELD, action: Action | None = None
) -> Finding:
    """A step that is held; `action` checks whether it still is, where only an effect can."""
    return Finding(Progress.HELD, reason, message, action, timedelta(0) if action else after)


def _first(found: Sequence[StepFinding]) -> StepFinding:
    return next((entry for entry in found if entry.finding.action is not None), found[-1])
