"""What the core decided: at most one action, and what to report."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from xcom_rollout.decide.actions import Action


class Progress(StrEnum):
    """State of a step."""

    DONE = "Done"
    ACTING = "Acting"
    WAITING = "Waiting"
    """Continues by itself."""
    HELD = "Held"
    """Continues only after somebody has done something."""


@dataclass(frozen=True)
class Finding:
    """What one step of the table found.

    `reason` is a CamelCase word of the Kubernetes kind; `message` says what was seen and, where
    it is held, what to do.
    """

    progress: Progress
    reason: str
    message: str
    action: Action | None = None
    after: timedelta = timedelta(seconds=2)
    """When to look again, for a step that waits."""


@dataclass(frozen=True)
class StepFinding:
    """A finding with the step that made it and the condition that the step speaks for."""

    step: str
    condition: str | None
    finding: Finding
    blocking: bool = True
    """Whether the steps after it wait for it."""


@dataclass(frozen=True)
class Decision:
    """The outcome of one pass."""

    phase: str
    findings: tuple[StepFinding, ...]
    """Findings of the steps looked at, in the order of the table."""
    current: StepFinding
    """The finding that the pass reports: the one with the action, else the first not done."""
    requeue_after: timedelta

    @property
    def action(self) -> Action | None:
        return self.current.finding.action
