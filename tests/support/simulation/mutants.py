"""The kill's table with some of its steps spoilt, to show that worlds find it."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.kill.table import KILL_TABLE
from xcom_rollout.decide.situation import Situation
from xcom_rollout.decide.table import Step

Check = Callable[[Situation], Finding]
See = Callable[[Situation], Situation]
Spoil = Callable[[Check], Check]


def seeing(see: See) -> Spoil:
    """Return what lets a check see another situation."""
    return lambda check: lambda s: check(see(s))


def spoilt(spoils: Mapping[str, Spoil]) -> tuple[Step, ...]:
    """Return the table with the checks of these steps spoilt, by the step's name."""
    assert spoils.keys() <= {step.name for step in KILL_TABLE}, "a step was renamed"
    return tuple(
        replace(step, check=spoils[step.name](step.check)) if step.name in spoils else step
        for step in KILL_TABLE
    )
