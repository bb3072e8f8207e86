"""Pause or unpause DAGs."""

from collections.abc import Sequence

from xcom_rollout.airflow_api.airflow import open_airflow
from xcom_rollout.clients.parallel import in_parallel
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.wiring import Clients


def set_paused(clients: Clients, rollout: Rollout, dag_ids: Sequence[str], *, paused: bool) -> None:
    """Pause or unpause each DAG.

    Raises:
        ExternalError: Airflow refused or could not be asked; the other DAGs are still processed.
    """
    airflow = open_airflow(clients.http, clients.api, clients.memo, clients.airflow_url, rollout)
    in_parallel(lambda dag_id: airflow.set_paused(dag_id, paused), dag_ids)
