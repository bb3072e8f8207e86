"""Queue runs again."""

from xcom_rollout.clients.airflow import in_parallel, open_airflow
from xcom_rollout.decide.actions import ClearRuns
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.world import World


def clear_runs(world: World, rollout: Rollout, action: ClearRuns) -> None:
    """Clear each run that is not in flight.

    Raises:
        WorldError: Airflow refused or could not be asked; the other runs are done all the same.
    """
    airflow = open_airflow(world.http, world.api, world.memo, world.airflow_url, rollout)
    in_parallel(airflow.clear, action.runs)
