"""The operator's process: `python -m xcom_rollout` against a real API server.

There is no Airflow here: what is shown is that it starts, sees, tells and stops as promised.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from harness import tools
from harness.apiserver import ApiServer
from harness.ports import free_port
from harness.waiting import wait_for
from standin.bench import Bench
from xcom_probe.build import build

ROOT = Path(__file__).resolve().parents[2]
DEMO = (ROOT / "docs/examples/demo.yaml").read_text()


PORT = free_port()


@dataclass
class Operator:
    process: subprocess.Popen[str]
    log: Path

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("probe") / "xcom_probe.pyz"
    build(path)
    return path


def start(server: ApiServer, namespace: str, probe: Path, tmp_path: Path, **more: str) -> Operator:
    tools.ensure(("helm",))
    log = tmp_path / "operator.log"
    environment = os.environ | {
        "KUBECONFIG": str(server.kubeconfig),
        "PYTHONPATH": str(ROOT / "operator"),
        "XBR_NAMESPACES": namespace,
        "XBR_PROBE": str(probe),
        "HELM_BIN": str(tools.tool("helm")),
        "XBR_WORK_DIR": str(tmp_path),
        "XBR_MOUNT_LAG_SECONDS": "2",
        "XBR_LIVENESS": f"http://127.0.0.1:{PORT}/healthz",
        **more,
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "xcom_rollout"], env=environment, stderr=output, text=True
        )
    return Operator(process, log)


@contextmanager
def ended(operator: Operator) -> Iterator[Operator]:
    """It does not outlive the block."""
    try:
        yield operator
    finally:
        if operator.process.poll() is None:
            operator.process.kill()
        operator.process.wait(10)


@pytest.fixture
def operator(server: ApiServer, namespace: str, probe: Path, tmp_path: Path) -> Iterator[Operator]:
    with ended(start(server, namespace, probe, tmp_path)) as running:
        yield running


def declare(server: ApiServer, namespace: str, **changes: Any) -> None:
    rollout = yaml.safe_load(DEMO)
    rollout["metadata"]["namespace"] = namespace
    rollout["spec"] |= changes
    server.apply(json.dumps(rollout))


def condition(server: ApiServer, namespace: str, kind: str) -> dict[str, Any]:
    rollout = server.kubectl_json("-n", namespace, "get", "xbr", "demo")
    found = (rollout.get("status") or {}).get("conditions") or []
    return next((entry for entry in found if entry["type"] == kind), {})


def wait_for_reason(server: ApiServer, namespace: str, reason: str, seconds: float) -> Any:
    def seen() -> dict[str, Any] | None:
        found = condition(server, namespace, "Ready")
        return found if found.get("reason") == reason else None

    return wait_for(f"reason {reason}", seen, seconds)


def test_what_it_sees_is_told_in_status_and_events(
    server: ApiServer, namespace: str, operator: Operator
) -> None:
    wait_for("the liveness endpoint", healthy, 30)
    declare(server, namespace)
    found = wait_for_reason(server, namespace, "ReleaseNotFound", 5)
    assert "there is no Helm release 'airflow'" in found["message"]

    def warned() -> bool:
        events = server.kubectl_json("-n", namespace, "get", "events")["items"]
        return any(e["reason"] == "ReleaseNotFound" and e["type"] == "Warning" for e in events)

    wait_for("the warning", warned, 10)
    columns = server.kubectl("-n", namespace, "get", "xbr")
    assert re.search(r"demo\s+Refused\s+ObjectStorage\s+False\s+ReleaseNotFound", columns)

    metadata = server.kubectl_json("-n", namespace, "get", "xbr", "demo")["metadata"]
    assert "finalizers" not in metadata
    assert not metadata.get("annotations"), "the framework wrote to the resource"

    assert operator.stop() == 0
    assert operator.lines()[0]["message"] == "started"
    assert operator.lines()[-1]["message"] == "stopped"


@pytest.mark.usefixtures("operator")
def test_a_spec_that_an_older_crd_let_in_is_told_within_five_seconds(
    server: ApiServer, namespace: str
) -> None:
    wait_for("the liveness endpoint", healthy, 30)
    newest = (ROOT / "crds/xcombackendrollouts.yaml").read_text()
    older = yaml.safe_load(newest)
    schema = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    threshold = schema["properties"]["spec"]["properties"]["threshold"]["properties"]["bytes"]
    del threshold["x-kubernetes-validations"]
    server.apply(json.dumps(older))
    try:

        def accepted() -> bool:
            # The API server takes a moment to use a changed CRD.
            declare(server, namespace, threshold={"bytes": "1MB"})
            return True

        wait_for("the older CRD to be in force", accepted, 20)
        found = wait_for_reason(server, namespace, "InvalidSpec", 5)
        assert 'spec.threshold.bytes: "1MB" is not a whole number of bytes' in found["message"]
        assert condition(server, namespace, "Accepted")["status"] == "False"
        assert condition(server, namespace, "Stalled")["status"] == "True"
    finally:
        server.kubectl("-n", namespace, "delete", "xbr", "--all")
        server.apply(newest)


@pytest.mark.usefixtures("operator")
def test_two_rollouts_for_one_release_and_the_second_goes_on_when_the_first_is_gone(
    server: ApiServer, namespace: str
) -> None:
    wait_for("the liveness endpoint", healthy, 30)
    declare(server, namespace)
    wait_for_reason(server, namespace, "ReleaseNotFound", 5)
    second = DEMO.replace("name: demo", "name: second", 1)
    server.apply(second.replace("namespace: airflow", f"namespace: {namespace}"))

    def reason_of_second() -> str:
        rollout = server.kubectl_json("-n", namespace, "get", "xbr", "second")
        found = (rollout.get("status") or {}).get("conditions") or [{}]
        return str(found[0].get("reason"))

    wait_for("refusal", lambda: reason_of_second() == "ReleaseOwnedByAnother", 5)
    server.kubectl("-n", namespace, "delete", "xbr", "demo")
    wait_for("its turn", lambda: reason_of_second() == "ReleaseNotFound", 5)


@pytest.mark.usefixtures("operator")
def test_what_happens_to_a_release_is_seen_at_once_by_a_rollout_that_waits(
    server: ApiServer, namespace: str, bench: Bench
) -> None:
    api = {"service": "web", "credentialsSecretRef": {"name": "airflow-api"}}
    declare(server, namespace, airflow={"release": "rel", "api": api})
    wait_for_reason(server, namespace, "ReleaseNotFound", 20)
    # A rollout that is held is looked at after half a minute, and later and later.
    bench.install()
    wait_for_reason(server, namespace, "ChartMismatch", 5)
    bench.helm("uninstall", "rel")
    wait_for_reason(server, namespace, "ReleaseNotFound", 5)


def test_without_the_crd_it_says_so_and_ends(probe: Path, tmp_path: Path) -> None:
    with ApiServer() as bare:
        operator = start(bare, "default", probe, tmp_path)
        assert operator.process.wait(30) == 1
    (line,) = operator.lines()
    assert "the CRD is not installed" in line["message"]


def test_without_rights_it_says_so_and_ends(
    server: ApiServer, namespace: str, probe: Path, tmp_path: Path
) -> None:
    nobody = str(server.user_kubeconfig("nobody"))
    operator = start(server, namespace, probe, tmp_path, KUBECONFIG=nobody)
    assert operator.process.wait(30) == 1
    (line,) = operator.lines()
    assert "cannot list rollouts" in line["message"]
    assert 'User "nobody" cannot list' in line["error"]


def test_a_namespace_without_rights_takes_it_from_no_other_and_is_seen_once_it_has_them(
    server: ApiServer,
    new_namespace: Callable[[], str],
    probe: Path,
    tmp_path: Path,
) -> None:
    first, second = new_namespace(), new_namespace()
    for name, verbs in ((first, "*"), (second, "get,list,create,update,patch,delete")):
        server.kubectl("create", "namespace", name)
        words = ("create", "role", "most", f"--verb={verbs}", "--resource=*.*")
        server.kubectl("-n", name, *words)
    give(server, first)
    user = str(server.user_kubeconfig("halfway"))
    with ended(start(server, f"{first},{second}", probe, tmp_path, KUBECONFIG=user)) as operator:
        wait_for("the liveness endpoint", healthy, 30)
        declare(server, first)
        wait_for_reason(server, first, "ReleaseNotFound", 10)
        give(server, second)
        # It may list there and not watch: what is declared now is found by the next list only.
        wait_for("a watch", lambda: "cannot watch resource" in operator.log.read_text(), 60)
        declare(server, second)
        wait_for_reason(server, second, "ReleaseNotFound", 60)
        assert operator.stop() == 0
    told = [line for line in operator.lines() if "cannot list rollouts" in line["message"]]
    assert {line["namespace"] for line in told} == {second}


def give(server: ApiServer, namespace: str) -> None:
    """Bind the Role of a namespace to the user `halfway`."""
    server.kubectl("-n", namespace, "create", "rolebinding", "b", "--role=most", "--user=halfway")


def healthy() -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{PORT}/healthz", timeout=2).status_code == 200
    except httpx2.TransportError:
        return False
