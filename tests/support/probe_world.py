"""Real parts for the tests of the probe: an Airflow, a PostgreSQL and an S3 server on loopback.

Nothing here is a stand-in. The virtual environment holds what the Airflow image holds (the same
requirements file), PostgreSQL is Debian's, the S3 server is MinIO.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psycopg

from harness.paths import IMAGES, cache_dir, content_hash
from harness.shell import HarnessError, locked, run
from harness.tools import tool
from harness.waiting import NotYetError, wait_for

BUCKET = "airflow-xcom"
CONN_ID = "xcom_s3"
PATH = f"s3://{CONN_ID}@{BUCKET}/xcom"
THRESHOLD = 1048576
ACCESS_KEY = "probe-tests"
SECRET_KEY = "probe-tests-secret"
OBJECT_BACKEND = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
_REQUIREMENTS = IMAGES / "airflow" / "requirements.txt"


def airflow_environment() -> Path:
    """A virtual environment with the Airflow of the image, made once per requirements file."""
    key = content_hash([_REQUIREMENTS])
    folder = cache_dir() / "venv" / f"airflow-{key}"
    ready = folder / ".complete"
    with locked("airflow-venv"):
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            # The requirements are compiled for the Python of the image.
            python = shutil.which("python3.11") or sys.executable
            uv = (sys.executable, "-m", "uv")
            run(*uv, "venv", "--quiet", "--no-python-downloads", "--python", python, folder)
            # --python, because uv run as a module prefers the environment that it runs in.
            run(
                *(*uv, "pip", "install", "--quiet", "--compile-bytecode"),
                *("--python", folder / "bin" / "python", "-r", _REQUIREMENTS),
            )
            ready.touch()
    return folder


def without_package(environment: Path, folder: Path, package: str, distribution: str) -> Path:
    """A copy of a virtual environment in which one package is not installed; its interpreter.

    The copy is made of symbolic links, down to the one folder and the one `.dist-info` that are
    left out, so Python finds exactly what it would find had the package never been installed.

    Args:
        package: dotted name, `airflow.providers.common.io`.
        distribution: name as in its `.dist-info` folder.
    """
    (source,) = (environment / "lib").glob("python*/site-packages")
    target = folder / "lib" / source.parent.name / source.name
    target.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to((environment / "bin" / "python").resolve())
    shutil.copy(environment / "pyvenv.cfg", folder / "pyvenv.cfg")
    _link(source, target, package.split("."), f"{distribution}-")
    return folder / "bin" / "python"


def _link(source: Path, target: Path, leave_out: list[str], no_prefix: str) -> None:
    for entry in source.iterdir():
        if no_prefix and entry.name.startswith(no_prefix) and entry.name.endswith(".dist-info"):
            continue
        if leave_out and entry.name == leave_out[0]:
            if len(leave_out) > 1:
                (target / entry.name).mkdir()
                _link(entry, target / entry.name, leave_out[1:], "")
            continue
        (target / entry.name).symlink_to(entry)


def free_port() -> int:
    """A TCP port on loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Postgres:
    """A private PostgreSQL server."""

    port: int
    user: str = "airflow"

    def url(self, driver: str = "postgresql+psycopg2", password: str = "airflow") -> str:
        """Where Airflow finds its metadata."""
        return f"{driver}://{self.user}:{password}@127.0.0.1:{self.port}/airflow"

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """An autocommitting connection to Airflow's database."""
        return psycopg.connect(self.url("postgresql"), autocommit=True)


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """Start PostgreSQL with an empty database `airflow`; stop it at the end."""
    programs = _postgres_programs()
    as_user: dict[str, Any] = {}
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres", "postgres")
        for parent in folder.parents:
            if parent == Path("/tmp"):
                break
            parent.chmod(parent.stat().st_mode | 0o011)
    password_file = folder / "password"
    password_file.write_text("airflow\n")
    data, log, server = folder / "data", folder / "log", Postgres(free_port())
    made = subprocess.run(
        [
            *(programs / "initdb", "--pgdata", data, "--username", server.user),
            *("--auth", "scram-sha-256", "--pwfile", password_file),
            *("--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        **as_user,
    )
    if made.returncode != 0:
        raise HarnessError(f"initdb: {made.stdout}{made.stderr}")
    with (folder.parent / "postgres.log").open("wb") as log_file:
        log = Path(log_file.name)
        process = subprocess.Popen(
            [
                *(programs / "postgres", "-D", data, "-p", str(server.port), "-k", folder),
                *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"),
            ],
            stdout=log_file,
            stderr=log_file,
            cwd=folder,
            **as_user,
        )

    def answers() -> bool:
        if process.poll() is not None:
            raise HarnessError(f"postgres ended: {log.read_text()[-2000:]}")
        try:
            admin = server.url("postgresql").removesuffix("airflow") + "postgres"
            with psycopg.connect(admin, autocommit=True, connect_timeout=3) as connection:
                connection.execute("CREATE DATABASE airflow")
        except psycopg.Error as error:
            raise NotYetError(str(error)) from error
        return True

    try:
        wait_for("PostgreSQL answers", answers, 30)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _postgres_programs() -> Path:
    """The folder of initdb and postgres; Debian's package is installed if it is missing."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        if os.geteuid() != 0:
            raise HarnessError("PostgreSQL is not on this machine: apt-get install postgresql")
        # Only the programs are wanted, not a server that starts by itself.
        settings = Path("/etc/postgresql-common/createcluster.conf")
        settings.parent.mkdir(exist_ok=True)
        if not settings.exists():
            settings.write_text("create_main_cluster = false\n")
        run("apt-get", "update", "-qq")
        run(
            *("apt-get", "install", "-y", "-qq", "--no-install-recommends", "postgresql"),
            env={"DEBIAN_FRONTEND": "noninteractive"},
        )
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent


@dataclass(frozen=True)
class ObjectStore:
    """A private MinIO server."""

    endpoint: str

    def client(self) -> Any:
        """A client with all rights."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
        )

    def all_keys(self, bucket: str = BUCKET) -> list[str]:
        """Every key of a bucket."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def buckets(self) -> set[str]:
        """Every bucket."""
        return {bucket["Name"] for bucket in self.client().list_buckets()["Buckets"]}


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """Start MinIO with the bucket; stop it at the end."""
    folder.mkdir(parents=True)
    store = ObjectStore(f"http://127.0.0.1:{free_port()}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(tool("minio"), "server", "--quiet", "--address", store.endpoint[7:]),
                *("--console-address", f"127.0.0.1:{free_port()}", folder / "data"),
            ],
            stdout=log,
            stderr=log,
            env={
                "HOME": str(folder),
                "MINIO_ROOT_USER": ACCESS_KEY,
                "MINIO_ROOT_PASSWORD": SECRET_KEY,
                "MINIO_UPDATE": "off",
                "MINIO_BROWSER": "off",
            },
        )

    def ready() -> bool:
        if process.poll() is not None:
            raise HarnessError(f"minio ended: {(folder / 'log').read_text()[-2000:]}")
        asked = http.client.HTTPConnection(store.endpoint[7:], timeout=3)
        try:
            asked.request("GET", "/minio/health/ready")
            return asked.getresponse().status == 200
        except OSError as error:
            raise NotYetError(str(error)) from error
        finally:
            asked.close()

    try:
        wait_for("MinIO is ready", ready, 30)
        store.client().create_bucket(Bucket=BUCKET)
        yield store
    finally:
        process.terminate()
        process.wait(30)


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
    """An environment as an Airflow container has it: interpreter, variables, airflow.cfg."""

    python: Path
    pyz: Path
    env: dict[str, str] = field(default_factory=dict)

    def with_env(self, changes: Mapping[str, str | None]) -> Pod:
        """The same with variables set, or removed (None)."""
        env = {**self.env, **{k: v for k, v in changes.items() if v is not None}}
        for name in [name for name, value in changes.items() if value is None]:
            env.pop(name, None)
        return Pod(self.python, self.pyz, env)

    def probe(self, *arguments: str, output: str | None = "--json", timeout: float = 120) -> Answer:
        """Run the zipapp to its end."""
        done = subprocess.run(
            [self.python, self.pyz, *arguments, *([output] if output else [])],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            cwd="/",
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


def right_environment(home: Path, database: Postgres, store: ObjectStore) -> dict[str, str]:
    """Variables of a pod in which everything is right."""
    return {
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


class Gate:
    """A TCP forwarder on loopback that holds back a request once it has seen a certain text."""

    def __init__(self, target: str, text: bytes) -> None:
        """Forward to `target` (host:port); the first request that holds `text` waits for `open`."""
        host, _, port = target.partition(":")
        self._target = (host, int(port))
        self._text = text
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open = threading.Event()
        self.seen = threading.Event()
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def open(self) -> None:
        """Let everything through from now on."""
        self._open.set()

    def close(self) -> None:
        """Accept no more connections."""
        self._open.set()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            upstream = socket.create_connection(self._target)
            for source, sink, held in ((client, upstream, True), (upstream, client, False)):
                threading.Thread(target=self._pump, args=(source, sink, held), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, held: bool) -> None:
        try:
            while data := source.recv(65536):
                if held and self._text in data and not self._open.is_set():
                    self.seen.set()
                    self._open.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            # One side went away: so does the other.
            source.close()
            sink.close()
