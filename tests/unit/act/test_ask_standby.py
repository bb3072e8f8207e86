"""A question of a kill is put to a pod that waits, and sent as a Job where that does not answer."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from xcom_rollout.act.ask_standby import ask_standby
from xcom_rollout.clients.errors import KubeError
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.actions import RunJob
from xcom_rollout.decide.ledger import Component, Ledger, RunKey
from xcom_rollout.decide.observed import CensusResult, EmptyResult, JobKind, JobState, Rollout
from xcom_rollout.observe.jobs import list_jobs
from xcom_rollout.probe.result import BEGIN, END
from xcom_rollout.wiring import Clients

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROLLOUT = cast("Rollout", SimpleNamespace(namespace="airflow", name="demo", uid="u"))
RUNS = (RunKey("etl", "2026-01-01"), RunKey("etl", "é"))


def action(kind: JobKind, *arguments: str, runs: tuple[RunKey, ...] = ()) -> RunJob:
    return RunJob(kind, Component.SCHEDULER, 7, "kill-1.1-x", None, arguments, runs=runs)


CENSUS = action(JobKind.CENSUS, "census", "--base", "s3://c@b/x")


class Cluster:
    """A cluster with one pod that waits, as far as the operator asks."""

    def __init__(self, answer: Json | str | None) -> None:
        self.answer = answer
        self.pods = [self.pod("running")]
        self.commands: list[tuple[tuple[str, ...], bytes]] = []
        self.made: dict[str, Json] = {}

    def pod(self, state: str, **metadata: Any) -> Json:
        labels = {"batch.kubernetes.io/job-name": "j"}
        return {
            "metadata": {"name": "waits", "uid": f"uid-{state}", "labels": labels, **metadata},
            "status": {"containerStatuses": [{"name": "xcom-probe", "state": {state: {}}}]},
        }

    def list(self, path: str, **_: Any) -> list[Json]:
        return [] if path.endswith("/jobs") else self.pods

    def create(self, path: str, body: Json) -> bool:
        assert path.endswith("/configmaps")
        return self.made.setdefault(body["metadata"]["name"], body) is body

    def now(self) -> datetime:
        return NOW

    def run(self, _n: str, _p: str, _c: str, command: Any, stdin: bytes, *, timeout: float) -> str:
        assert timeout <= 30, "a pass waits for it"
        self.commands.append((tuple(command), stdin))
        if self.answer is None:
            raise KubeError("no answer within 20 s")
        if isinstance(self.answer, str):
            return self.answer
        return f"noise\n{BEGIN}\n{json.dumps({'schema': 'xcom-probe/v1', **self.answer})}\n{END}\n"


def world_of(cluster: Cluster) -> Clients:
    return cast("Clients", SimpleNamespace(api=cast("KubeApi", cluster), memo=Memo()))


def test_its_answer_to_a_census_is_seen_at_the_next_look_as_that_of_a_job() -> None:
    cluster = Cluster({"verdict": "pass", "runs": []})
    world = world_of(cluster)
    assert ask_standby(world, ROLLOUT, CENSUS)
    (seen,) = list_jobs(world.api, world.memo, ROLLOUT, Ledger())
    assert (seen.kind, seen.attempt, seen.digest) == (JobKind.CENSUS, 7, "kill-1.1-x")
    assert (seen.state, seen.finished_at) == (JobState.FINISHED, NOW)
    assert isinstance(seen.result, CensusResult)
    assert seen.result.is_answer
    ((command, stdin),) = cluster.commands
    assert command[-5:-3] == ("/opt/xcom-probe/xcom_probe.pyz", "census")
    assert (command[-1], stdin) == ("--markers", b"")


def test_the_runs_whose_rows_are_removed_go_with_the_question() -> None:
    runs = [{"dagId": run.dag_id, "runId": run.run_id, "rows": 1, "left": 0} for run in RUNS]
    cluster = Cluster({"verdict": "pass", "runs": runs})
    world = world_of(cluster)
    assert ask_standby(world, ROLLOUT, action(JobKind.EMPTY, "forget", runs=RUNS))
    (seen,) = list_jobs(world.api, world.memo, ROLLOUT, Ledger())
    assert isinstance(seen.result, EmptyResult)
    assert seen.result.emptied == RUNS
    ((command, stdin),) = cluster.commands
    assert str(len(stdin)) in command
    assert [entry["runId"] for entry in json.loads(stdin)] == ["2026-01-01", "é"]


def test_nobody_waits_for_the_questions_of_a_live_rollout() -> None:
    cluster = Cluster({"verdict": "pass", "runs": []})
    cluster.list = None  # type: ignore[assignment]  # nor is it looked for
    assert not ask_standby(world_of(cluster), ROLLOUT, replace(CENSUS, digest="live"))


def test_what_it_could_not_look_at_is_no_answer() -> None:
    world = world_of(Cluster({"verdict": "error", "checks": []}))
    assert ask_standby(world, ROLLOUT, CENSUS)
    (seen,) = list_jobs(world.api, world.memo, ROLLOUT, Ledger())
    assert seen.result is not None
    assert not seen.result.is_answer


@pytest.mark.parametrize("answer", [None, "Killed", f"{BEGIN}\ncut off"])
def test_one_that_does_not_answer_is_not_asked_again(
    answer: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = Cluster(answer)
    world = world_of(cluster)
    assert not ask_standby(world, ROLLOUT, CENSUS)
    assert "a Job is created" in caplog.text
    assert list_jobs(world.api, world.memo, ROLLOUT, Ledger()) == ()
    assert not ask_standby(world, ROLLOUT, CENSUS)
    assert len(cluster.commands) == 1


def test_an_operator_that_ended_before_the_answer_was_on_record_sends_a_job_for_it() -> None:
    """One that ends at each answer, for want of memory say, would ask for ever."""
    cluster = Cluster({"verdict": "pass", "runs": []})
    assert ask_standby(world_of(cluster), ROLLOUT, CENSUS)
    assert not ask_standby(world_of(cluster), ROLLOUT, CENSUS), "the same attempt"
    assert ask_standby(world_of(cluster), ROLLOUT, replace(CENSUS, attempt=8))
    assert len(cluster.commands) == 2
    (first, _) = cluster.made.values()
    (owner,) = first["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Pod", "uid-running"), "it goes with the pod"


def test_one_that_has_not_come_or_ends_is_not_asked() -> None:
    cluster = Cluster({"verdict": "pass", "runs": []})
    cluster.pods = [cluster.pod("waiting"), cluster.pod("running", deletionTimestamp="now")]
    assert not ask_standby(world_of(cluster), ROLLOUT, CENSUS)
    assert cluster.commands == []


@pytest.mark.parametrize("kind", [JobKind.REHYDRATE, JobKind.PROOF, JobKind.STANDBY])
def test_what_takes_long_is_sent_as_a_job(kind: JobKind) -> None:
    cluster = Cluster({"verdict": "pass"})
    assert not ask_standby(world_of(cluster), ROLLOUT, action(kind, "x"))
    assert cluster.commands == []


def test_an_answer_that_cannot_be_read_is_said_to_be_broken() -> None:
    world = world_of(Cluster({"verdict": "maybe"}))
    assert ask_standby(world, ROLLOUT, CENSUS)
    (seen,) = list_jobs(world.api, world.memo, ROLLOUT, Ledger())
    assert (seen.state, seen.result) == (JobState.BROKEN, None)
    assert "maybe" in seen.message
