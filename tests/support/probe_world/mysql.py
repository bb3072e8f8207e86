"""A real MySQL on loopback: this machine's, or Debian's.

Debian has MySQL in its unstable release only, so it runs in a root of that release; which version
that is changes with time. (MariaDB, which is in every release, is not supported by Airflow.)
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pymysql

from harness.debian_root import debian_root, in_root
from harness.ports import free_port
from harness.shell import HarnessError, run
from harness.waiting import NotYetError, wait_for

_SUITE = "sid"
_PACKAGES = ("mysql-server-core",)
_OLDEST = 8


@dataclass(frozen=True)
class MySQL:
    """A database of a private MySQL server.

    Attributes:
        port: TCP port on 127.0.0.1.
        user: has all rights; the password is the same word.
        name: of the database.
    """

    port: int
    user: str = "airflow"
    name: str = "airflow"

    def url(self, driver: str = "mysql+mysqldb", password: str = "airflow") -> str:
        """Where Airflow finds its metadata."""
        return f"{driver}://{self.user}:{password}@127.0.0.1:{self.port}/{self.name}"

    def connect(self) -> pymysql.Connection[Any]:
        """An autocommitting connection to this database."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            password="airflow",
            database=self.name,
            autocommit=True,
            connect_timeout=10,
        )

    def create(self, name: str) -> MySQL:
        """Another, empty database of the same server, as Airflow's documentation wants it."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
            )
        return replace(self, name=name)

    def version(self) -> str:
        """What the server says it is, `9.7.4`."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            (version,) = cursor.fetchone()
        return str(version)


@contextmanager
def mysql(folder: Path) -> Iterator[MySQL]:
    """Start MySQL with an empty database `airflow`; stop it at the end."""
    server = _server()
    folder.mkdir(parents=True)
    data, log, found = folder / "data", folder / "log", MySQL(free_port())
    # A private server of the tests' own: as root it stays root, and all it has is on loopback.
    user = ("--user=root",) if os.geteuid() == 0 else ()
    run(
        *server,
        "--no-defaults",
        *user,
        "--initialize-insecure",
        f"--datadir={data}",
        "--secure-file-priv=NULL",
    )
    accounts = folder / "accounts.sql"
    accounts.write_text(
        f"CREATE USER '{found.user}'@'127.0.0.1' IDENTIFIED BY 'airflow';\n"
        f"GRANT ALL ON *.* TO '{found.user}'@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    with log.open("wb") as log_file:
        process = subprocess.Popen(
            [
                *(*server, "--no-defaults", *user, f"--datadir={data}", f"--port={found.port}"),
                *("--bind-address=127.0.0.1", f"--socket={folder}/socket", "--mysqlx=OFF"),
                *(f"--pid-file={folder}/pid", f"--init-file={accounts}", "--skip-log-bin"),
                *(
                    "--skip-name-resolve",
                    "--secure-file-priv=NULL",
                    "--explicit-defaults-for-timestamp=ON",
                ),
                # Nobody needs these data after a crash.
                "--innodb-flush-log-at-trx-commit=0",
            ],
            stdout=log_file,
            stderr=log_file,
        )

    def answers() -> bool:
        if process.poll() is not None:
            raise _ended(log)
        try:
            replace(found, name="mysql").create(found.name)
        except pymysql.Error as error:
            raise NotYetError(str(error)) from error
        return True

    try:
        wait_for("MySQL answers", answers, 60)
        yield found
    finally:
        process.terminate()
        process.wait(60)


def _ended(log: Path) -> Exception:
    return AssertionError(f"mysqld ended: {log.read_text(errors='replace')[-2000:]}")


def _server() -> tuple[str | Path, ...]:
    """The command of mysqld."""
    program = shutil.which("mysqld", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is not None:
        says = run(program, "--version")
        version = re.search(r"Ver (\d+)\.", says)
        if version and int(version[1]) >= _OLDEST and "MariaDB" not in says:
            return (program,)
    try:
        return in_root(debian_root(_SUITE, _PACKAGES), "/usr/sbin/mysqld")
    except HarnessError as error:
        raise HarnessError(f"MySQL {_OLDEST} or newer is not on this machine: {error}") from error
