"""A table `xcom` of millions of rows, made by the database itself in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

ROWS_PER_RUN = 10
BASE = "s3://aws@bucket/xcom"
OFFLOADED_PER_RUN = 2
"""Rows of each run that hold a path below `BASE`."""

# Of 20 values, two are strings that parse as JSON, two are paths, three are text, three are
# numbers and ten are small objects, one in fifty of those of 5 kB.
_VALUE = f"""
CASE
  WHEN n % 20 = 0 THEN '"{{\\"a\\": ' || n || '}}"'
  WHEN n % 20 = 1 THEN '"' || n || '"'
  WHEN n % 10 IN (8, 9) THEN '"{BASE}/dag_' || n / 10 % 200 || '/run_' || n / 10 || '/task_'
    || n % 10 || '/1f0c2a5e-8f9a-4f7e-9d2b-000000000000"'
  WHEN n % 20 < 5 THEN '"some text ' || n || '"'
  WHEN n % 20 < 8 THEN n::text
  WHEN n % 1000 = 17 THEN '{{"text": "' || repeat('0123456789', 500) || '"}}'
  ELSE '{{"n": ' || n || ', "name": "row ' || n || '", "list": [1, 2, 3]}}'
END
"""


def fill(connection: psycopg.Connection[Any], rows: int, in_flight: int) -> None:
    """Replace all runs and rows by `rows` rows, ten in each run; `in_flight` runs are running.

    The indexes are those of Airflow; they are made again after the rows, which is quicker.
    """
    runs = rows // ROWS_PER_RUN
    is_3 = _one(connection, "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE "
                "attrelid = 'xcom'::regclass AND attname = 'value'") == "jsonb"  # fmt: skip
    date = "logical_date, run_after" if is_3 else "execution_date"
    moment = f"timestamptz '2020-01-01 00:00Z' + n * interval '1 second'{', now()' if is_3 else ''}"
    value = f"({_VALUE})::jsonb" if is_3 else f"convert_to({_VALUE}, 'UTF8')"
    # Rows without task instances: foreign keys are not looked at.
    connection.execute("SET session_replication_role = replica")
    connection.execute("SET maintenance_work_mem = '512MB'")
    connection.execute("TRUNCATE xcom")
    connection.execute("DELETE FROM dag_run")
    indexes = [row[0] for row in connection.execute(
        "SELECT indexdef FROM pg_indexes WHERE tablename = 'xcom' AND indexname <> 'xcom_pkey'"
    )]  # fmt: skip
    names = [row[0] for row in connection.execute(
        "SELECT indexname FROM pg_indexes WHERE tablename = 'xcom' AND indexname <> 'xcom_pkey'"
    )]  # fmt: skip
    for name in names:
        _run(connection, f"DROP INDEX {name}")
    connection.execute("ALTER TABLE xcom DROP CONSTRAINT xcom_pkey")
    _run(
        connection,
        f"""
INSERT INTO dag_run (id, dag_id, run_id, {date}, queued_at, start_date, state, run_type,
  clear_number)
SELECT n, 'dag_' || n % 200, 'run_' || n, {moment}, now(), now(),
  CASE WHEN n % ({runs} / {in_flight}) = 0 THEN 'running' ELSE 'success' END, 'manual', 0
FROM generate_series(0, {runs} - 1) n
""",  # noqa: S608
    )
    _run(
        connection,
        f"""
INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp)
SELECT n / 10, 'task_' || n % 10, -1, 'return_value', 'dag_' || n / 10 % 200, 'run_' || n / 10,
  {value}, now()
FROM generate_series(0, {rows} - 1) n
""",  # noqa: S608
    )
    for statement in (
        "ALTER TABLE xcom ADD CONSTRAINT xcom_pkey "
        "PRIMARY KEY (dag_run_id, task_id, map_index, key)",
        *indexes,
        "VACUUM ANALYZE xcom",
        "VACUUM ANALYZE dag_run",
    ):
        _run(connection, statement)


def _run(connection: psycopg.Connection[Any], statement: Any) -> None:
    connection.execute(statement)


def _one(connection: psycopg.Connection[Any], statement: Any) -> Any:
    row = connection.execute(statement).fetchone()
    return row[0] if row else None


def explain(
    connection: psycopg.Connection[Any], statement: Any, values: dict[str, Any]
) -> dict[str, Any]:
    """The plan of a statement that was run, with the blocks that each part touched."""
    row = connection.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement, values)
    plan = row.fetchone()
    assert plan is not None
    return dict(plan[0][0]["Plan"])


def nodes(plan: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """All parts of a plan."""
    return [plan, *(node for part in plan.get("Plans", ()) for node in nodes(part))]


def blocks(plan: dict[str, Any]) -> int:
    """Blocks of 8 kB that it touched, in memory or not."""
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
