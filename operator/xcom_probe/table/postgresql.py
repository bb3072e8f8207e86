"""Statements for PostgreSQL 12 and newer."""

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
  SELECT id, dag_id, run_id, state, start_date, run_type FROM dag_run WHERE state = 'queued'
  UNION ALL
  SELECT id, dag_id, run_id, state, start_date, run_type FROM dag_run WHERE state = 'running'
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
SELECT r.dag_id, r.run_id, r.state, r.start_date, r.run_type, x.task_id, coalesce(x.amount, 0)
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
    paths="""
SELECT r.dag_id, r.run_id, x.task_id, x.map_index, x.key, x.value
FROM dag_run r
JOIN LATERAL (
  SELECT task_id, map_index, key, value
  FROM xcom
  WHERE dag_run_id = r.id
    AND octet_length(value) BETWEEN :shortest AND :longest
    AND substring(value FROM 1 FOR :length) = :prefix
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
  AND substring(x.value FROM 1 FOR :length) = :prefix
GROUP BY r.dag_id, r.run_id, x.dag_run_id
""",
    # OFFSET 0 has the database go from each run to its rows, and from each of these to its task.
    waiting="""
SELECT r.dag_id, r.run_id, x.task_id, x.value, f.trigger_dag_id
FROM (
  SELECT id, dag_id, run_id FROM dag_run WHERE state = 'queued'
  UNION ALL
  SELECT id, dag_id, run_id FROM dag_run WHERE state = 'running'
) r
CROSS JOIN LATERAL (
  SELECT task_id, map_index, value AS value
  FROM xcom
  WHERE dag_run_id = r.id
    AND key = 'trigger_run_id'
    AND octet_length(value) <= 16384
  OFFSET 0
) x
CROSS JOIN LATERAL (
  SELECT 1
  FROM task_instance
  WHERE dag_id = r.dag_id AND run_id = r.run_id
    AND task_id = x.task_id AND map_index = x.map_index
    AND (state IN ('running', 'deferred', 'up_for_reschedule')
      OR state IN ('scheduled', 'queued') AND next_method IS NOT NULL)
  OFFSET 0
) t
LEFT JOIN LATERAL (
  SELECT CAST(rendered_fields AS json) ->> 'trigger_dag_id' AS trigger_dag_id
  FROM rendered_task_instance_fields
  WHERE dag_id = r.dag_id AND run_id = r.run_id
    AND task_id = x.task_id AND map_index = x.map_index
  OFFSET 0
) f ON true
""",
    boundary=_BOUNDARY,
    # OFFSET 0 keeps the parts apart, so that nothing is computed twice for a row.
    sizes="""
SELECT dag_id, task_id, path, ceil(size / step) * step AS upto,
  count(*), sum(size), max(size)
FROM (
  SELECT dag_id, task_id, path, size,
    greatest(1, power(2, floor(ln(size) / ln(2)) - 5)) AS step
  FROM (
    SELECT dag_id, task_id, octet_length(value)::float8 AS size,
      coalesce(substring(value FROM 1 FOR :quoted_length) = :quoted, false) AS path
    FROM xcom
    WHERE dag_run_id >= :low AND dag_run_id < :high AND octet_length(value) > 0
    OFFSET 0
  ) sized
  OFFSET 0
) stepped
GROUP BY dag_id, task_id, path, ceil(size / step) * step
""",
    tasks="""
SELECT dag_id, task_id, key, count(*), sum(size), max(size),
  count(*) FILTER (WHERE size >= :threshold AND NOT path),
  coalesce(sum(size) FILTER (WHERE size >= :threshold AND NOT path), 0),
  count(*) FILTER (WHERE path),
  count(*) FILTER (WHERE pickled),
  count(*) FILTER (WHERE suspect AND NOT path AND NOT pickled),
  count(*) FILTER (WHERE suspect AND NOT path AND NOT pickled AND size > :most),
  count(json)
FROM (
  SELECT dag_id, task_id, key, octet_length(value) AS size,
    coalesce(substring(value FROM 1 FOR :quoted_length) = :quoted, false) AS path,
    substring(value FROM 1 FOR 1) = '\\x80'::bytea AS pickled,
    CASE WHEN :every THEN true
      WHEN substring(value FROM 1 FOR 1) = '"'::bytea
      THEN convert_from(substring(value FROM 1 FOR 64), 'LATIN1') ~ :strings
      ELSE position('"__'::bytea IN value) > 0 END AS suspect,
    CASE WHEN NOT :every AND substring(value FROM 1 FOR 1) <> '\\x80'::bytea
      THEN convert_from(value, 'UTF8')::json END AS json
  FROM xcom
  WHERE dag_run_id >= :low AND dag_run_id < :high AND value IS NOT NULL
  OFFSET 0
) looked
GROUP BY dag_id, task_id, key
""",
    suspects="""
SELECT dag_id, task_id, key, value
FROM xcom
WHERE dag_run_id >= :low AND dag_run_id < :high AND value IS NOT NULL
  AND octet_length(value) >= :least AND octet_length(value) <= :most
  AND substring(value FROM 1 FOR 1) <> '\\x80'::bytea
  AND NOT coalesce(substring(value FROM 1 FOR :quoted_length) = :quoted, false)
  AND CASE WHEN :every THEN true
    WHEN substring(value FROM 1 FOR 1) = '"'::bytea
    THEN convert_from(substring(value FROM 1 FOR 64), 'LATIN1') ~ :strings
    ELSE position('"__'::bytea IN value) > 0 END
""",
)

# Airflow 3: JSONB. pg_column_size does not fetch a value that is kept out of line.
_JSONB = Statements(
    in_flight="""
SELECT r.dag_id, r.run_id, r.state, r.start_date, r.run_type, x.task_id, x.amount
FROM (
  SELECT id, dag_id, run_id, state, start_date, run_type FROM dag_run WHERE state = 'queued'
  UNION ALL
  SELECT id, dag_id, run_id, state, start_date, run_type FROM dag_run WHERE state = 'running'
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
SELECT r.dag_id, r.run_id, r.state, r.start_date, r.run_type, x.task_id, coalesce(x.amount, 0)
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
    paths="""
SELECT r.dag_id, r.run_id, x.task_id, x.map_index, x.key, x.value
FROM dag_run r
JOIN LATERAL (
  SELECT task_id, map_index, key, value #>> '{}' AS value
  FROM xcom
  WHERE dag_run_id = r.id
    AND pg_column_size(value) <= :longest
    AND jsonb_typeof(value) = 'string'
    AND octet_length(value #>> '{}') >= :shortest
    AND starts_with(value #>> '{}', :prefix)
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
  AND pg_column_size(x.value) <= :longest
  AND jsonb_typeof(x.value) = 'string'
  AND octet_length(x.value #>> '{}') >= :shortest
  AND starts_with(x.value #>> '{}', :prefix)
GROUP BY r.dag_id, r.run_id, x.dag_run_id
""",
    # OFFSET 0 has the database go from each run to its rows, and from each of these to its task.
    waiting="""
SELECT r.dag_id, r.run_id, x.task_id, x.value, f.trigger_dag_id
FROM (
  SELECT id, dag_id, run_id FROM dag_run WHERE state = 'queued'
  UNION ALL
  SELECT id, dag_id, run_id FROM dag_run WHERE state = 'running'
) r
CROSS JOIN LATERAL (
  SELECT task_id, map_index,
    CASE WHEN jsonb_typeof(value) = 'string' THEN value #>> '{}' END AS value
  FROM xcom
  WHERE dag_run_id = r.id
    AND key = 'trigger_run_id'
    AND pg_column_size(value) <= 16384
  OFFSET 0
) x
CROSS JOIN LATERAL (
  SELECT 1
  FROM task_instance
  WHERE dag_id = r.dag_id AND run_id = r.run_id
    AND task_id = x.task_id AND map_index = x.map_index
    AND (state IN ('running', 'deferred', 'up_for_reschedule')
      OR state IN ('scheduled', 'queued') AND next_method IS NOT NULL)
  OFFSET 0
) t
LEFT JOIN LATERAL (
  SELECT CAST(rendered_fields AS json) ->> 'trigger_dag_id' AS trigger_dag_id
  FROM rendered_task_instance_fields
  WHERE dag_id = r.dag_id AND run_id = r.run_id
    AND task_id = x.task_id AND map_index = x.map_index
  OFFSET 0
) f ON true
""",
    boundary=_BOUNDARY,
    # Python writes what is not ASCII as six bytes, or twelve beyond the BMP. OFFSET 0 keeps the
    # parts apart, so that nothing is computed twice for a row.
    sizes="""
SELECT dag_id, task_id, path, ceil(size / step) * step AS upto,
  count(*), sum(size), max(size)
FROM (
  SELECT dag_id, task_id, path, size,
    greatest(1, power(2, floor(ln(size) / ln(2)) - 5)) AS step
  FROM (
    SELECT dag_id, task_id, coalesce(starts_with(text, :quoted), false) AS path,
      CASE WHEN octet_length(text) = char_length(text) THEN octet_length(text)
      ELSE char_length(text)
        + 5 * char_length(regexp_replace(text, '[\\u0001-\\u007f]+', '', 'g'))
        + 6 * char_length(regexp_replace(text, '[\\u0001-\\uffff]+', '', 'g'))
      END::float8 AS size
    FROM (
      SELECT dag_id, task_id, value::text AS text
      FROM xcom
      WHERE dag_run_id >= :low AND dag_run_id < :high AND value IS NOT NULL
      OFFSET 0
    ) texts
    OFFSET 0
  ) sized
  OFFSET 0
) stepped
GROUP BY dag_id, task_id, path, ceil(size / step) * step
""",
    tasks="""
SELECT dag_id, task_id, key, count(*), sum(size), max(size),
  count(*) FILTER (WHERE size >= :threshold AND NOT path),
  coalesce(sum(size) FILTER (WHERE size >= :threshold AND NOT path), 0),
  count(*) FILTER (WHERE path),
  0,
  count(*) FILTER (WHERE suspect AND NOT path),
  count(*) FILTER (WHERE suspect AND NOT path AND size > :most)
FROM (
  SELECT dag_id, task_id, key,
    coalesce(starts_with(text, :quoted), false) AS path,
    CASE WHEN octet_length(text) = char_length(text) THEN octet_length(text)
    ELSE char_length(text)
      + 5 * char_length(regexp_replace(text, '[\\u0001-\\u007f]+', '', 'g'))
      + 6 * char_length(regexp_replace(text, '[\\u0001-\\uffff]+', '', 'g'))
    END AS size,
    CASE WHEN starts_with(text, '"') THEN left(text, 64) ~ :strings
      ELSE position('"__' IN text) > 0 END AS suspect
  FROM (
    SELECT dag_id, task_id, key, value::text AS text
    FROM xcom
    WHERE dag_run_id >= :low AND dag_run_id < :high AND value IS NOT NULL
    OFFSET 0
  ) texts
  OFFSET 0
) looked
GROUP BY dag_id, task_id, key
""",
    suspects="""
SELECT dag_id, task_id, key, text
FROM (
  SELECT dag_id, task_id, key, value::text AS text
  FROM xcom
  WHERE dag_run_id >= :low AND dag_run_id < :high AND value IS NOT NULL
  OFFSET 0
) texts
WHERE octet_length(text) >= :least AND octet_length(text) <= :most
  AND NOT coalesce(starts_with(text, :quoted), false)
  AND CASE WHEN starts_with(text, '"') THEN left(text, 64) ~ :strings
    ELSE position('"__' IN text) > 0 END
""",
)

STATEMENTS = {("postgresql", "bytea"): _BYTES, ("postgresql", "jsonb"): _JSONB}
