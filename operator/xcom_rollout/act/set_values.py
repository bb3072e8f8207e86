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
    """Deliver the settings, provided the release still is what this was decided on.

    The way back stops for less than the way there, and has a last resort.

    Returns what people have to know of it, empty for a delivery like any other.

    Raises:
        Conflict: the release has moved on.
        ExternalError: the delivery failed.
    """
    if action.beside is not None:
        _send(clients, rollout, action.beside)
    said = delivery_for(clients, rollout).apply(
        action.settings, action.from_revision, way_back=action.way_back
    )
    if said:
        log.warning(said, extra={"rollout": rollout.name, "namespace": rollout.namespace})
    return said


def _send(clients: Clients, rollout: Rollout, job: RunJob) -> None:
    """Send a Job without which the delivery is as right: a quota must not keep a kill waiting."""
    try:
        run_job(clients, rollout, job)
    except ExternalError as error:
        log.warning(
            "no %s pod is available as standby, so Jobs are created: %s",
            job.kind,
            error.message,
            extra={"rollout": rollout.name, "namespace": rollout.namespace},
        )
