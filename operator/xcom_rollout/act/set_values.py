"""Deliver the owned settings through the rollout's means of delivery."""

import logging

from xcom_rollout.act.run_job import run_job
from xcom_rollout.clients.errors import ExternalError
from xcom_rollout.decide.actions import RunJob, SetValues
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.deliver import delivery_for
from xcom_rollout.wiring import Clients

log = logging.getLogger(__name__)


def set_values(clients: Clients, rollout: Rollout, action: SetValues) -> str:
    """Deliver the settings, provided the release has not changed since the decision.

    Fewer problems stop the way back than the way there, and it has a last resort.

    Returns what people have to know about it, empty for an ordinary delivery.

    Raises:
        Conflict: the release has changed.
        ExternalError: the delivery failed.
    """
    if action.beside is not None:
        _send(clients, rollout, action.beside)
    note = delivery_for(clients, rollout).apply(
        action.settings, action.from_revision, way_back=action.way_back
    )
    if note:
        log.warning(note, extra={"rollout": rollout.name, "namespace": rollout.namespace})
    return note


def _send(clients: Clients, rollout: Rollout, job: RunJob) -> None:
    """Create a Job that the delivery does not depend on: a quota must not delay a kill."""
    try:
        run_job(clients, rollout, job)
    except ExternalError as error:
        log.warning(
            "no %s pod is available as standby, so Jobs are created: %s",
            job.kind,
            error.message,
            extra={"rollout": rollout.name, "namespace": rollout.namespace},
        )
