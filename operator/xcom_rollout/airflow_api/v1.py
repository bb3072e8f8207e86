"""Version 1 of Airflow's REST API: Airflow 2."""

from typing import Final

from xcom_rollout.airflow_api.rest import Dialect

V1: Final = Dialect(
    major=2,
    prefix="/api/v1",
    every_dag={"only_active": False, "fields": ["dag_id", "is_paused"]},
    # Without dry_run Airflow only returns what it would clear.
    clear={"dry_run": False},
    gone=("is_active", False),
    hides_login=True,
)
