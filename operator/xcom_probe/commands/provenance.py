"""`provenance`: which build of the DAGs is here, and which one Airflow has parsed."""

from __future__ import annotations

import importlib
import os
import re
from argparse import ArgumentParser, Namespace
from typing import Any

from xcom_probe import options, runtime
from xcom_probe.airflow.versions import airflow_series
from xcom_probe.database.snapshot import Database, snapshot
from xcom_probe.model import PASS, WARN, CannotLook, Finding
from xcom_probe.report import Report
from xcom_probe.stamp import STAMP, Stamp
from xcom_probe.stamp import stamps as read_stamps

HELP = "report which build of the DAGs is here, and with --tags which one Airflow has parsed"

# Airflow 3 inverted the column's name and its meaning.
_TAGS = """
SELECT dag.dag_id, dag_tag.name
FROM dag LEFT JOIN dag_tag ON dag_tag.dag_id = dag.dag_id AND dag_tag.name LIKE 'build=%'
WHERE {}
ORDER BY dag.dag_id, dag_tag.name
"""
_PREFIX = "build="
_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `provenance`."""
    parser.add_argument(
        "--tags", action="store_true", help="read the tags build=... of the DAGs in the database"
    )
    parser.add_argument(
        "--env",
        metavar="NAME",
        action="append",
        default=[],
        help="report the value of this variable, which contains the commit of the image; "
        "repeatable",
    )


def run(args: Namespace, report: Report) -> None:
    """Look; Airflow is imported only where its database cannot be found without it.

    Raises:
        CannotLook: Airflow is not installed here, or with --tags its database is out of reach.
    """
    report.facts.update(runtime.facts())
    series = airflow_series()
    if series == (0, 0):
        raise CannotLook("Airflow is not installed here")
    airflow_3 = series >= (3, 0)
    cfg = options.read_config(os.environ)
    stamps = read_stamps(os.environ, cfg, airflow_3)
    report.findings.extend(_check(stamp) for stamp in stamps)
    found: dict[str, Any] = {
        "stamps": [stamp.as_json() for stamp in stamps],
        "environment": {name: _commit(os.environ.get(name)) for name in args.env},
        "builds": None,
    }
    report.members["provenance"] = found
    if args.tags:
        with snapshot(os.environ, cfg) as database:
            found["builds"] = _builds(database, airflow_3)


def _check(stamp: Stamp) -> Finding:
    where = f"in {stamp.resolved}"
    if stamp.sha is not None:
        seen = f"{stamp.sha}, copied at {stamp.synced_at or 'an unknown time'}, {where}"
        return Finding("dags-stamp", PASS, seen)
    return Finding(
        "dags-stamp",
        WARN,
        f"{stamp.problem} {where}" if stamp.resolved else stamp.problem,
        f"{STAMP} with the commit that the DAGs were copied from",
        "It is not known which build of the DAGs runs here.",
        "Let the workflow that copies the DAGs write it: xbr stamp --sha SHA --dags DIR.",
    )


def _commit(value: str | None) -> str | None:
    """The value where it is a commit, empty where it is not: it may be a secret."""
    return value if value is None or _COMMIT.match(value) else ""


def _builds(database: Database, airflow_3: bool) -> list[dict[str, Any]]:
    """The builds that each DAG of the table is tagged with; gone DAGs are left out."""
    present = "NOT dag.is_stale" if airflow_3 else "dag.is_active"
    text = importlib.import_module("sqlalchemy").text(_TAGS.format(present))
    builds: dict[str, list[str]] = {}
    for dag_id, tag in database.connection.execute(text):
        known = builds.setdefault(str(dag_id), [])
        if tag is not None:
            known.append(str(tag)[len(_PREFIX) :])
    return [{"dagId": dag_id, "builds": known} for dag_id, known in builds.items()]
