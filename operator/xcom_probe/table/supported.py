"""The statements for each kind of database that Airflow supports."""

from __future__ import annotations

from xcom_probe.database.connection import Connected
from xcom_probe.model import CannotLook
from xcom_probe.table import mysql, postgresql
from xcom_probe.table.statements import Statements

_KNOWN = {**postgresql.STATEMENTS, **mysql.STATEMENTS}


def statements(database: Connected) -> Statements:
    """The statements for `database`.

    Raises:
        CannotLook: `xcom.value` is of a type that no supported Airflow gives it.
    """
    found = _KNOWN.get((database.dialect, database.value_type))
    if found is None:
        raise CannotLook(
            f"xcom.value is of type {database.value_type!r} in {database.description}; known are "
            + ", ".join(f"{kind} ({dialect})" for dialect, kind in sorted(_KNOWN))
        )
    return found


def holds_json(database: Connected) -> bool:
    """Whether `xcom.value` is JSON for the database (Airflow 3) and not bytes (Airflow 2)."""
    return database.value_type in ("json", "jsonb")
