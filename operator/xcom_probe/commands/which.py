"""Which paths and which runs: the arguments that `census`, `forget` and `rehydrate` share."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from argparse import ArgumentParser
from typing import Any

from xcom_probe.model import UsageError
from xcom_probe.table.waiting import RunKey

RUNS_FILE = (
    'a JSON list of {"dagId", "runId"}; - reads standard input, and a name that ends in .gz is '
    "decompressed"
)


def base_argument(parser: ArgumentParser) -> None:
    """Add --base."""
    parser.add_argument(
        "--base",
        metavar="URL",
        action="append",
        default=[],
        help="a base path, connection included: s3://conn@bucket/prefix; repeatable, and paths "
        "below any of them count; default: the one configured here",
    )


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
