"""One set-up for all tests of the probe with real parts: Airflow, databases, MinIO.

Tests run on Airflow 2.11.2. Those marked `every_airflow` run, with the same fixtures, on each
version that `--airflow` names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest

import probe_world
from harness.shell import HarnessError
from probe_world import AIRFLOWS, DEFAULT_AIRFLOW, Environment, MySQL, ObjectStore, Pod, Postgres
from side_by_side import Together
from table_world import Place
from xcom_probe.build import build

Server = TypeVar("Server", Postgres, MySQL)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option `--airflow`."""
    parser.addoption(
        "--airflow",
        default=DEFAULT_AIRFLOW,
        help="versions for tests marked every_airflow: `all`, or a list such as 2.9,2.11.2,3.3",
    )


def _asked(config: pytest.Config) -> str:
    # pytest knows the option only where this folder is named on its command line.
    return str(config.getoption("--airflow", DEFAULT_AIRFLOW))


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a version that does not exist before anything runs."""
    try:
        probe_world.select(_asked(config))
    except HarnessError as error:
        raise pytest.UsageError(f"--airflow: {error}") from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give every test that uses an Airflow its version, or versions."""
    if "airflow_version" not in metafunc.fixturenames:
        return
    versions = [DEFAULT_AIRFLOW]
    if metafunc.definition.get_closest_marker("every_airflow"):
        versions = probe_world.select(_asked(metafunc.config))
    metafunc.parametrize("airflow_version", versions, scope="session")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    """Of several processes one has all tests of a version: they share databases and a store."""
    return Together(config, log, _version_of)


def _version_of(nodeid: str) -> str:
    """The version in a test's parameters; those without one go with the default's."""
    return next((version for version in AIRFLOWS if version in nodeid), DEFAULT_AIRFLOW)


@pytest.fixture(scope="session")
def airflow(airflow_version: str) -> Environment:
    """The virtual environment with Airflow."""
    return probe_world.airflow_environment(airflow_version)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """The S3 server."""
    with probe_world.object_store(tmp_path_factory.mktemp("s3") / "server") as server:
        yield server


def _with_tables(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Environment], Server]:
    """A function that gives an Airflow its database on a server; it makes each once."""

    @cache
    def database(airflow: Environment) -> Server:
        # The folder's name: one version may be there with other packages too.
        made = server.create(re.sub(r"\W", "_", f"airflow_{airflow.folder.name}"))
        probe_world.migrate(airflow, made, tmp_path_factory.mktemp("migrate"))
        return made

    return database


@pytest.fixture(scope="session")
def postgres_databases(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[Environment], Postgres]]:
    """One PostgreSQL server for all versions."""
    with probe_world.postgres(tmp_path_factory.mktemp("pg") / "server") as server:
        yield _with_tables(server, tmp_path_factory)


@pytest.fixture(scope="session")
def database(
    airflow: Environment, postgres_databases: Callable[[Environment], Postgres]
) -> Postgres:
    """PostgreSQL with Airflow's tables."""
    return postgres_databases(airflow)


@pytest.fixture(scope="session")
def mysql_databases(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[Environment], MySQL]]:
    """One MySQL server for all versions."""
    with probe_world.mysql(tmp_path_factory.mktemp("mysql") / "server") as server:
        yield _with_tables(server, tmp_path_factory)


@pytest.fixture(scope="session")
def mysql_database(airflow: Environment, mysql_databases: Callable[[Environment], MySQL]) -> MySQL:
    """MySQL with Airflow's tables."""
    return mysql_databases(airflow)


@pytest.fixture(scope="session")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zipapp, built from this working tree."""
    path = tmp_path_factory.mktemp("pyz") / "xcom_probe.pyz"
    build(path)
    return path


def _pod(
    airflow: Environment, home: Path, pyz: Path, database: probe_world.Database, store: ObjectStore
) -> Pod:
    (home / "airflow.cfg").write_text("[core]\nparallelism = 8\n")
    env = probe_world.right_environment(airflow, home, database, store)
    return Pod(airflow.python, pyz, env, airflow.version)


@pytest.fixture(scope="session")
def pod(
    tmp_path_factory: pytest.TempPathFactory,
    airflow: Environment,
    pyz: Path,
    database: Postgres,
    store: ObjectStore,
) -> Pod:
    """A pod in which everything is right."""
    return _pod(airflow, tmp_path_factory.mktemp("home"), pyz, database, store)


@pytest.fixture(scope="session")
def mysql_pod(
    tmp_path_factory: pytest.TempPathFactory,
    airflow: Environment,
    pyz: Path,
    mysql_database: MySQL,
    store: ObjectStore,
) -> Pod:
    """The same with its metadata in MySQL."""
    return _pod(airflow, tmp_path_factory.mktemp("home"), pyz, mysql_database, store)


@pytest.fixture(scope="session", params=["postgresql", "mysql"])
def place(request: pytest.FixtureRequest, airflow: Environment) -> Place:
    """A pod and its database, once on each kind of server; `airflow` picks the version."""
    if request.param == "mysql" and airflow.version not in ("2.11.2", "3.3.2"):
        pytest.skip("the same tables and statements as on 2.11 or 3.3")
    prefix = "" if request.param == "postgresql" else "mysql_"
    pod, database = (request.getfixturevalue(prefix + name) for name in ("pod", "database"))
    assert pod.version == airflow.version
    return Place(request.param, pod, database)
