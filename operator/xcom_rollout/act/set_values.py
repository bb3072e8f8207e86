"""Deliver the owned settings through the rollout's means of delivery."""

import logging

from xcom_rollout.decide.actions import SetValues
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.deliver import delivery_for
from xcom_rollout.world import World

log = logging.getLogger(__name__)


def set_values(world: World, rollout: Rollout, action: SetValues) -> None:
    """Deliver the settings, provided the release still is what this was decided on.

    The way back stops for less than the way there, and has a last resort.

    Raises:
        Conflict: the release has moved on.
        WorldError: the delivery failed.
    """
    said = delivery_for(world, rollout).apply(
        action.settings, action.from_revision, way_back=action.way_back
    )
    if said:
        log.warning(said, extra={"rollout": rollout.name, "namespace": rollout.namespace})
