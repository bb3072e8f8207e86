"""The cost of a census follows the rows of the runs in flight, not the size of the table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from big_table import BASE, OFFLOADED_PER_RUN, ROWS_PER_RUN, blocks, explain, fill, nodes
from probe_world import Environment, Postgres, migrate, postgres
from xcom_probe.table import postgresql
from xcom_probe.table.paths import parameters
from xcom_probe.table.statements import Statements

pytestmark = [pytest.mark.airflow, pytest.mark.every_airflow]

ROWS = 5_000_000
IN_FLIGHT = 100
MORE = 1000
BLOCKS_PER_RUN = 5 * ROWS_PER_RUN
"""Indexes are a few levels deep, and a run's rows may lie in blocks of their own."""


@pytest.fixture(scope="module")
def table(
    airflow: Environment,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[psycopg.Connection[Any]]:
    """Five million rows."""
    if airflow.version not in ("2.11.2", "3.3.2"):
        pytest.skip("the same tables as in 2.11, or in 3.3")
    if airflow.is_3 and request.config.getoption("--airflow") != "all":
        pytest.skip("takes another minute: make test-matrix")
    folder = tmp_path_factory.mktemp("big")
    with postgres(folder / "server") as server:
        migrate(airflow, server, folder)
        with _connection(server) as connection:
            fill(connection, ROWS, IN_FLIGHT)
            yield connection


def _connection(server: Postgres) -> psycopg.Connection[tuple[Any, ...]]:
    return server.connect()


def _statements(airflow: Environment) -> tuple[Statements, dict[str, Any]]:
    kind = "jsonb" if airflow.is_3 else "bytea"
    return postgresql.STATEMENTS[("postgresql", kind)], parameters(BASE, airflow.is_3)


def _cost(connection: psycopg.Connection[Any], statement: str, values: dict[str, Any]) -> int:
    """Blocks that a census's statement touches; it may scan no table."""
    plan = explain(connection, re.sub(r"(?<!:):([a-z_]+)", r"%(\1)s", statement), values)
    scanned = [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"]
    assert scanned == [], plan
    return blocks(plan)


def test_cost_follows_runs_in_flight(airflow: Environment, table: psycopg.Connection[Any]) -> None:
    statements, values = _statements(airflow)
    first = _cost(table, statements.in_flight, values)
    assert first < IN_FLIGHT * BLOCKS_PER_RUN
    three = "IN (('dag_0', 'run_0'), ('dag_1', 'run_1'), ('dag_2', 'run_2'))"
    exactly = statements.exactly.replace("IN :runs", three)
    assert _cost(table, exactly, values) < 3 * BLOCKS_PER_RUN
    if statements.pickled is not None:
        assert _cost(table, statements.pickled, values) < IN_FLIGHT * BLOCKS_PER_RUN
    assert _cost(table, statements.waiting, values) < IN_FLIGHT * BLOCKS_PER_RUN
    rows = table.execute(re.sub(r"(?<!:):([a-z_]+)", r"%(\1)s", statements.in_flight), values)
    assert sum(row[6] for row in rows) == IN_FLIGHT * OFFLOADED_PER_RUN

    # Ten times as many runs in flight: ten times the cost, still nothing of the table's size.
    share = ROWS // ROWS_PER_RUN // MORE
    table.execute("UPDATE dag_run SET state = 'queued' WHERE mod(id, %s) = 0", (share,))
    table.execute("ANALYZE dag_run")
    assert first < _cost(table, statements.in_flight, values) < MORE * BLOCKS_PER_RUN
