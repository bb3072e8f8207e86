"""`census`: runs in flight that hold offloaded values, or the rows of exactly the runs given.

One read-only transaction. The cost follows the rows of the runs looked at, not the table: from
`dag_run` by state, then `xcom` by its primary key.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import zlib
from argparse import ArgumentParser, Namespace
from typing import Any, Iterator, NamedTuple, Tuple
from urllib.parse import urlsplit

from xcom_probe import options, place
from xcom_probe.airflow import versions
from xcom_probe.database import Database, snapshot
from xcom_probe.model import PASS, WARN, CannotLook, Finding, UsageError, rfc3339
from xcom_probe.report import Report

HELP = "list the runs in flight that hold offloaded values"

_CHUNK = 500
# Behind the base: dag_id, run_id and task_id of up to 250 characters, each up to 12 bytes in JSON
# (two escaped halves of a character outside the BMP), a UUID, suffixes, slashes and the quote.
_LONGEST_REST = 3 * 250 * 12 + 100
_PICKLE = b"\x80"

RunKey = Tuple[str, str]


class Run(NamedTuple):
    """One run of the answer. `state` is None for a run that does not exist (any more)."""

    dag_id: str
    run_id: str
    state: str | None
    start_date: str | None
    rows: int
    tasks: list[str]

    def as_json(self) -> dict[str, Any]:
        """With the names of the result document."""
        return {
            "dagId": self.dag_id,
            "runId": self.run_id,
            "state": self.state,
            "startDate": self.start_date,
            "rows": self.rows,
            "tasks": self.tasks,
        }


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `census`."""
    parser.add_argument(
        "--base",
        metavar="URL",
        required=True,
        help="the base path as configured, connection included: s3://conn@bucket/prefix",
    )
    parser.add_argument(
        "--runs-file",
        metavar="FILE",
        help='look at exactly these runs, in any state: a JSON list of {"dagId", "runId"}; '
        "- reads standard input, and a name that ends in .gz is decompressed",
    )


def run(args: Namespace, report: Report) -> None:
    """Take the census.

    Raises:
        CannotLook: the database is out of reach or not one that is known.
        UsageError: the base is no URL, or the file is not such a list.
    """
    prefix = row_prefix(args.base)
    asked = None if args.runs_file is None else read_runs(args.runs_file)
    report.facts.update(place.facts())
    if versions.airflow_series() >= (3, 0):
        raise CannotLook(f"the census is written for Airflow 2; this is {place.airflow_version()}")
    with snapshot(os.environ, options.read_config(os.environ)) as database:
        report.findings.append(
            Finding("database-reachable", PASS, database.description, "the metadata database")
        )
        query = _Query(database, prefix)
        report.members["databaseTime"] = query.now()
        runs = query.in_flight() if asked is None else query.exactly(asked)
        report.members["runs"] = [item.as_json() for item in runs]
        report.members["counts"] = {
            "runs": len(runs),
            "runsWithRows": sum(1 for item in runs if item.rows),
            "rows": sum(item.rows for item in runs),
            "inFlight": query.count_in_flight(),
        }
        report.findings.append(_readable(query.count_pickled()))


def row_prefix(base: str) -> bytes:
    """The first bytes of a row that holds a path below `base`: JSON, so quoted and escaped.

    >>> row_prefix("s3://aws_default@bucket/xcom/")
    b'"s3://aws_default@bucket/xcom/'
    """
    parts = urlsplit(base)
    if not parts.scheme or not (parts.netloc or parts.path):
        raise UsageError(f"--base {base!r} is no URL; write scheme://connection@bucket/prefix")
    return json.dumps(base.rstrip("/") + "/")[:-1].encode("ascii")


def read_runs(path: str) -> list[RunKey]:
    """Read the list of runs to look at; `.gz` at the end of the name means gzip.

    Raises:
        UsageError: the file cannot be read, or is not such a list.
    """
    try:
        if path == "-":
            content = sys.stdin.buffer.read()
        elif path.endswith(".gz"):
            with gzip.open(path) as compressed:
                content = compressed.read()
        else:
            with open(path, "rb") as file:
                content = file.read()
        runs = json.loads(content.decode("utf-8"))
    except (EOFError, OSError, ValueError, zlib.error) as problem:
        raise UsageError(f"--runs-file {path}: {problem}") from problem
    if not isinstance(runs, list):
        raise UsageError(f"--runs-file {path}: not a JSON list")
    return [_run_key(path, index, item) for index, item in enumerate(runs)]


def _run_key(path: str, index: int, item: Any) -> RunKey:
    dag_id, run_id = (
        (item.get("dagId"), item.get("runId")) if isinstance(item, dict) else (None, None)
    )
    if not isinstance(dag_id, str) or not isinstance(run_id, str):
        raise UsageError(
            f"--runs-file {path}: item {index} is {json.dumps(item)}; "
            'expected {"dagId": "...", "runId": "..."}'
        )
    return dag_id, run_id


# Complete statements, so that each can be pasted into psql. `octet_length` is asked first because
# it needs no look into a large value that is kept out of line.
_SQL_IN_FLIGHT = """
SELECT r.dag_id, r.run_id, r.state, r.start_date, x.task_id, count(*)
FROM dag_run r JOIN xcom x ON x.dag_run_id = r.id
WHERE r.state IN ('queued', 'running')
  AND octet_length(x.value) BETWEEN :shortest AND :longest
  AND substring(x.value FROM 1 FOR :length) = :prefix
GROUP BY r.id, x.task_id
"""
_SQL_EXACTLY = """
SELECT r.dag_id, r.run_id, r.state, r.start_date, x.task_id, count(x.task_id)
FROM dag_run r LEFT JOIN xcom x ON x.dag_run_id = r.id
  AND octet_length(x.value) BETWEEN :shortest AND :longest
  AND substring(x.value FROM 1 FOR :length) = :prefix
WHERE (r.dag_id, r.run_id) IN :runs
GROUP BY r.id, x.task_id
"""
_SQL_COUNT = "SELECT count(*) FROM dag_run WHERE state IN ('queued', 'running')"
_SQL_PICKLED = """
SELECT count(*)
FROM dag_run r JOIN xcom x ON x.dag_run_id = r.id
WHERE r.state IN ('queued', 'running')
  AND octet_length(x.value) BETWEEN 1 AND :longest
  AND substring(x.value FROM 1 FOR 1) = :pickle
"""


class _Query:
    """The statements, within one transaction."""

    def __init__(self, database: Database, prefix: bytes) -> None:
        import sqlalchemy

        self._sql: Any = sqlalchemy
        self._connection = database.connection
        self._parameters = {
            "prefix": prefix,
            "length": len(prefix),
            # At least one character of a key, and the closing quote.
            "shortest": len(prefix) + 2,
            "longest": len(prefix) + _LONGEST_REST,
        }

    def now(self) -> str:
        """The database's clock at the start of the transaction."""
        return rfc3339(self._connection.execute(self._sql.text("SELECT now()")).scalar())

    def in_flight(self) -> list[Run]:
        """Runs in flight with at least one such row."""
        return _fold(self._connection.execute(self._sql.text(_SQL_IN_FLIGHT), self._parameters))

    def exactly(self, asked: list[RunKey]) -> list[Run]:
        """The runs asked for, in any state, each with its number of such rows."""
        statement = self._sql.text(_SQL_EXACTLY).bindparams(
            self._sql.bindparam("runs", expanding=True)
        )
        wanted = sorted(set(asked))
        found: dict[RunKey, Run] = {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            rows = self._connection.execute(statement, {**self._parameters, "runs": chunk})
            found.update({(item.dag_id, item.run_id): item for item in _fold(rows)})
        return [found.get(key, Run(key[0], key[1], None, None, 0, [])) for key in wanted]

    def count_in_flight(self) -> int:
        """Runs in flight, with or without such rows."""
        return int(self._connection.execute(self._sql.text(_SQL_COUNT)).scalar())

    def count_pickled(self) -> int:
        """Small pickled rows of runs in flight: what they hold, SQL cannot tell."""
        parameters = {"longest": self._parameters["longest"], "pickle": _PICKLE}
        return int(self._connection.execute(self._sql.text(_SQL_PICKLED), parameters).scalar())


def _fold(rows: Iterator[Any]) -> list[Run]:
    """One Run of the rows of its tasks, sorted by DAG and run."""
    runs: dict[RunKey, Run] = {}
    for dag_id, run_id, state, start_date, task_id, count in rows:
        known = runs.get((dag_id, run_id))
        if known is None:
            known = Run(dag_id, run_id, state, start_date and rfc3339(start_date), 0, [])
        tasks = known.tasks + ([task_id] if task_id is not None else [])
        runs[(dag_id, run_id)] = known._replace(rows=known.rows + count, tasks=sorted(tasks))
    return [runs[key] for key in sorted(runs)]


def _readable(pickled: int) -> Finding:
    expected = "no pickled value in a run in flight"
    if not pickled:
        return Finding("rows-readable", PASS, expected, expected)
    return Finding(
        "rows-readable",
        WARN,
        f"{pickled} pickled values in runs in flight",
        expected,
        "A pickled path is not found by the census: such a run is not listed.",
        "Set AIRFLOW__CORE__ENABLE_XCOM_PICKLING=False and look at these runs by hand.",
    )
