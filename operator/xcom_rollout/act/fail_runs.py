"""Stop runs for good."""

from xcom_rollout.clients.airflow import in_parallel, open_airflow
from xcom_rollout.decide.actions import FailRuns
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.world import World


def fail_runs(world: World, rollout: Rollout, action: FailRuns) -> None:
    """Set each run to failed.

    Raises:
        WorldError: Airflow refused or could not be asked; the other runs are done all the same.
    """
    airflow = open_airflow(world.http, world.api, world.memo, world.airflow_url, rollout)
    in_parallel(airflow.fail, action.runs)
