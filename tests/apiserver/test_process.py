"""The operator's process beside a Helm release, with exactly the rights that its chart gives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from harness import tools
from harness.apiserver import ApiServer
from harness.paths import REPO
from harness.shell import run
from harness.waiting import NotYetError, wait_for
from standin.airflow import FOREVER
from standin.place import RELEASE, VALUES, Place

CHART = REPO / "charts" / "xcom-rollout"
ACCOUNT = "xcom-rollout"
_RIGHTS = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")


@dataclass(frozen=True)
class Operators:
    """Starts the operator's process for one place."""

    place: Place
    kubeconfig: Path
    folder: Path

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start it, and see to it that it has ended when the block has."""
        environment = os.environ | {
            "KUBECONFIG": str(self.kubeconfig),
            "PYTHONPATH": str(REPO / "operator"),
            "XBR_NAMESPACES": self.place.namespace,
            "XBR_PROBE": str(self.place.site.probe),
            "XBR_AIRFLOW_API_URL": "http://127.0.0.1:{port}",
            "XBR_WORK_DIR": str(self.folder),
            "XBR_MOUNT_LAG_SECONDS": "2",
            "HELM_BIN": str(tools.tool("helm")),
        }
        with (self.folder / "operator.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "xcom_rollout"], env=environment, stderr=log
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)

    def log(self) -> str:
        return (self.folder / "operator.log").read_text()[-3000:]


@pytest.fixture
def operators(server: ApiServer, place: Place, tmp_path: Path) -> Operators:
    """The service account of the operator's chart, with the rights that the chart grants it."""
    rendered = run(
        *(tools.tool("helm"), "template", ACCOUNT, CHART, "--namespace", place.namespace),
        *("--set", f"watchNamespaces={{{place.namespace}}}"),
        *("--kube-version", tools.KUBERNETES_VERSION),
    )
    documents = [
        document for document in yaml.safe_load_all(rendered) if document["kind"] in _RIGHTS
    ]
    server.apply("\n---\n".join(map(json.dumps, documents)))
    token = server.kubectl("create", "token", ACCOUNT, "--namespace", place.namespace).strip()
    config = yaml.safe_load(server.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    kubeconfig = tmp_path / "operator.kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(json.dumps(config))
    return Operators(place, kubeconfig, tmp_path)


@contextmanager
def time_passing(place: Place) -> Iterator[None]:
    """Let Airflow and the node go on by themselves while the block runs."""
    over = threading.Event()

    def tick() -> None:
        while not over.wait(0.2):
            place.tick()

    with ThreadPoolExecutor(1) as pool:
        ticking = pool.submit(tick)
        try:
            yield
        finally:
            over.set()
        ticking.result()


def wait_for_phase(place: Place, operators: Operators, seconds: float, *phases: str) -> None:
    def reached() -> bool:
        if place.status().get("phase") not in phases:
            raise NotYetError(place.said())
        return True

    wait_for(f"phase {' or '.join(phases)}", reached, seconds, on_timeout=operators.log)


@pytest.mark.timeout(300)
def test_killed_on_the_way_there_and_on_the_way_back(place: Place, operators: Operators) -> None:
    place.declare()
    with time_passing(place):
        with operators.running() as process:
            wait_for_phase(place, operators, 60, "Proving", "ReadersFirst")
            process.kill()
        with operators.running() as process:
            wait_for_phase(place, operators, 90, "Live")
            assert place.revision().number == 3
            run = place.airflow.trigger("offload", "has-offloaded", (1, 2000), (FOREVER, 10))
            wait_for("an offloaded value", lambda: run.rows == 1, 20)
            place.kill()
            wait_for_phase(place, operators, 30, "Killing", "Recovering")
            process.kill()
        with operators.running() as process:
            wait_for("the clear", lambda: run.clears == 1, 60, on_timeout=operators.log)
            wait_for_phase(place, operators, 90, "Reverted")
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
    assert (run.state, run.fails, run.clears, run.rows) == ("success", 1, 1, 0)
    assert place.airflow.hazards == []
    revision = place.revision()
    # Readers, cut-over; no more writers, the database backend.
    assert (revision.number, revision.values) == (5, VALUES)


def interrupted_upgrade(place: Place) -> None:
    """Leave the release as a helm process does that is killed while it waits for pods."""
    words = ("upgrade", RELEASE, place.site.chart, "--reuse-values", "--no-hooks", "--wait")
    where = ("--kubeconfig", place.site.kubeconfig, "--namespace", place.namespace)
    with subprocess.Popen(
        [tools.tool("helm"), *words, "--set-string", "config.core.parallelism=9", *where],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as helm:
        try:
            wait_for("an upgrade under way", lambda: place.revision().number == 2, 30)
        finally:
            helm.kill()
    assert place.revision().status == "pending-upgrade"


@pytest.mark.timeout(200)
def test_a_pending_release_is_reported_and_held_and_never_forced(
    place: Place, operators: Operators
) -> None:
    interrupted_upgrade(place)
    with operators.running():
        wait_for("the start", lambda: '"started"' in operators.log(), 30)
        place.declare()

        def reported() -> bool:
            if place.conditions().get("Accepted") != "False (ReleasePending)":
                raise NotYetError(place.said())
            return True

        wait_for("the report", reported, 5, on_timeout=operators.log)
        assert place.conditions()["Stalled"] == "True (ReleasePending)"
        assert f"helm rollback {RELEASE} -n {place.namespace}" in place.said()
        assert place.status()["phase"] == "Held"

        place.kill()
        wait_for("the kill, held too", lambda: "killSwitch" in place.status(), 20)
        wait_for("the report", lambda: "True (ReleasePending)" in place.conditions().values(), 20)
        revision = place.revision()
        assert (revision.number, revision.status) == (2, "pending-upgrade")

        # The remedy that it names is the one that helps.
        place.helm("rollback", RELEASE, "--no-hooks")
        with time_passing(place):
            wait_for_phase(place, operators, 60, "Reverted")
    assert place.revision().values == VALUES
