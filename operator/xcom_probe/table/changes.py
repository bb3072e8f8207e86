"""The statements that change the tables, and what they need to know first.

Each change names one run by its number, and holds the condition of a row with a path below the
base: nothing else can be reached, whatever happened since it was looked at.
"""

from __future__ import annotations

from typing import NamedTuple

from xcom_probe.database.connection import Connected
from xcom_probe.table.supported import statements


class Changes(NamedTuple):
    """The statements for one kind of database and one type of `xcom.value`.

    Attributes:
        named: number, DAG, run id and state of the runs given.
        lock: the same, and no other transaction changes these runs until the end of this one. In a
            fixed order, so that two of these cannot deadlock.
        forget: deletes the rows of a run that hold a path below a base.
        remaining: how many such rows a run has.
        held: task, map index, key and value of each of them; the value is bytes, or the string.
        replace: gives one row another value, if it still has the old one.
        stored: the value of one row: bytes, or the text of the JSON.
        pickled: small pickled rows of a run, which may hold a path; None where nothing is pickled.
    """

    named: str
    lock: str
    forget: str
    remaining: str
    held: str
    replace: str
    stored: str
    pickled: str | None


_NAMED = """
SELECT id, dag_id, run_id, state FROM dag_run
WHERE (dag_id, run_id) IN :runs
ORDER BY id
"""
# The condition of such a row, as in the statements of the census.
_PATHS = {
    ("postgresql", "bytea"): """
  AND octet_length(value) BETWEEN :shortest AND :longest
  AND substring(value FROM 1 FOR :length) = :prefix
""",
    ("postgresql", "jsonb"): """
  AND pg_column_size(value) <= :longest
  AND jsonb_typeof(value) = 'string'
  AND octet_length(value #>> '{}') >= :shortest
  AND starts_with(value #>> '{}', :prefix)
""",
    ("mysql", "longblob"): """
  AND octet_length(value) BETWEEN :shortest AND :longest
  AND substring(value, 1, :length) = :prefix
""",
    ("mysql", "json"): """
  AND json_storage_size(value) <= :longest
  AND json_type(value) = 'STRING'
  AND octet_length(json_unquote(value)) >= :shortest
  AND left(CAST(json_unquote(value) AS BINARY), :length) = CAST(:prefix AS BINARY)
""",
}
_PATHS[("mysql", "blob")] = _PATHS[("mysql", "longblob")]
_PICKLED = {
    "postgresql": "AND octet_length(value) BETWEEN 1 AND :longest AND get_byte(value, 0) = 128",
    "mysql": "AND octet_length(value) BETWEEN 1 AND :longest AND ascii(value) = 128",
}
# How a value is asked for, written and compared: (as text or bytes, new, old).
_VALUES = {
    "bytea": ("value", "value", ":new", "value = :old"),
    "jsonb": (
        "value #>> '{}'",
        "CAST(value AS text)",
        "CAST(:new AS jsonb)",
        "value = to_jsonb(CAST(:old AS text))",
    ),
    "longblob": ("value", "value", ":new", "value = :old"),
    "json": (
        "json_unquote(value)",
        "CAST(value AS CHAR)",
        "CAST(:new AS JSON)",
        "json_type(value) = 'STRING'"
        " AND CAST(json_unquote(value) AS BINARY) = CAST(:old AS BINARY)",
    ),
}
_VALUES["blob"] = _VALUES["longblob"]
_OF_RUN = "xcom WHERE dag_run_id = :run"


def changes(database: Connected) -> Changes:
    """The statements for `database`.

    Raises:
        CannotLook: `xcom.value` is of a type that no supported Airflow gives it.
    """
    is_pickled = statements(database).pickled is not None
    below = _PATHS[(database.dialect, database.value_type)]
    key = "`key`" if database.dialect == "mysql" else "key"
    string, whole, new, old = _VALUES[database.value_type]
    row = f"{_OF_RUN} AND task_id = :task AND map_index = :index AND {key} = :key"
    return Changes(
        named=_NAMED,
        lock=f"{_NAMED}FOR UPDATE",
        forget=f"DELETE FROM {_OF_RUN}{below}",  # noqa: S608 - literals of this module
        remaining=f"SELECT count(*) FROM {_OF_RUN}{below}",  # noqa: S608
        held=f"SELECT task_id, map_index, {key}, {string} FROM {_OF_RUN}{below}",  # noqa: S608
        replace=f"UPDATE {row.replace(' WHERE ', f' SET value = {new} WHERE ')} AND {old}",  # noqa: S608
        stored=f"SELECT {whole} FROM {row}",  # noqa: S608
        pickled=(
            f"SELECT count(*) FROM {_OF_RUN} {_PICKLED[database.dialect]}"  # noqa: S608
            if is_pickled
            else None
        ),
    )
