"""`xbr` against a real API server: what it writes, what it says, how it exits."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.apiserver import ApiServer
from harness.waiting import wait_for
from xcom_rollout.api.names import ANNOTATION_ATTESTATION, ANNOTATION_KILL

ROOT = Path(__file__).resolve().parents[2]
DEMO = (ROOT / "docs/examples/demo.yaml").read_text()


class Xbr:
    """Runs `xbr` as its users do, in a process of its own."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.command = [sys.executable, "-m", "xcom_rollout.cli"]
        self.environment = os.environ | {
            "KUBECONFIG": str(kubeconfig),
            "PYTHONPATH": str(ROOT / "operator"),
        }
        self.namespace = namespace

    def __call__(self, *arguments: str, stdin: str = "") -> "Answer":
        done = subprocess.run(
            [*self.command, "-n", self.namespace, *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.command, "-n", self.namespace, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )


class Answer:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def __repr__(self) -> str:
        return f"exit {self.code}\n{self.out}\n{self.err}"


@pytest.fixture
def xbr(server: ApiServer, namespace: str) -> Xbr:
    return Xbr(server.kubeconfig, namespace)


@pytest.fixture
def rollout(server: ApiServer, namespace: str) -> str:
    server.apply(DEMO.replace("namespace: airflow", f"namespace: {namespace}"))
    return "demo"


def annotation(server: ApiServer, namespace: str, name: str) -> dict[str, Any] | None:
    metadata = server.kubectl_json("-n", namespace, "get", "xbr", "demo")["metadata"]
    text = (metadata.get("annotations") or {}).get(name)
    return None if text is None else dict(json.loads(text))


def put_status(server: ApiServer, namespace: str, status: dict[str, Any]) -> None:
    patch = json.dumps({"status": status})
    server.kubectl(
        *("-n", namespace, "patch", "xbr", "demo", "--subresource=status", "--type=merge"),
        *("-p", patch),
    )


def conditions(ready: str, stalled: str, reason: str = "Reason") -> dict[str, Any]:
    common = {"reason": reason, "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return {
        "observedGeneration": 1,
        "phase": "Phase",
        "conditions": [
            {"type": "Ready", "status": ready, **common},
            {"type": "Stalled", "status": stalled, **common},
        ],
    }


def test_an_attestation_is_attributed_by_the_api_server(
    server: ApiServer, namespace: str, rollout: str
) -> None:
    server.kubectl(
        *("create", "rolebinding", "ana", "--clusterrole=cluster-admin", "--user=ana"),
        *("-n", namespace),
    )
    ana = Xbr(server.user_kubeconfig("ana"), namespace)
    answer = ana("attest", rollout, "--evidence", "https://example.org/1", "--valid-for", "24h")
    assert answer.code == 0, answer
    found = annotation(server, namespace, ANNOTATION_ATTESTATION)
    assert found is not None
    assert found["by"] == "ana"
    assert found["evidence"] == "https://example.org/1"
    assert found["expiresAt"] > found["at"]
    assert "attested by ana" in answer.out


def test_an_attestation_cannot_outlast_what_the_rollout_allows(
    server: ApiServer, namespace: str, rollout: str, xbr: Xbr
) -> None:
    answer = xbr("attest", rollout, "--evidence", "x", "--valid-for", "721h")
    assert answer.code == 2
    assert "give at most 720h" in answer.err
    assert annotation(server, namespace, ANNOTATION_ATTESTATION) is None


def test_kill_resume_and_what_lies_between(
    server: ApiServer, namespace: str, rollout: str, xbr: Xbr
) -> None:
    nothing = xbr("resume", rollout)
    assert nothing.code == 1
    assert "nothing to take back" in nothing.err

    killed = xbr("kill", rollout, "--reason", "S3 is down")
    assert killed.code == 0, killed
    assert "deliver the database backend to the Helm release airflow" in killed.out
    request = annotation(server, namespace, ANNOTATION_KILL)
    assert request is not None
    assert request["reason"] == "S3 is down"

    again = xbr("kill", rollout, "--reason", "another reason")
    assert again.code == 0
    assert "is engaged already" in again.out
    assert annotation(server, namespace, ANNOTATION_KILL) == request, "the first request counts"

    early = xbr("resume", rollout)
    assert early.code == 1
    assert "has not finished" in early.err

    kill = {"attempt": 1, "engagedAt": request["at"], "finishedAt": request["at"]}
    put_status(server, namespace, conditions("True", "False") | {"killSwitch": kill})
    assert xbr("kill", rollout, "--reason", "x", "--wait").code == 0
    resumed = xbr("resume", rollout)
    assert resumed.code == 0, resumed
    assert annotation(server, namespace, ANNOTATION_KILL) is None


def test_a_kill_that_the_spec_declares_is_taken_back_in_the_spec(
    server: ApiServer, namespace: str, rollout: str, xbr: Xbr
) -> None:
    patch = '{"spec":{"killSwitch":{"engaged":true}}}'
    server.kubectl("-n", namespace, "patch", "xbr", rollout, "--type=merge", "-p", patch)
    answer = xbr("resume", rollout)
    assert answer.code == 1
    assert "set it to false where the spec is kept" in answer.err


@pytest.mark.parametrize(
    ("ready", "stalled", "code"),
    [("True", "False", 0), ("False", "True", 1), ("False", "False", 3)],
)
def test_status_exits_by_how_it_stands(
    server: ApiServer,
    namespace: str,
    rollout: str,
    xbr: Xbr,
    ready: str,
    stalled: str,
    code: int,
) -> None:
    put_status(server, namespace, conditions(ready, stalled))
    assert xbr("status", rollout).code == code
    answer = xbr("status", rollout, "-o", "json")
    assert answer.code == code
    assert json.loads(answer.out)["phase"] == "Phase"


def test_watching_prints_each_change_and_ends_when_ready(
    server: ApiServer, namespace: str, rollout: str, xbr: Xbr
) -> None:
    with xbr.start("status", rollout, "-w") as watching:
        assert watching.stdout is not None
        assert "waiting for the operator" in watching.stdout.readline()
        put_status(server, namespace, conditions("False", "False", "DeliveringReaders"))
        assert "DeliveringReaders" in watching.stdout.readline()
        put_status(server, namespace, conditions("True", "False", "Live"))
        rest = watching.stdout.read()
        assert watching.wait(30) == 0
    assert "demo in namespace" in rest
    assert "ready" in rest


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        pytest.param("", "", 1, "there is no Helm release 'airflow'", id="held"),
        pytest.param('"1048576"', "1MB", 2, 'spec.threshold.bytes: "1MB"', id="invalid"),
        pytest.param("name: demo", f"name: {'d' * 41}", 2, "at most 40 characters", id="server"),
    ],
)
def test_plan_of_a_file(
    server: ApiServer, namespace: str, xbr: Xbr, old: str, new: str, code: int, says: str
) -> None:
    manifest = DEMO.replace("namespace: airflow", f"namespace: {namespace}").replace(old, new, 1)
    answer = xbr("plan", "-f", "-", stdin=manifest)
    assert answer.code == code, answer
    assert says in " ".join((answer.out + answer.err).split())
    assert not server.kubectl_json("-n", namespace, "get", "xbr")["items"], "it was created"


@pytest.mark.usefixtures("rollout")
def test_plan_of_a_file_that_changes_what_must_not_change(namespace: str, xbr: Xbr) -> None:
    manifest = DEMO.replace("namespace: airflow", f"namespace: {namespace}")
    answer = xbr("plan", "-f", "-", stdin=manifest.replace("airflow-xcom/xcom", "airflow-xcom/b"))
    assert answer.code == 2
    assert "is immutable" in answer.err


def test_plan_as_json(rollout: str, xbr: Xbr) -> None:
    answer = xbr("plan", rollout, "-o", "json")
    assert answer.code == 1, answer
    plan = json.loads(answer.out)
    assert plan["current"] == "release-found"
    assert plan["action"] is None


def test_what_is_not_there_and_what_is_not_allowed(
    server: ApiServer, namespace: str, rollout: str, xbr: Xbr
) -> None:
    absent = xbr("status", "nothing")
    assert absent.code == 4
    assert "there is no such rollout in the namespace" in absent.err
    nobody = Xbr(server.user_kubeconfig("nobody"), namespace)
    for words in (("status",), ("kill", "--reason", "x"), ("plan",)):
        refused = nobody(words[0], rollout, *words[1:])
        assert refused.code == 4, refused
        assert "you may not" in refused.err
    assert annotation(server, namespace, ANNOTATION_KILL) is None


def test_a_cluster_without_the_crd() -> None:
    with ApiServer() as bare:
        answer = Xbr(bare.kubeconfig, "default")("status", "demo")
    assert answer.code == 4
    assert "is not installed" in answer.err
    assert "xbr crd | kubectl apply" in answer.err


def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    gone = tmp_path / "kubeconfig"
    server = {"server": "https://127.0.0.1:1"}
    gone.write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": server}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    answer = Xbr(gone, "default")("status", "demo")
    assert answer.code == 4
    assert "cannot reach the Kubernetes API server https://127.0.0.1:1" in answer.err
    answer = Xbr(tmp_path / "nothing", "default")("status", "demo")
    assert answer.code == 4
    assert "nothing" in answer.err
    answer = Xbr(gone, "default")("status", "demo", "--context", "other")
    assert answer.code == 4
    assert "other" in answer.err


def test_it_is_a_plugin_of_kubectl(
    server: ApiServer, namespace: str, rollout: str, xbr: Xbr, tmp_path: Path
) -> None:
    put_status(server, namespace, conditions("True", "False"))
    plugin = tmp_path / "kubectl-xbr"
    plugin.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m xcom_rollout.cli "$@"\n')
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    environment = xbr.environment | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [server.kubectl_command[0], "xbr", "status", rollout, "-n", namespace],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done
    assert "demo in namespace" in done.stdout


def test_a_change_by_somebody_else_is_not_lost(
    server: ApiServer, namespace: str, rollout: str, xbr: Xbr
) -> None:
    with xbr.start("kill", rollout, "--reason", "x", "--wait") as killing:

        def engaged() -> bool:
            return annotation(server, namespace, ANNOTATION_KILL) is not None

        wait_for("the request", engaged, 20)
        request = annotation(server, namespace, ANNOTATION_KILL)
        assert request is not None
        kill = {"attempt": 1, "engagedAt": request["at"], "finishedAt": "2999-01-01T00:00:00Z"}
        put_status(server, namespace, conditions("True", "False") | {"killSwitch": kill})
        assert killing.wait(30) == 0
