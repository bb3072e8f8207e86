"""What the tests ask of a metadata database, whichever server it is on."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from harness.shell import run
from probe_world.airflows import Environment


class Database(Protocol):
    """A database for Airflow's metadata."""

    def url(self) -> str:
        """Where Airflow finds it: an address for SQLAlchemy, with the password."""


def migrate(airflow: Environment, database: Database, home: Path) -> None:
    """Make Airflow's tables in an empty database.

    Args:
        airflow: whose tables.
        database: where.
        home: a folder for the command's own files.

    Raises:
        CommandError: Airflow could not.
    """
    run(
        *(airflow.airflow, "db", "migrate"),
        env={
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.url(),
            "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        },
    )
