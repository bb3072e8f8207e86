"""Undo a revision of the operator's own that was interrupted."""

from xcom_rollout.decide.actions import ForgetDelivery
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.deliver import delivery_for
from xcom_rollout.wiring import Clients


def forget_delivery(clients: Clients, rollout: Rollout, action: ForgetDelivery) -> None:
    """Remove the pending revision, so that the same delivery can be made again.

    Raises:
        Conflict: it is no longer pending, not the newest, or not the operator's own.
        ExternalError: the cluster refused or could not be asked.
    """
    delivery_for(clients, rollout).forget(action.revision)
