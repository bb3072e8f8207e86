"""Version 1 of Airflow's REST API: Airflow 2."""

from typing import Final

import httpx2

from xcom_rollout.clients.airflow_rest import Dialect

V1: Final = Dialect(
    prefix="/api/v1",
    every_dag={"only_active": False, "fields": ["dag_id", "is_paused"]},
    # Without dry_run Airflow only says what it would clear.
    clear={"dry_run": False},
    login="that [api] auth_backends holds basic_auth",
)


def basic_auth(user: bytes, password: bytes) -> httpx2.Auth:
    """Return what signs each request with the password, which Airflow checks each time."""
    return httpx2.BasicAuth(user, password)
