"""One set-up for all tests of the probe with real parts: Airflow, PostgreSQL, MinIO."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import probe_world
import pytest

from harness.shell import run
from xcom_probe.build import build


@pytest.fixture(scope="session")
def airflow() -> Path:
    """The virtual environment with Airflow."""
    return probe_world.airflow_environment()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[probe_world.ObjectStore]:
    """The S3 server."""
    with probe_world.object_store(tmp_path_factory.mktemp("s3") / "server") as server:
        yield server


@pytest.fixture(scope="session")
def database(
    tmp_path_factory: pytest.TempPathFactory, airflow: Path
) -> Iterator[probe_world.Postgres]:
    """PostgreSQL with Airflow's tables."""
    folder = tmp_path_factory.mktemp("pg")
    with probe_world.postgres(folder / "server") as server:
        run(
            *(airflow / "bin" / "airflow", "db", "migrate"),
            env={
                "AIRFLOW_HOME": str(folder),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": server.url(),
                "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            },
        )
        yield server


@pytest.fixture(scope="session")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zipapp, built from this working tree."""
    path = tmp_path_factory.mktemp("pyz") / "xcom_probe.pyz"
    build(path)
    return path


@pytest.fixture(scope="session")
def pod(
    tmp_path_factory: pytest.TempPathFactory,
    airflow: Path,
    pyz: Path,
    database: probe_world.Postgres,
    store: probe_world.ObjectStore,
) -> probe_world.Pod:
    """A pod in which everything is right."""
    home = tmp_path_factory.mktemp("home")
    (home / "airflow.cfg").write_text("[core]\nparallelism = 8\n")
    return probe_world.Pod(
        airflow / "bin" / "python", pyz, probe_world.right_environment(home, database, store)
    )
