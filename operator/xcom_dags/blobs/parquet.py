"""Tables as Parquet, where pyarrow is installed."""

from __future__ import annotations

from typing import Any

from xcom_dags.blobs.reference import describe


def prepare(table: Any) -> dict[str, dict[str, Any]]:
    """Describe a `pyarrow.Table`: its columns, each with the table's rows and Arrow's type.

    The type is the one that Parquet gives back: a timestamp in seconds comes back in milliseconds.

    Raises:
        ValueError: it is not such a table, two columns have one name, or Parquet cannot hold one.
    """
    import pyarrow

    if not isinstance(table, pyarrow.Table):
        raise ValueError(
            f"table is a {type(table).__name__}; pass a pyarrow.Table, as pyarrow.Table.from_pandas"
        )
    if len(set(table.column_names)) != len(table.column_names):
        raise ValueError("table has two columns of one name")
    read_back = [_as_read(field) for field in table.schema]
    return {field.name: describe((table.num_rows,), str(field.type)) for field in read_back}


def _as_read(field: Any) -> Any:
    """The field of a column as it is after it was written and read."""
    import pyarrow
    import pyarrow.parquet

    sink = pyarrow.BufferOutputStream()
    try:
        pyarrow.parquet.write_table(pyarrow.schema([field]).empty_table(), sink)
        return pyarrow.parquet.read_schema(pyarrow.BufferReader(sink.getvalue())).field(0)
    except pyarrow.ArrowException as error:
        raise ValueError(
            f"column {field.name!r} has the type {field.type}, which Parquet cannot hold "
            f"({error}); cast it to another one, or leave it out"
        ) from error


def write(table: Any, sink: Any) -> None:
    """Write a table to a sink that can only be written to."""
    import pyarrow
    import pyarrow.parquet

    with pyarrow.PythonFile(sink, mode="w") as file:
        pyarrow.parquet.write_table(table, file)


def read(memory: Any) -> Any:
    """Read a table.

    Raises:
        pyarrow.ArrowInvalid: (a ValueError) it is not Parquet.
    """
    import pyarrow
    import pyarrow.parquet

    return pyarrow.parquet.read_table(pyarrow.BufferReader(memory))
