"""Ask for all that a kill will need, and record what is missing."""

from collections.abc import Iterator
from dataclasses import replace

from xcom_rollout.act.write_ledger import write_ledger
from xcom_rollout.clients.airflow import open_airflow
from xcom_rollout.clients.airflow_rights import missing_rights
from xcom_rollout.clients.errors import WorldError
from xcom_rollout.decide.actions import ProveWayBack
from xcom_rollout.decide.ledger import WayBack
from xcom_rollout.decide.observed import Observed, Rollout
from xcom_rollout.deliver import delivery_for
from xcom_rollout.world import World


def prove_way_back(world: World, observed: Observed, action: ProveWayBack) -> None:
    """Look, change nothing of Airflow or its release, and write what is missing to the ledger.

    Raises:
        WorldError: the ledger could not be written, or has been written meanwhile.
    """
    problems = (
        *_of_airflow(world, observed.rollout),
        *_of_delivery(world, observed.rollout, action),
    )
    found = WayBack(action.digest, world.api.now(), tuple(problems))
    write_ledger(world, observed.rollout, replace(observed.ledger, way_back=found))


def _of_airflow(world: World, rollout: Rollout) -> Iterator[str]:
    try:
        airflow = open_airflow(world.http, world.api, world.memo, world.airflow_url, rollout)
        for right in missing_rights(airflow):
            yield str(right)
    except WorldError as error:
        yield f"spec.airflow.api: {error.message}"


def _of_delivery(world: World, rollout: Rollout, action: ProveWayBack) -> Iterator[str]:
    delivery = delivery_for(world, rollout)
    try:
        delivery.keep_chart()
        yield from delivery.forecast(action.settings)
    except WorldError as error:
        yield error.message
