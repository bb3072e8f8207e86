"""Runs and XCom rows in a real database, for the tests of the census, the audit and calibrate."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe_world import MySQL, Pod, Postgres

_SEED = Path(__file__).parent.parent / "probe" / "seed_runs.py"


@dataclass(frozen=True)
class Place:
    """A pod and the database that it uses."""

    kind: str
    pod: Pod
    database: Postgres | MySQL

    @property
    def is_3(self) -> bool:
        """Whether this is Airflow 3."""
        return not self.pod.version.startswith("2.")

    def seed(self, runs: Sequence[Mapping[str, Any]], env: Mapping[str, str | None]) -> None:
        """Have Airflow write `runs` (see seed_runs.py) with these variables changed."""
        changed = self.pod.with_env(env)
        seeded = subprocess.run(
            [changed.python, _SEED],
            input=json.dumps(list(runs)),
            env=changed.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert seeded.returncode == 0, seeded.stdout + seeded.stderr

    def execute(self, statement: str, *values: Any) -> list[Any]:
        """Run one statement with `%s` for each value; its rows, if it has any."""
        with self.database.connect() as connection, connection.cursor() as cursor:
            # The statements are the tests' own; psycopg takes none but literal ones for safe.
            asked: Any = statement
            cursor.execute(asked, values)
            return list(cursor.fetchall()) if cursor.description else []

    def remove(self, runs: Sequence[Mapping[str, Any]]) -> None:
        """Remove the runs and all that belongs to them."""
        for dag in sorted({run["dag"] for run in runs}):
            for table in ("xcom", "task_instance", "dag_run"):
                self.execute(f"DELETE FROM {table} WHERE dag_id = %s", dag)  # noqa: S608

    def as_reader(self) -> Pod:
        """The same pod with a role that may do no more than SELECT on the two tables."""
        name, password = "looker", "looker-secret"
        if isinstance(self.database, MySQL):
            self.execute(f"CREATE USER IF NOT EXISTS {name} IDENTIFIED BY '{password}'")
            for table in ("dag_run", "xcom"):
                self.execute(f"GRANT SELECT ON {table} TO {name}")
        else:
            if not self.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", name):
                self.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
            self.execute(f"GRANT SELECT ON dag_run, xcom TO {name}")
        variable = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
        url = self.pod.env[variable].replace("airflow:airflow@", f"{name}:{password}@")
        return self.pod.with_env({variable: url})
