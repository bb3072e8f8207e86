"""A real PostgreSQL, Debian's, on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from harness.debian import install
from harness.ports import free_port
from harness.shell import HarnessError
from harness.waiting import NotYetError, wait_for


@dataclass(frozen=True)
class Postgres:
    """A database of a private PostgreSQL server.

    Attributes:
        port: TCP port on 127.0.0.1.
        user: owner of the server and of the database; the password is the same word.
        name: of the database.
    """

    port: int
    user: str = "airflow"
    name: str = "airflow"

    def url(self, driver: str = "postgresql+psycopg2", password: str = "airflow") -> str:
        """Where Airflow finds its metadata."""
        return f"{driver}://{self.user}:{password}@127.0.0.1:{self.port}/{self.name}"

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """An autocommitting connection to this database."""
        return psycopg.connect(self.url("postgresql"), autocommit=True, connect_timeout=10)

    def create(self, name: str) -> Postgres:
        """Another, empty database of the same server."""
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return replace(self, name=name)


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """Start PostgreSQL with an empty database `airflow`; stop it at the end.

    Args:
        folder: for its log. Its data are elsewhere: as root it runs as another user, who is kept
            out of pytest's folders whenever some other pytest begins on this machine.
    """
    programs = _postgres_programs()
    folder.mkdir(parents=True)
    server = Postgres(free_port())
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        home = Path(name)
        as_user: dict[str, Any] = {"cwd": home}
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            as_user |= {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(home, "postgres", "postgres")
        _make_cluster(programs, home, server, as_user)
        with _running(programs, home, folder / "log", server, as_user):
            yield server


def _make_cluster(programs: Path, home: Path, server: Postgres, as_user: Mapping[str, Any]) -> None:
    password_file = home / "password"
    password_file.write_text("airflow\n")
    made = subprocess.run(
        [
            *(programs / "initdb", "--pgdata", home / "data", "--username", server.user),
            *("--auth", "scram-sha-256", "--pwfile", password_file),
            *("--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
        ],
        capture_output=True,
        text=True,
        check=False,
        **as_user,
    )
    if made.returncode != 0:
        raise HarnessError(f"initdb: {made.stdout}{made.stderr}")


@contextmanager
def _running(
    programs: Path, home: Path, log: Path, server: Postgres, as_user: Mapping[str, Any]
) -> Iterator[None]:
    with log.open("wb") as log_file:
        process = subprocess.Popen(
            [
                *(programs / "postgres", "-D", home / "data", "-p", str(server.port), "-k", home),
                *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"),
            ],
            stdout=log_file,
            stderr=log_file,
            **as_user,
        )

    def answers() -> bool:
        if process.poll() is not None:
            raise HarnessError(f"postgres ended: {log.read_text()[-2000:]}")
        try:
            replace(server, name="postgres").create(server.name)
        except psycopg.Error as error:
            raise NotYetError(str(error)) from error
        return True

    try:
        wait_for("PostgreSQL answers", answers, 30)
        yield
    finally:
        # The fast way: it does not wait for clients that are still connected.
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _postgres_programs() -> Path:
    """The folder of initdb and postgres; Debian's package is installed if it is missing."""
    found = _initdbs()
    if not found:
        # Only the programs are wanted, not a server that starts automatically.
        settings = Path("/etc/postgresql-common/createcluster.conf")
        if os.geteuid() == 0 and not settings.exists():
            settings.parent.mkdir(exist_ok=True)
            settings.write_text("create_main_cluster = false\n")
        install(["postgresql"])
        found = _initdbs()
    return found[-1].parent


def _initdbs() -> list[Path]:
    return sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
