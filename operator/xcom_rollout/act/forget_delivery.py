"""Take back a revision of the operator's own that was interrupted half-way."""

from xcom_rollout.decide.actions import ForgetDelivery
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.deliver import delivery_for
from xcom_rollout.world import World


def forget_delivery(world: World, rollout: Rollout, action: ForgetDelivery) -> None:
    """Remove the pending revision, so that the same delivery can be made again.

    Raises:
        Conflict: it is not pending any more, not the newest, or not the operator's own.
        WorldError: the cluster refused or could not be asked.
    """
    delivery_for(world, rollout).forget(action.revision)
