"""Statements for MySQL 8.0.14 and newer."""

from __future__ import annotations

from xcom_probe.table.statements import Statements

_COUNT_IN_FLIGHT = "SELECT count(*) FROM dag_run WHERE state IN ('queued', 'running')"
_BOUNDARY = """
SELECT dag_run_id FROM xcom WHERE dag_run_id < :high
ORDER BY dag_run_id DESC LIMIT 1 OFFSET :rows
"""

# Airflow 2: JSON as bytes.
_BYTES = Statements(
    in_flight="""
SELECT r.dag_id, r.run_id, r.state, r.start_date, r.run_type, x.task_id, x.amount
FROM (
  SELECT id, dag_id, run_id, state, start_date, run_type FROM dag_run
  WHERE state IN ('queued', 'running')
) r
CROSS JOIN LATERAL (
  SELECT task_id, count(*) AS amount
  FROM xcom FORCE INDEX (PRIMARY)
  WHERE dag_run_id = r.id
    AND octet_length(value) BETWEEN :shortest AND :longest
    AND substring(value, 1, :length) = :prefix
  GROUP BY task_id
) x
""",
    exactly="""
SELECT r.dag_id, r.run_id, r.state, r.start_date, r.run_type, x.task_id, coalesce(x.amount, 0)
FROM dag_run r
LEFT JOIN LATERAL (
  SELECT task_id, count(*) AS amount
  FROM xcom FORCE INDEX (PRIMARY)
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
  FROM xcom FORCE INDEX (PRIMARY)
  WHERE dag_run_id = r.id
    AND octet_length(value) BETWEEN 1 AND :longest
    AND ascii(substring(value, 1, 1)) = 128
) x
""",
    paths="""
SELECT r.dag_id, r.run_id, x.task_id, x.map_index, x.`key`, x.value
FROM dag_run r
JOIN LATERAL (
  SELECT task_id, map_index, `key`, value
  FROM xcom FORCE INDEX (PRIMARY)
  WHERE dag_run_id = r.id
    AND octet_length(value) BETWEEN :shortest AND :longest
    AND substring(value, 1, :length) = :prefix
  LIMIT :limit
) x ON true
WHERE (r.dag_id, r.run_id) IN :runs
LIMIT :limit
""",
    finished="""
SELECT r.dag_id, r.run_id, x.dag_run_id, count(*)
FROM xcom x JOIN dag_run r ON r.id = x.dag_run_id
WHERE x.dag_run_id >= :low AND x.dag_run_id < :high
  AND coalesce(r.state, '') NOT IN ('queued', 'running')
  AND octet_length(x.value) BETWEEN :shortest AND :longest
  AND substring(x.value, 1, :length) = :prefix
GROUP BY r.dag_id, r.run_id, x.dag_run_id
""",
    waiting="""
SELECT r.dag_id, r.run_id, x.task_id, x.value, f.trigger_dag_id
FROM (
  SELECT id, dag_id, run_id FROM dag_run WHERE state IN ('queued', 'running')
) r
CROSS JOIN LATERAL (
  SELECT task_id, map_index, value AS value
  FROM xcom FORCE INDEX (PRIMARY)
  WHERE dag_run_id = r.id
    AND `key` = 'trigger_run_id'
    AND octet_length(value) <= 16384
) x
JOIN task_instance t ON t.dag_id = r.dag_id AND t.run_id = r.run_id
  AND t.task_id = x.task_id AND t.map_index = x.map_index
  AND (t.state IN ('running', 'deferred', 'up_for_reschedule')
    OR t.state IN ('scheduled', 'queued') AND t.next_method IS NOT NULL)
LEFT JOIN LATERAL (
  SELECT json_unquote(json_extract(rendered_fields, '$.trigger_dag_id')) AS trigger_dag_id
  FROM rendered_task_instance_fields
  WHERE dag_id = r.dag_id AND run_id = r.run_id
    AND task_id = x.task_id AND map_index = x.map_index
  LIMIT 1
) f ON true
""",
    boundary=_BOUNDARY,
    sizes="""
SELECT dag_id, task_id, path, ceiling(size / step) * step AS upto,
  count(*), sum(size), max(size)
FROM (
  SELECT dag_id, task_id, path, size, greatest(1, power(2, floor(log2(size)) - 5)) AS step
  FROM (
    SELECT dag_id, task_id, octet_length(value) AS size,
      coalesce(substring(value, 1, :quoted_length) = :quoted, 0) AS path
    FROM xcom
    WHERE dag_run_id >= :low AND dag_run_id < :high AND octet_length(value) > 0
  ) sized
) stepped
GROUP BY dag_id, task_id, path, ceiling(size / step) * step
""",
    tasks="""
SELECT dag_id, task_id, `key`, count(*), sum(size), max(size),
  coalesce(sum(size >= :threshold AND NOT path), 0),
  coalesce(sum(CASE WHEN size >= :threshold AND NOT path THEN size END), 0),
  sum(path),
  sum(pickled),
  coalesce(sum(suspect AND NOT path AND NOT pickled), 0),
  coalesce(sum(suspect AND NOT path AND NOT pickled AND size > :most), 0)
FROM (
  SELECT dag_id, task_id, `key`, octet_length(value) AS size,
    coalesce(substring(value, 1, :quoted_length) = :quoted, 0) AS path,
    ascii(value) = 128 AS pickled,
    CASE WHEN substring(value, 1, 1) = '"' AND regexp_like(
        CONVERT(substring(value, 1, 64) USING latin1), :strings, 'c') THEN 1
      WHEN locate('"__', value) > 0 THEN 1
      ELSE NOT coalesce(json_valid(CONVERT(value USING utf8mb4)), 0)
        OR CAST(CONVERT(value USING utf8mb4) AS BINARY) <> value END AS suspect
  FROM xcom
  WHERE dag_run_id >= :low AND dag_run_id < :high AND value IS NOT NULL
) looked
GROUP BY dag_id, task_id, `key`
""",
    suspects="""
SELECT dag_id, task_id, `key`, value
FROM xcom
WHERE dag_run_id >= :low AND dag_run_id < :high AND value IS NOT NULL
  AND octet_length(value) >= :least AND octet_length(value) <= :most
  AND ascii(value) <> 128
  AND NOT coalesce(substring(value, 1, :quoted_length) = :quoted, 0)
  AND CASE WHEN substring(value, 1, 1) = '"' AND regexp_like(
      CONVERT(substring(value, 1, 64) USING latin1), :strings, 'c') THEN 1
    WHEN locate('"__', value) > 0 THEN 1
    ELSE NOT coalesce(json_valid(CONVERT(value USING utf8mb4)), 0)
      OR CAST(CONVERT(value USING utf8mb4) AS BINARY) <> value END
""",
)

# Airflow 3: JSON. Compared as bytes, so that no collation applies.
_JSON = Statements(
    in_flight="""
SELECT r.dag_id, r.run_id, r.state, r.start_date, r.run_type, x.task_id, x.amount
FROM (
  SELECT id, dag_id, run_id, state, start_date, run_type FROM dag_run
  WHERE state IN ('queued', 'running')
) r
CROSS JOIN LATERAL (
  SELECT task_id, count(*) AS amount
  FROM xcom FORCE INDEX (PRIMARY)
  WHERE dag_run_id = r.id
    AND json_storage_size(value) <= :longest
    AND json_type(value) = 'STRING'
    AND octet_length(json_unquote(value)) >= :shortest
    AND left(CAST(json_unquote(value) AS BINARY), :length) = CAST(:prefix AS BINARY)
  GROUP BY task_id
) x
""",
    exactly="""
SELECT r.dag_id, r.run_id, r.state, r.start_date, r.run_type, x.task_id, coalesce(x.amount, 0)
FROM dag_run r
LEFT JOIN LATERAL (
  SELECT task_id, count(*) AS amount
  FROM xcom FORCE INDEX (PRIMARY)
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
    paths="""
SELECT r.dag_id, r.run_id, x.task_id, x.map_index, x.`key`, x.value
FROM dag_run r
JOIN LATERAL (
  SELECT task_id, map_index, `key`, json_unquote(value) AS value
  FROM xcom FORCE INDEX (PRIMARY)
  WHERE dag_run_id = r.id
    AND json_storage_size(value) <= :longest
    AND json_type(value) = 'STRING'
    AND octet_length(json_unquote(value)) >= :shortest
    AND left(CAST(json_unquote(value) AS BINARY), :length) = CAST(:prefix AS BINARY)
  LIMIT :limit
) x ON true
WHERE (r.dag_id, r.run_id) IN :runs
LIMIT :limit
""",
    finished="""
SELECT r.dag_id, r.run_id, x.dag_run_id, count(*)
FROM xcom x JOIN dag_run r ON r.id = x.dag_run_id
WHERE x.dag_run_id >= :low AND x.dag_run_id < :high
  AND coalesce(r.state, '') NOT IN ('queued', 'running')
  AND json_storage_size(x.value) <= :longest
  AND json_type(x.value) = 'STRING'
  AND octet_length(json_unquote(x.value)) >= :shortest
  AND left(CAST(json_unquote(x.value) AS BINARY), :length) = CAST(:prefix AS BINARY)
GROUP BY r.dag_id, r.run_id, x.dag_run_id
""",
    waiting="""
SELECT r.dag_id, r.run_id, x.task_id, x.value, f.trigger_dag_id
FROM (
  SELECT id, dag_id, run_id FROM dag_run WHERE state IN ('queued', 'running')
) r
CROSS JOIN LATERAL (
  SELECT task_id, map_index,
    CASE WHEN json_type(value) = 'STRING' THEN json_unquote(value) END AS value
  FROM xcom FORCE INDEX (PRIMARY)
  WHERE dag_run_id = r.id
    AND `key` = 'trigger_run_id'
    AND json_storage_size(value) <= 16384
) x
JOIN task_instance t ON t.dag_id = r.dag_id AND t.run_id = r.run_id
  AND t.task_id = x.task_id AND t.map_index = x.map_index
  AND (t.state IN ('running', 'deferred', 'up_for_reschedule')
    OR t.state IN ('scheduled', 'queued') AND t.next_method IS NOT NULL)
LEFT JOIN LATERAL (
  SELECT json_unquote(json_extract(rendered_fields, '$.trigger_dag_id')) AS trigger_dag_id
  FROM rendered_task_instance_fields
  WHERE dag_id = r.dag_id AND run_id = r.run_id
    AND task_id = x.task_id AND map_index = x.map_index
  LIMIT 1
) f ON true
""",
    boundary=_BOUNDARY,
    # Python writes what is not ASCII as six bytes, or twelve beyond the BMP.
    sizes="""
SELECT dag_id, task_id, path, ceiling(size / step) * step AS upto,
  count(*), sum(size), max(size)
FROM (
  SELECT dag_id, task_id, path, size, greatest(1, power(2, floor(log2(size)) - 5)) AS step
  FROM (
    SELECT dag_id, task_id,
      coalesce(left(CAST(text AS BINARY), :quoted_length) = CAST(:quoted AS BINARY), 0) AS path,
      CASE WHEN octet_length(text) = char_length(text) THEN octet_length(text)
      ELSE char_length(text)
        + 5 * char_length(regexp_replace(text, '[\\\\x{01}-\\\\x{7f}]+', ''))
        + 6 * char_length(regexp_replace(text, '[\\\\x{01}-\\\\x{ffff}]+', ''))
      END AS size
    FROM (
      SELECT dag_id, task_id, CAST(value AS CHAR) AS text
      FROM xcom
      WHERE dag_run_id >= :low AND dag_run_id < :high AND value IS NOT NULL
    ) texts
  ) sized
) stepped
GROUP BY dag_id, task_id, path, ceiling(size / step) * step
""",
    tasks="""
SELECT dag_id, task_id, `key`, count(*), sum(size), max(size),
  coalesce(sum(size >= :threshold AND NOT path), 0),
  coalesce(sum(CASE WHEN size >= :threshold AND NOT path THEN size END), 0),
  sum(path),
  0,
  coalesce(sum(suspect AND NOT path), 0),
  coalesce(sum(suspect AND NOT path AND size > :most), 0)
FROM (
  SELECT dag_id, task_id, `key`,
    coalesce(left(CAST(text AS BINARY), :quoted_length) = CAST(:quoted AS BINARY), 0) AS path,
    CASE WHEN octet_length(text) = char_length(text) THEN octet_length(text)
    ELSE char_length(text)
      + 5 * char_length(regexp_replace(text, '[\\\\x{01}-\\\\x{7f}]+', ''))
      + 6 * char_length(regexp_replace(text, '[\\\\x{01}-\\\\x{ffff}]+', ''))
    END AS size,
    CASE WHEN left(text, 1) = '"' THEN regexp_like(left(text, 64), :strings, 'c')
      ELSE locate('"__', text) > 0 END AS suspect
  FROM (
    SELECT dag_id, task_id, `key`, CAST(value AS CHAR) AS text
    FROM xcom
    WHERE dag_run_id >= :low AND dag_run_id < :high AND value IS NOT NULL
  ) texts
) looked
GROUP BY dag_id, task_id, `key`
""",
    suspects="""
SELECT dag_id, task_id, `key`, text
FROM (
  SELECT dag_id, task_id, `key`, CAST(value AS CHAR) AS text
  FROM xcom
  WHERE dag_run_id >= :low AND dag_run_id < :high AND value IS NOT NULL
) texts
WHERE octet_length(text) >= :least AND octet_length(text) <= :most
  AND NOT coalesce(left(CAST(text AS BINARY), :quoted_length) = CAST(:quoted AS BINARY), 0)
  AND CASE WHEN left(text, 1) = '"' THEN regexp_like(left(text, 64), :strings, 'c')
    ELSE locate('"__', text) > 0 END
""",
)

STATEMENTS = {
    ("mysql", "longblob"): _BYTES,
    ("mysql", "blob"): _BYTES,
    ("mysql", "json"): _JSON,
}
