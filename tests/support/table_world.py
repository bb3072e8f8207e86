"""Runs and XCom rows in a real database, for the tests of the census, the audit and calibrate."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe_world import MySQL, Pod, Postgres

_SEED = Path(__file__).parent.parent / "probe" / "seed_runs.py"
_READ = _SEED.with_name("read_runs.py")
# How many transactions wait for a lock.
_AWAITED = {
    "postgresql": "SELECT count(*) FROM pg_locks WHERE NOT granted",
    "mysql": "SELECT count(*) FROM performance_schema.data_lock_waits",
}
_OF_TASKS = ("xcom", "rendered_task_instance_fields", "task_instance")


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

    def read(self, dag: str, run: str, env: Mapping[str, str | None]) -> dict[str, dict[str, str]]:
        """What Airflow's own class and the backend read, by key (see read_runs.py)."""
        changed = self.pod.with_env(env)
        done = subprocess.run(
            [changed.python, _READ, dag, run],
            env=changed.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def execute(self, statement: str, *values: Any) -> list[Any]:
        """Run one statement with `%s` for each value; its rows, if it has any."""
        with self.database.connect() as connection, connection.cursor() as cursor:
            # The statements are the tests' own; psycopg takes none but literal ones for safe.
            asked: Any = statement
            cursor.execute(asked, values)
            return list(cursor.fetchall()) if cursor.description else []

    @contextmanager
    def in_transaction(
        self, statement: str, *values: Any, until_awaited: bool = True
    ) -> Iterator[None]:
        """Somebody else's transaction with this statement, committed when another waits for it.

        Args:
            statement: what it changes.
            values: for each `%s`.
            until_awaited: false: committed at the end of the block.
        """
        with self.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN")
            asked: Any = statement
            cursor.execute(asked, values)
            ended, awaited = threading.Event(), threading.Event()

            def commit() -> None:
                while not ended.wait(0.1):
                    if until_awaited and self.execute(_AWAITED[self.kind])[0][0]:
                        awaited.set()
                        break
                cursor.execute("COMMIT")

            thread = threading.Thread(target=commit)
            thread.start()
            try:
                yield
            finally:
                ended.set()
                thread.join()
            assert awaited.is_set() == until_awaited, "nobody waited for the transaction"

    def remove(self, runs: Sequence[Mapping[str, Any]]) -> None:
        """Remove the runs and all that belongs to them."""
        for dag in sorted({run["dag"] for run in runs}):
            for table in (*_OF_TASKS, "dag_run"):
                self.execute(f"DELETE FROM {table} WHERE dag_id = %s", dag)  # noqa: S608

    def as_reader(self) -> Pod:
        """The same pod with a role that may only SELECT on the tables of a census."""
        name, password = "looker", "looker-secret"
        if isinstance(self.database, MySQL):
            self.execute(f"CREATE USER IF NOT EXISTS {name} IDENTIFIED BY '{password}'")
            for table in ("dag_run", *_OF_TASKS):
                self.execute(f"GRANT SELECT ON {table} TO {name}")
        else:
            if not self.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", name):
                self.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
            self.execute(f"GRANT SELECT ON dag_run, {', '.join(_OF_TASKS)} TO {name}")
        variable = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
        url = self.pod.env[variable].replace("airflow:airflow@", f"{name}:{password}@")
        return self.pod.with_env({variable: url})
