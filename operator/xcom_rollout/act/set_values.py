"""Deliver the owned settings."""

from xcom_rollout.decide.actions import SetValues
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.deliver import delivery_for
from xcom_rollout.world import World


def set_values(world: World, rollout: Rollout, action: SetValues) -> None:
    """Deliver the settings, provided the release still is what this was decided on.

    Raises:
        Conflict: the release has moved on.
        WorldError: the delivery failed.
    """
    delivery_for(world, rollout).apply(action.settings, action.from_revision)
