"""Run inside the Airflow environment: what Airflow's own class and the backend read from rows.

Takes a DAG id and a run id from the command line; prints a JSON object with the members `own` and
`backend`: for each XCom key of the run (not of mapped tasks) the value in words, type by type, so
that 1 is not 1.0.
"""

import json
import sys
from typing import Any, NamedTuple

from airflow import __version__, settings
from airflow.models.xcom import XCom  # first: see docs/probe.md

AIRFLOW_3 = not __version__.startswith("2.")


class Row(NamedTuple):
    value: Any


def words(value: Any) -> str:
    name = type(value).__name__
    if isinstance(value, dict):
        inner = [f"{words(key)}: {words(value[key])}" for key in sorted(value, key=str)]
        return f"{name}({', '.join(inner)})"
    if isinstance(value, (list, tuple)):
        return f"{name}({', '.join(map(words, value))})"
    if isinstance(value, (set, frozenset)):
        return f"{name}({', '.join(sorted(map(words, value)))})"
    return f"{name} {value!r}"


if AIRFLOW_3:
    from airflow.models.xcom import XComModel as Model
    from airflow.sdk.bases.xcom import BaseXCom
else:
    from airflow.models.xcom import BaseXCom

    Model = XCom
# As a task process loads it, by the option `xcom_backend`.
from airflow.providers.common.io.xcom.backend import XComObjectStorageBackend  # noqa: E402

table = Model.__table__
query = table.select().where(table.c.dag_id == sys.argv[1], table.c.run_id == sys.argv[2])
with settings.Session() as session:
    rows = session.execute(query).mappings().all()


def read(kind: Any, raw: Any) -> str:
    try:
        return words(kind.deserialize_value(Row(raw)))
    except Exception as problem:  # noqa: BLE001 - a task would get it
        return f"raises {type(problem).__name__}"


found = {
    name: {row["key"]: read(kind, row["value"]) for row in rows}
    for name, kind in (("own", BaseXCom), ("backend", XComObjectStorageBackend))
}
sys.stdout.write("\n" + json.dumps(found) + "\n")
