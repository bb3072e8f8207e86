"""`xbr` against a real API server: what it writes, what it says, how it exits."""

import base64
import gzip
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.apiserver import ApiServer
from harness.waiting import wait_for
from standin.xbr import Xbr
from xcom_rollout.api.names import ANNOTATION_ATTESTATION, ANNOTATION_KILL

ROOT = Path(__file__).resolve().parents[2]
DEMO = (ROOT / "docs/examples/demo.yaml").read_text()


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
    assert "use at most 720h" in answer.err
    assert annotation(server, namespace, ANNOTATION_ATTESTATION) is None


def put_release(server: ApiServer, namespace: str, **options: str) -> None:
    """Make the Secret of a Helm release `airflow` whose values set these options."""
    config: dict[str, dict[str, str]] = {"core": {}, "common.io": {}}
    for name, value in options.items():
        config["core" if name == "xcom_backend" else "common.io"][name] = value
    release = {
        "name": "airflow",
        "version": 7,
        "info": {"status": "deployed", "last_deployed": "2026-01-01T00:00:00Z"},
        "chart": {"metadata": {"name": "airflow", "version": "0.1.0"}},
        "config": {"config": config},
    }
    packed = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "sh.helm.release.v1.airflow.v7",
            "namespace": namespace,
            "labels": {"owner": "helm", "name": "airflow", "version": "7"},
        },
        "type": "helm.sh/release.v1",
        "data": {"release": base64.b64encode(packed).decode()},
    }
    server.apply(json.dumps(secret))


OFFLOADS = {
    "xcom_backend": "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
    "xcom_objectstorage_path": "s3://aws_default@airflow-xcom/xcom",
    "xcom_objectstorage_threshold": "1000",
}


def killing(**kill: Any) -> dict[str, Any]:
    """Return the status of a kill that goes on; `finishedAt` makes it a finished one."""
    going = {"attempt": 1, "engagedAt": "2026-01-01T00:00:00Z", "strategy": "Retrigger"}
    return {"killSwitch": going | kill}


def stalled_kill(reason: str, **kill: Any) -> dict[str, Any]:
    status = conditions("False", "True", reason) | killing(**kill)
    status["conditions"].append(status["conditions"][0] | {"type": "Reverted"})
    return status


def test_kill_resume_and_what_lies_between(
    server: ApiServer, namespace: str, rollout: str, xbr: Xbr
) -> None:
    nothing = xbr("resume", rollout)
    assert nothing.code == 1
    assert "nothing to withdraw" in nothing.err

    killed = xbr("kill", rollout, "--reason", "S3 is down")
    assert killed.code == 0, killed
    first = killed.out.index("deliver threshold -1 to the Helm release airflow")
    assert first < killed.out.index("deliver the database backend")
    request = annotation(server, namespace, ANNOTATION_KILL)
    assert request is not None
    assert request["reason"] == "S3 is down"
    assert "strategy" not in request, "the spec's counts"

    again = xbr("kill", rollout, "--reason", "another reason")
    assert again.code == 3, "the operator has not begun it"
    assert "is already engaged" in again.out
    assert annotation(server, namespace, ANNOTATION_KILL) == request, "the first request counts"

    early = xbr("resume", rollout)
    assert early.code == 1
    assert "has not finished" in early.err

    ended = conditions("True", "False") | killing(finishedAt=request["at"])
    put_status(server, namespace, ended)
    assert xbr("kill", rollout, "--reason", "x", "--wait").code == 0
    done = xbr("kill", rollout, "--reason", "x")
    assert done.code == 0
    assert "Kill 1 has finished" in done.out
    resumed = xbr("resume", rollout)
    assert resumed.code == 0, resumed
    assert annotation(server, namespace, ANNOTATION_KILL) is None


def test_another_strategy_changes_the_standing_request(
    server: ApiServer, namespace: str, rollout: str, xbr: Xbr
) -> None:
    killed = xbr("kill", rollout, "--reason", "S3 is down", "--strategy", "Drain")
    assert killed.code == 0, killed
    assert "let those run to their end" in killed.out
    first = annotation(server, namespace, ANNOTATION_KILL)
    assert first is not None
    assert first["strategy"] == "Drain"
    put_status(server, namespace, conditions("False", "False") | killing())

    same = xbr("kill", rollout, "--reason", "x", "--strategy", "Drain")
    assert same.code == 3
    assert "Kill 1 is in progress" in same.out
    assert annotation(server, namespace, ANNOTATION_KILL) == first

    words = ("kill", rollout, "--reason", "too slow", "--strategy", "Rehydrate")
    changed = xbr(*words, "-o", "json")
    assert changed.code == 0, changed
    assert json.loads(changed.out)["strategy"] == "Rehydrate"
    now = annotation(server, namespace, ANNOTATION_KILL)
    assert now is not None
    assert {key: now[key] for key in ("by", "at", "reason", "after")} == {
        key: first[key] for key in ("by", "at", "reason", "after")
    }
    assert now["strategy"] == "Rehydrate"
    assert now["strategyReason"] == "too slow"


def test_a_finished_kill_whose_release_offloads_again_is_not_engaged_already(
    server: ApiServer, namespace: str, rollout: str, xbr: Xbr
) -> None:
    """W1: somebody applied values that hold the flip again, and the status does not show it yet."""
    assert xbr("kill", rollout, "--reason", "S3 is down").code == 0
    ended = killing(finishedAt="2999-01-01T00:00:00Z")
    put_status(server, namespace, conditions("True", "False", "Reverted") | ended)
    put_release(server, namespace)
    assert xbr("kill", rollout, "--reason", "x").code == 0, "the database backend is delivered"

    put_release(server, namespace, **OFFLOADS)
    again = xbr("kill", rollout, "--reason", "x")
    assert again.code == 3, again
    text = " ".join(again.out.split())
    assert "revision 7 of the release holds the object storage backend at threshold 1000" in text
    assert "the operator starts kill 2" in text
    request = annotation(server, namespace, ANNOTATION_KILL)
    assert request is not None
    assert (request["reason"], request["after"]) == ("S3 is down", 1)

    with xbr.start("kill", rollout, "--reason", "x", "--wait") as waiting:
        assert waiting.stdout is not None
        for line in waiting.stdout:
            if "Follow it" in line:
                break
        put_status(server, namespace, conditions("False", "False") | killing(attempt=2))
        second = killing(attempt=2, finishedAt="2999-01-01T00:00:00Z")
        put_status(server, namespace, conditions("True", "False", "Reverted") | second)
        rest = waiting.stdout.read()
        assert waiting.wait(30) == 0, rest
    assert "The kill has finished." in rest


def test_who_may_not_see_the_release_is_told_so(
    server: ApiServer, namespace: str, rollout: str, xbr: Xbr
) -> None:
    assert xbr("kill", rollout, "--reason", "S3 is down").code == 0
    ended = killing(finishedAt="2999-01-01T00:00:00Z")
    put_status(server, namespace, conditions("True", "False", "Reverted") | ended)
    rights = ("--verb=get,list,watch,patch", "--resource=xcombackendrollouts.xcomrollout.dev")
    server.kubectl("create", "role", "xbr", *rights, "-n", namespace)
    server.kubectl("create", "rolebinding", "cleo", "--role=xbr", "--user=cleo", "-n", namespace)
    cleo = Xbr(server.user_kubeconfig("cleo"), namespace)
    answer = cleo("kill", rollout, "--reason", "x")
    assert answer.code == 0, answer
    assert "the Helm release could not be read" in " ".join(answer.out.split())


def test_a_finished_kill_whose_release_was_changed_is_not_finished(
    server: ApiServer, namespace: str, rollout: str, xbr: Xbr
) -> None:
    assert xbr("kill", rollout, "--reason", "S3 is down").code == 0
    put_status(server, namespace, stalled_kill("Drifted", finishedAt="2999-01-01T00:00:00Z"))
    put_release(server, namespace, xcom_backend="other.Backend")
    drifted = xbr("kill", rollout, "--reason", "x")
    assert drifted.code == 1, drifted
    assert "the release has changed since" in drifted.out
    assert xbr("resume", rollout).code == 0, "the rollout may begin again"


def test_waiting_for_a_stalled_kill_ends_with_what_helps(
    server: ApiServer, namespace: str, rollout: str, xbr: Xbr
) -> None:
    assert xbr("kill", rollout, "--reason", "S3 is down").code == 0
    run = {"dagId": "etl", "runId": "r1", "stage": "Stopping", "error": "403", "tries": 4}
    put_status(server, namespace, stalled_kill("RunsStuck", troubled=[run]))
    stalled = xbr("kill", rollout, "--reason", "x", "--wait")
    assert stalled.code == 1, stalled
    for part in ("Stalled for 30 s: RunsStuck", "etl/r1 (Stopping): 403", "kubectl get cm"):
        assert part in stalled.out


def test_waiting_no_longer_leaves_the_kill_alone(
    server: ApiServer, namespace: str, rollout: str, xbr: Xbr
) -> None:
    assert xbr("kill", rollout, "--reason", "S3 is down").code == 0
    put_status(server, namespace, conditions("False", "False") | killing())
    late = xbr("kill", rollout, "--reason", "x", "--wait", "--timeout", "2s")
    assert late.code == 3, late
    assert "reached its --timeout. The kill continues" in late.out

    with xbr.start("kill", rollout, "--reason", "x", "--wait") as waiting:
        assert waiting.stdout is not None
        for line in waiting.stdout:
            if " s  " in line:
                break
        waiting.send_signal(signal.SIGINT)
        rest = waiting.stdout.read()
        assert waiting.wait(30) == 3, rest
    assert "was interrupted. The kill continues" in rest


def test_a_dry_run_changes_nothing_and_needs_no_reason(
    server: ApiServer, namespace: str, rollout: str, xbr: Xbr
) -> None:
    absent = xbr("kill", rollout, "--dry-run")
    assert absent.code == 4
    assert "there is no Helm release 'airflow'" in absent.err
    put_release(server, namespace, **OFFLOADS)
    table = xbr("kill", rollout, "--dry-run")
    assert table.code == 0, table
    for word in ("Retrigger", "Drain", "Rehydrate", "Immediate", "no census is recorded"):
        assert word in table.out
    one = xbr("kill", rollout, "--dry-run", "--strategy", "Immediate", "-o", "json")
    assert one.code == 0, one
    assert [entry["strategy"] for entry in json.loads(one.out)["strategies"]] == ["Immediate"]
    assert annotation(server, namespace, ANNOTATION_KILL) is None


def test_a_kill_that_the_spec_declares_is_taken_back_in_the_spec(
    server: ApiServer, namespace: str, rollout: str, xbr: Xbr
) -> None:
    patch = '{"spec":{"killSwitch":{"engaged":true}}}'
    server.kubectl("-n", namespace, "patch", "xbr", rollout, "--type=merge", "-p", patch)
    answer = xbr("resume", rollout)
    assert answer.code == 1
    assert "set it to false where the spec is stored" in answer.err


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
    assert "the rollout does not exist in the namespace" in absent.err
    nobody = Xbr(server.user_kubeconfig("nobody"), namespace)
    for words in (("status",), ("kill", "--reason", "x"), ("kill", "--dry-run"), ("plan",)):
        refused = nobody(words[0], rollout, *words[1:])
        assert refused.code == 4, refused
        assert "you are not allowed to" in refused.err
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
