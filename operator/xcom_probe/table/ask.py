"""Asking one statement, with the parameters that it names."""

from __future__ import annotations

import importlib
import re
from typing import Any, Mapping

from xcom_probe.database.connection import Connected

_NAME = re.compile(r"(?<!:):([a-z_]+)")


def ask(
    database: Connected,
    statement: str,
    parameters: Mapping[str, Any],
    streamed: int = 0,
    **lists: Any,
) -> Any:
    """The rows of `statement`, as SQLAlchemy gives them.

    Args:
        database: with an open transaction.
        statement: names its parameters as `:name`.
        parameters: what it may name; what it does not is left out.
        streamed: rows to fetch at a time through a cursor on the server; 0 fetches all at once.
        lists: parameters that stand for a list, as in `IN :name`.
    """
    sqlalchemy: Any = importlib.import_module("sqlalchemy")
    text = sqlalchemy.text(statement)
    if lists:
        text = text.bindparams(*(sqlalchemy.bindparam(name, expanding=True) for name in lists))
    names = set(_NAME.findall(statement))
    given = {name: value for name, value in parameters.items() if name in names}
    connection = database.connection
    if not streamed:
        return connection.execute(text, {**given, **lists})
    options = {"stream_results": True, "max_row_buffer": streamed}
    return connection.execute(text.execution_options(**options), {**given, **lists}).yield_per(
        streamed
    )
