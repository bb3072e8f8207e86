"""Statements for PostgreSQL 12 and newer."""

from __future__ import annotations

from xcom_probe.table.statements import Statements

_COUNT_IN_FLIGHT = "SELECT count(*) FROM dag_run WHERE state IN ('queued', 'running')"

# Airflow 2: JSON as bytes.
_BYTES = Statements(
    in_flight="""
SELECT r.dag_id, r.run_id, r.state, r.start_date, x.task_id, x.amount
FROM (
  SELECT id, dag_id, run_id, state, start_date FROM dag_run WHERE state = 'queued'
  UNION ALL
  SELECT id, dag_id, run_id, state, start_date FROM dag_run WHERE state = 'running'
) r
CROSS JOIN LATERAL (
  SELECT task_id, count(*) AS amount
  FROM xcom
  WHERE dag_run_id = r.id
    AND octet_length(value) BETWEEN :shortest AND :longest
    AND substring(value FROM 1 FOR :length) = :prefix
  GROUP BY task_id
) x
""",
    exactly="""
SELECT r.dag_id, r.run_id, r.state, r.start_date, x.task_id, coalesce(x.amount, 0)
FROM dag_run r
LEFT JOIN LATERAL (
  SELECT task_id, count(*) AS amount
  FROM xcom
  WHERE dag_run_id = r.id
    AND octet_length(value) BETWEEN :shortest AND :longest
    AND substring(value FROM 1 FOR :length) = :prefix
  GROUP BY task_id
) x ON true
WHERE (r.dag_id, r.run_id) IN :runs
""",
    count_in_flight=_COUNT_IN_FLIGHT,
    pickled="""
SELECT coalesce(sum(x.amount), 0)
FROM (
  SELECT id FROM dag_run WHERE state = 'queued'
  UNION ALL
  SELECT id FROM dag_run WHERE state = 'running'
) r
CROSS JOIN LATERAL (
  SELECT count(*) AS amount
  FROM xcom
  WHERE dag_run_id = r.id
    AND octet_length(value) BETWEEN 1 AND :longest
    AND get_byte(value, 0) = 128
) x
""",
)

# Airflow 3: JSONB. pg_column_size does not fetch a value that is kept out of line.
_JSONB = Statements(
    in_flight="""
SELECT r.dag_id, r.run_id, r.state, r.start_date, x.task_id, x.amount
FROM (
  SELECT id, dag_id, run_id, state, start_date FROM dag_run WHERE state = 'queued'
  UNION ALL
  SELECT id, dag_id, run_id, state, start_date FROM dag_run WHERE state = 'running'
) r
CROSS JOIN LATERAL (
  SELECT task_id, count(*) AS amount
  FROM xcom
  WHERE dag_run_id = r.id
    AND pg_column_size(value) <= :longest
    AND jsonb_typeof(value) = 'string'
    AND octet_length(value #>> '{}') >= :shortest
    AND starts_with(value #>> '{}', :prefix)
  GROUP BY task_id
) x
""",
    exactly="""
SELECT r.dag_id, r.run_id, r.state, r.start_date, x.task_id, coalesce(x.amount, 0)
FROM dag_run r
LEFT JOIN LATERAL (
  SELECT task_id, count(*) AS amount
  FROM xcom
  WHERE dag_run_id = r.id
    AND pg_column_size(value) <= :longest
    AND jsonb_typeof(value) = 'string'
    AND octet_length(value #>> '{}') >= :shortest
    AND starts_with(value #>> '{}', :prefix)
  GROUP BY task_id
) x ON true
WHERE (r.dag_id, r.run_id) IN :runs
""",
    count_in_flight=_COUNT_IN_FLIGHT,
    pickled=None,
)

STATEMENTS = {("postgresql", "bytea"): _BYTES, ("postgresql", "jsonb"): _JSONB}
