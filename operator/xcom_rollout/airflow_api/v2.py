"""Version 2 of Airflow's REST API: Airflow 3."""

from typing import Final

from xcom_rollout.airflow_api.rest import Dialect

_NO_CHOICE_OF_VERSION: Final = (3, 0)
"""Airflow 3.0 re-runs a run on its original version, and answers 422 to a body that requests it."""


def v2(version: tuple[int, int]) -> Dialect:
    """Return the dialect of Airflow `version` (major, minor), 3.0 or newer."""
    # Left out, run_on_latest_version is what a DAG or the configuration says (3.3): a run would
    # continue with other code than it started with.
    on_its_own_code = {} if version == _NO_CHOICE_OF_VERSION else {"run_on_latest_version": False}
    return Dialect(
        major=3,
        prefix="/api/v2",
        every_dag={"exclude_stale": False},
        # Without dry_run Airflow only returns what it would clear.
        clear={"dry_run": False, **on_its_own_code},
        gone=("is_stale", True),
    )
