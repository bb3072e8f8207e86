"""What several benchmarks have in common: an Airflow with a database, and the time of a process."""

from __future__ import annotations

import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from probe_world import Environment, Postgres, airflow_environment, migrate, postgres
from xcom_probe.build import build


@dataclass(frozen=True)
class Instance:
    """An Airflow with a migrated PostgreSQL, and the probe beside it.

    Attributes:
        home: a folder of its own, gone afterwards.
        pyz: the probe.
    """

    airflow: Environment
    server: Postgres
    home: Path
    pyz: Path


@contextmanager
def instance(version: str) -> Iterator[Instance]:
    """Set up an Airflow.

    Raises:
        HarnessError: a part of it could not be set up.
    """
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as name:
        home = Path(name)
        pyz = home / "xcom_probe.pyz"
        build(pyz)
        airflow = airflow_environment(version)
        with postgres(home / "server") as server:
            migrate(airflow, server, home)
            yield Instance(airflow, server, home, pyz)


@dataclass(frozen=True)
class Run:
    """A process that has ended; seconds on the wall and of the processor."""

    seconds: float
    processor: float
    code: int
    stdout: str
    stderr: str


def run(command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Run:
    """Run a process to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.monotonic()
    done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(seconds, processor, done.returncode, done.stdout, done.stderr)
