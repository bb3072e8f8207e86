"""Stop runs permanently."""

from functools import partial

from xcom_rollout.act.outcomes import each_run
from xcom_rollout.airflow_api.airflow import AirflowApi, open_airflow
from xcom_rollout.decide.actions import StopRuns
from xcom_rollout.decide.kill.outcomes import asked_to_stop
from xcom_rollout.decide.ledger import RunKey
from xcom_rollout.decide.observed import Observed
from xcom_rollout.wiring import Clients


def stop_runs(clients: Clients, observed: Observed, action: StopRuns) -> None:
    """Set each run to failed that Airflow says it could clear; one that is gone is left alone.

    Raises:
        ExternalError: Airflow cannot be asked, or an error could not be recorded.
    """
    airflow = open_airflow(
        clients.http, clients.api, clients.memo, clients.airflow_url, observed.rollout
    )
    each_run(
        clients,
        observed,
        [(key, partial(_stop, airflow, key)) for key in action.runs],
        asked_to_stop,
    )


def _stop(airflow: AirflowApi, key: RunKey) -> None:
    airflow.can_clear(key)
    airflow.fail(key)
