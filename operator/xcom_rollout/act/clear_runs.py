"""Queue runs again."""

from functools import partial

from xcom_rollout.act.outcomes import each_run
from xcom_rollout.clients.airflow import open_airflow
from xcom_rollout.decide.actions import ClearRuns
from xcom_rollout.decide.observed import Observed
from xcom_rollout.world import World


def clear_runs(world: World, observed: Observed, action: ClearRuns) -> None:
    """Clear each run; one that is gone is left alone.

    Raises:
        WorldError: Airflow cannot be asked at all, or an error could not be recorded.
    """
    airflow = open_airflow(world.http, world.api, world.memo, world.airflow_url, observed.rollout)
    each_run(world, observed, [(key, partial(airflow.clear, key)) for key in action.runs])
