"""Processes of stopped runs in workers are ended by their worker's own probe, and no others."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from xcom_probe.build import build
from xcom_probe.processes import table
from xcom_rollout.act import end_attempts as act
from xcom_rollout.clients.errors import ExternalError, KubeError
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.actions import EndAttempts
from xcom_rollout.decide.ledger import RunKey
from xcom_rollout.decide.observed import Attempt, Observed
from xcom_rollout.probe.attempts import look_key
from xcom_rollout.probe.parts import needed_part
from xcom_rollout.probe.result import BEGIN, END
from xcom_rollout.wiring import Clients

RUN, OTHER = RunKey("etl", "1"), RunKey("etl", "2")
OBSERVED = cast("Observed", SimpleNamespace(rollout=SimpleNamespace(namespace="n", name="x")))


def attempt(pid: int, run: RunKey | None = RUN, pod: str = "w1", started: int = 7) -> Attempt:
    return Attempt(pod, f"uid-{pod}", pid, started, "title", run)


class Cluster:
    """Two workers; in them the command is really run, unless an answer is laid down."""

    def __init__(self, answers: dict[str, Json | KubeError] | None = None) -> None:
        self.answers = answers or {}
        self.uids = {"w1": "uid-w1", "w2": "uid-w2"}
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def find(self, path: str) -> Json | None:
        name = path.rpartition("/")[2]
        status = {"name": "worker", "state": {"running": {"startedAt": "t"}}}
        return {
            "metadata": {"name": name, "uid": self.uids[name], "labels": {"component": "worker"}},
            "status": {"containerStatuses": [status]},
        }

    def run(self, _n: str, pod: str, _c: str, command: Any, stdin: bytes, *, timeout: float) -> str:
        self.asked.append((pod, tuple(command[command.index("attempts") :])))
        answer = self.answers.get(pod)
        if isinstance(answer, KubeError):
            raise answer
        if answer is not None:
            return f"{BEGIN}\n{json.dumps({'schema': 'xcom-probe/v1', **answer})}\n{END}\n"
        real = (sys.executable, *command[1:])
        done = subprocess.run(real, input=stdin, capture_output=True, timeout=timeout, check=False)
        return (done.stderr + done.stdout).decode()

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[RunKey, str]:
    """What was recorded of each run; empty where it went well."""
    found: dict[RunKey, str] = {}

    def each_run(_w: object, _o: object, runs: Any) -> None:
        for key, do in runs:
            try:
                do()
                found[key] = ""
            except ExternalError as error:
                found[key] = error.message

    monkeypatch.setattr(act, "each_run", each_run)
    return found


def end(tmp_path: Any, monkeypatch: Any, cluster: Cluster, *those: Attempt) -> Memo:
    build(tmp_path / "probe.pyz")
    probe, memo = (tmp_path / "probe.pyz").read_bytes(), Memo()
    memo.put(look_key(OBSERVED.rollout), "a look from before")
    world = cast("Clients", SimpleNamespace(api=cluster, memo=memo, probe=probe))
    monkeypatch.setattr(act, "uncached", lambda _: cluster)
    act.end_attempts(world, OBSERVED, EndAttempts(those))
    return memo


def test_a_real_process_is_ended_with_what_the_command_needs_of_the_probe(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, told: dict[RunKey, str]
) -> None:
    title = "airflow worker -- 01a21ff9-6bae-7962-b75b-fcaf812a83ba"
    with subprocess.Popen([title], executable="/bin/cat", stdin=subprocess.PIPE) as process:
        found = table.one("/proc", process.pid)
        assert found is not None
        another = attempt(process.pid, OTHER, started=found.started + 1)
        end(tmp_path, monkeypatch, Cluster(), another)
        assert process.poll() is None
        mine = attempt(process.pid, started=found.started)
        memo = end(tmp_path, monkeypatch, Cluster(), mine)
        assert process.wait(5) == -9
    assert told == {OTHER: "", RUN: ""}
    assert memo.find(look_key(OBSERVED.rollout)) is None, "the next look asks anew"
    whole = (tmp_path / "probe.pyz").read_bytes()
    assert len(needed_part(whole, "attempts")) < len(whole) / 8


def test_each_worker_is_asked_once_and_what_it_refuses_is_told_of_the_run(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, told: dict[RunKey, str]
) -> None:
    no = {"pid": 41, "started": 7, "why": "Operation not permitted"}
    answer = {"verdict": "fail", "ended": {"refused": [no]}, "attempts": [], "checks": []}
    cluster = Cluster({"w1": answer})
    end(tmp_path, monkeypatch, cluster, attempt(40), attempt(41, OTHER), attempt(42, None))
    assert cluster.asked == [("w1", ("attempts", "--markers", "--end", "40:7", "41:7"))]
    assert told[RUN] == ""
    assert (
        "process 41 in the worker w1 could not be stopped: Operation not permitted" in told[OTHER]
    )


def test_a_worker_that_cannot_be_asked_is_told_of_its_runs_and_of_no_others(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, told: dict[RunKey, str]
) -> None:
    fine = {"verdict": "pass", "ended": {"refused": []}, "attempts": [], "checks": []}
    cluster = Cluster({"w1": KubeError("no answer"), "w2": fine})
    end(tmp_path, monkeypatch, cluster, attempt(40), attempt(40, OTHER, "w2"))
    assert told == {RUN: "no task in the worker w1 could be stopped: no answer", OTHER: ""}


def test_another_pod_of_its_name_is_not_asked(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, told: dict[RunKey, str]
) -> None:
    cluster = Cluster()
    cluster.uids["w1"] = "another"
    end(tmp_path, monkeypatch, cluster, attempt(40))
    assert cluster.asked == []
    assert told == {RUN: ""}
