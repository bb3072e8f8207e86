"""One cluster with one Airflow for all end-to-end tests; a failing test leaves a bundle."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from harness.cluster import Cluster
from harness.operator import OperatorInstall, RolloutOnCluster
from harness.paths import REPO
from harness.stack import AirflowStack

BUNDLES = Path(os.environ.get("XCOM_ROLLOUT_BUNDLES") or REPO / "build" / "bundles")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster that is up stays up; one that the tests brought up goes when they are done.

    XCOM_ROLLOUT_KEEP_CLUSTER=1 keeps it, to look around.
    """
    cluster = Cluster.from_env()
    was_up = cluster.alive()
    cluster.up()
    yield cluster
    if not was_up and not os.environ.get("XCOM_ROLLOUT_KEEP_CLUSTER"):
        cluster.down()


@pytest.fixture(scope="session")
def operator(cluster: Cluster, stack: AirflowStack) -> OperatorInstall:  # noqa: ARG001
    """The operator; Airflow's namespace has to be there before its Roles."""
    operator = OperatorInstall(cluster)
    operator.install()
    return operator


@pytest.fixture(scope="session")
def stack(cluster: Cluster) -> Iterator[AirflowStack]:
    with AirflowStack(cluster) as stack:
        stack.install()
        yield stack


@pytest.fixture
def rollout(stack: AirflowStack, operator: OperatorInstall) -> RolloutOnCluster:  # noqa: ARG001
    """No rollout yet, Airflow on the database backend."""
    rollout = RolloutOnCluster(stack)
    rollout.prepare()
    rollout.delete()
    if rollout.thresholds_delivered()[-1] != "database":
        stack.install()
    return rollout


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and "cluster" in getattr(item, "fixturenames", ()):
        cluster = getattr(item, "funcargs", {}).get("cluster") or Cluster.from_env()
        if cluster.alive():
            folder = BUNDLES / re.sub(r"[^A-Za-z0-9_.-]+", "-", item.name)
            cluster.bundle(folder)
            report.sections.append(("bundle", f"what explains it is in {folder}"))
    return report
