"""What an Airflow container gives the probe: an interpreter, variables, airflow.cfg."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from abstract_socket import wait_until_it_listens
from probe_world.airflows import DEFAULT_AIRFLOW, Environment
from probe_world.database import Database
from probe_world.object_store import ACCESS_KEY, BUCKET, SECRET_KEY, ObjectStore
from xcom_rollout.probe.exec import WAITING

CONN_ID = "xcom_s3"
PATH = f"s3://{CONN_ID}@{BUCKET}/xcom"
THRESHOLD = 1048576
ALONE = (
    "unshare",
    *(() if os.geteuid() == 0 else ("--user", "--map-root-user")),
    *("--pid", "--fork", "--kill-child", "--mount-proc", "--"),
)
"""Begins a command that runs among no other processes, as the first of a container does."""
OBJECT_BACKEND = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"


@dataclass(frozen=True)
class Answer:
    """What one run of the probe gave.

    Attributes:
        code: the exit code.
        stdout: all of it.
        stderr: all of it.
    """

    code: int
    stdout: str
    stderr: str

    @property
    def result(self) -> dict[str, Any]:
        """The document, when it was asked for as JSON."""
        try:
            return dict(json.loads(self.stdout))
        except ValueError as error:
            raise AssertionError(f"no JSON on stdout:\n{self.stdout}\n{self.stderr}") from error

    def checks(self, *statuses: str) -> dict[str, dict[str, str]]:
        """Checks by name, of these statuses, or of all."""
        return {
            check["name"]: check
            for check in self.result["checks"]
            if not statuses or check["status"] in statuses
        }

    def failing(self) -> set[str]:
        """Names of the checks that failed or could not look."""
        return set(self.checks("fail", "error"))


@dataclass(frozen=True)
class Pod:
    """An environment as an Airflow container has it: interpreter, variables, airflow.cfg.

    Attributes:
        python: the interpreter.
        pyz: the probe.
        env: all variables.
        version: of Airflow.
    """

    python: Path
    pyz: Path
    env: dict[str, str] = field(default_factory=dict)
    version: str = DEFAULT_AIRFLOW

    def with_env(self, changes: Mapping[str, str | None]) -> Pod:
        """The same with variables set, or removed (None)."""
        env = {**self.env, **{k: v for k, v in changes.items() if v is not None}}
        for name in [name for name, value in changes.items() if value is None]:
            env.pop(name, None)
        return replace(self, env=env)

    def probe(self, *arguments: str, output: str | None = "--json", timeout: float = 120) -> Answer:
        """Run the zipapp to its end."""
        # What looks at a container's other processes must not see those of other tests.
        alone = ALONE if {"inspect", "configured"} & {*arguments} else ()
        done = subprocess.run(
            [*alone, self.python, self.pyz, *arguments, *([output] if output else [])],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            cwd="/",
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def waiting(self) -> Iterator[Callable[..., Answer]]:
        """Let the probe wait; yields a function that puts a command to it as the operator does."""
        there = self.with_env({"HOSTNAME": f"pod-{os.getpid()}"})
        with subprocess.Popen([self.python, self.pyz, "standby"], env=there.env, cwd="/") as waits:
            try:
                namespace = Path("/proc/self/ns/mnt").stat().st_ino
                wait_until_it_listens(f"xcom_probe-{namespace}-{there.env['HOSTNAME']}")
                yield there._ask
            finally:
                waits.terminate()

    def _ask(self, *arguments: str) -> Answer:
        command = ("-I", "-S", "-c", WAITING, "0", "/nowhere", *arguments, "--json")
        done = subprocess.run(
            (self.python, *command),
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Answer(done.returncode, done.stdout, done.stderr)


def connection(endpoint: str, secret: str = SECRET_KEY) -> str:
    """The value of AIRFLOW_CONN_*, as JSON."""
    return json.dumps(
        {
            "conn_type": "aws",
            "login": ACCESS_KEY,
            "password": secret,
            "extra": {"endpoint_url": endpoint, "region_name": "us-east-1"},
        }
    )


def right_environment(
    airflow: Environment, home: Path, database: Database, store: ObjectStore
) -> dict[str, str]:
    """Variables of a pod in which everything is right."""
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__XCOM_BACKEND": OBJECT_BACKEND,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.url(),
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": PATH,
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": str(THRESHOLD),
        f"AIRFLOW_CONN_{CONN_ID.upper()}": connection(store.endpoint),
        # Nobody here is asked for credentials that a test did not give.
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    if airflow.is_3:
        # All components of Airflow 3 share it; the official chart gives it to every pod.
        env["AIRFLOW__API_AUTH__JWT_SECRET"] = "probe-tests-jwt-secret-of-64-bytes-or-more".ljust(
            64, "x"
        )
    return env
