"""Statements for MySQL 8.0.14 and newer."""

from __future__ import annotations

from xcom_probe.table.statements import Statements

_COUNT_IN_FLIGHT = "SELECT count(*) FROM dag_run WHERE state IN ('queued', 'running')"

# Airflow 2: JSON as bytes.
_BYTES = Statements(
    in_flight="""
SELECT r.dag_id, r.run_id, r.state, r.start_date, x.task_id, x.amount
FROM (
  SELECT id, dag_id, run_id, state, start_date FROM dag_run WHERE state IN ('queued', 'running')
) r
CROSS JOIN LATERAL (
  SELECT task_id, count(*) AS amount
  FROM xcom
  WHERE dag_run_id = r.id
    AND octet_length(value) BETWEEN :shortest AND :longest
    AND substring(value, 1, :length) = :prefix
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
    AND substring(value, 1, :length) = :prefix
  GROUP BY task_id
) x ON true
WHERE (r.dag_id, r.run_id) IN :runs
""",
    count_in_flight=_COUNT_IN_FLIGHT,
    pickled="""
SELECT coalesce(sum(x.amount), 0)
FROM (
  SELECT id FROM dag_run WHERE state IN ('queued', 'running')
) r
CROSS JOIN LATERAL (
  SELECT count(*) AS amount
  FROM xcom
  WHERE dag_run_id = r.id
    AND octet_length(value) BETWEEN 1 AND :longest
    AND ascii(substring(value, 1, 1)) = 128
) x
""",
)

# Airflow 3: JSON. Compared as bytes, so that no collation has a say.
_JSON = Statements(
    in_flight="""
SELECT r.dag_id, r.run_id, r.state, r.start_date, x.task_id, x.amount
FROM (
  SELECT id, dag_id, run_id, state, start_date FROM dag_run WHERE state IN ('queued', 'running')
) r
CROSS JOIN LATERAL (
  SELECT task_id, count(*) AS amount
  FROM xcom
  WHERE dag_run_id = r.id
    AND json_storage_size(value) <= :longest
    AND json_type(value) = 'STRING'
    AND octet_length(json_unquote(value)) >= :shortest
    AND left(CAST(json_unquote(value) AS BINARY), :length) = CAST(:prefix AS BINARY)
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
    AND json_storage_size(value) <= :longest
    AND json_type(value) = 'STRING'
    AND octet_length(json_unquote(value)) >= :shortest
    AND left(CAST(json_unquote(value) AS BINARY), :length) = CAST(:prefix AS BINARY)
  GROUP BY task_id
) x ON true
WHERE (r.dag_id, r.run_id) IN :runs
""",
    count_in_flight=_COUNT_IN_FLIGHT,
    pickled=None,
)

STATEMENTS = {
    ("mysql", "longblob"): _BYTES,
    ("mysql", "blob"): _BYTES,
    ("mysql", "json"): _JSON,
}
