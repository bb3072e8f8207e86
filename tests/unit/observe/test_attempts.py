"""Tasks in workers are looked for where a kill has stopped runs, and nowhere else."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from xcom_probe.build import build
from xcom_rollout.airflow_api.airflow import AirflowApi
from xcom_rollout.airflow_api.rest import Page
from xcom_rollout.airflow_api.task_instances import runs_of_instances
from xcom_rollout.clients.errors import AirflowError, Forbidden, KubeError
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.ledger import Kill, Ledger, RecoveringRun, RunKey, RunStage
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.observe import attempts
from xcom_rollout.observe.attempts import Look, attempts_in_workers
from xcom_rollout.probe.result import BEGIN, END
from xcom_rollout.wiring import Clients

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT = timedelta(minutes=1)


def rollout(limit: timedelta | None = None) -> Rollout:
    spec = SimpleNamespace(stop_tasks_after=lambda: limit)
    return cast("Rollout", SimpleNamespace(namespace="airflow", name="demo", spec=spec))


RUN, OTHER = RunKey("etl", "2026-01-01"), RunKey("etl", "2026-01-02")
TI = "01a21ff9-6bae-7962-b75b-fcaf812a83ba"


def ledger(*stages: RunStage, finished: bool = False) -> Ledger:
    runs = (RecoveringRun(key, 1, stage) for key, stage in zip((RUN, OTHER), stages, strict=False))
    kill = Kill(1, NOW, "me", "", runs=tuple(runs), finished_at=NOW if finished else None)
    return Ledger(kill=kill)


STOPPED = ledger(RunStage.STOPPED)


def process(pid: int = 40, run: RunKey | None = RUN, instance: str | None = None) -> Json:
    return {
        "pid": pid,
        "started": pid * 100,
        "kind": "task",
        "airflow": 2,
        "dagId": run.dag_id if run else None,
        "taskId": "t" if run else None,
        "runId": run.run_id if run else None,
        "mapIndex": None,
        "taskInstanceId": instance,
        "title": f"task {pid}",
    }


def worker(name: str, state: str = "running", **metadata: Any) -> Json:
    statuses = [
        {"name": "worker", "state": {state: {"startedAt": "2026-01-01T00:00:00Z"}}},
        {"name": "worker-log-groomer", "state": {"running": {"startedAt": "x"}}},
    ]
    return {
        "metadata": {"name": name, "uid": name, "labels": {"component": "worker"}, **metadata},
        "spec": {"containers": [{"name": status["name"]} for status in statuses]},
        "status": {"phase": "Running", "containerStatuses": statuses},
    }


class Cluster:
    """Workers that answer as a test lays down."""

    def __init__(self, **answers: Sequence[Json] | KubeError | Json) -> None:
        self.answers = answers
        self.pods = {name: worker(name) for name in answers}
        self.asked: list[str] = []
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    def run(self, _n: str, pod: str, container: str, *_: Any, timeout: float) -> str:
        assert container == "worker"
        assert timeout <= 15, "a pass waits for it"
        self.asked.append(pod)
        answer = self.answers[pod]
        if isinstance(answer, KubeError):
            raise answer
        document = {"schema": "xcom-probe/v1", "verdict": "pass", "attempts": answer, "checks": []}
        if isinstance(answer, dict):
            document |= answer
        return f"{BEGIN}\n{json.dumps(document)}\n{END}\n"

    def find(self, path: str) -> Json | None:
        return self.pods.get(path.rpartition("/")[2])


class Place:
    """A cluster and what the operator keeps of it."""

    def __init__(self, tmp: Any, monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> None:
        build(tmp / "probe.pyz")
        self.cluster = cluster
        self.listed = list(cluster.pods.values())
        self.world = cast(
            "Clients",
            SimpleNamespace(
                api=cluster,
                memo=Memo(),
                probe=(tmp / "probe.pyz").read_bytes(),
                http=None,
                airflow_url="",
            ),
        )
        self.airflow: dict[str, RunKey] | AirflowError = {}
        self.airflow_asked: list[set[str]] = []
        self.clock = 0.0
        monkeypatch.setattr(attempts, "uncached", lambda _: cluster)
        monkeypatch.setattr(attempts, "open_airflow", lambda *_: None)
        monkeypatch.setattr(attempts, "runs_of_instances", self._runs_of)
        monkeypatch.setattr("time.monotonic", lambda: self.clock)

    def _runs_of(self, _: object, wanted: set[str], _runs: set[RunKey]) -> dict[str, RunKey]:
        self.airflow_asked.append(set(wanted))
        if isinstance(self.airflow, AirflowError):
            raise self.airflow
        return {key: run for key, run in self.airflow.items() if key in wanted}

    def look(self, at: Ledger = STOPPED) -> tuple[dict[tuple[str, int], RunKey | None], str]:
        look = self.whole_look(at)
        return {(one.pod, one.pid): one.run for one in look.attempts}, look.unseen

    def whole_look(self, at: Ledger = STOPPED, limit: timedelta | None = None) -> Look:
        return attempts_in_workers(self.world, rollout(limit), at, self.listed)


@pytest.fixture
def place_of(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda **answers: Place(tmp_path, monkeypatch, Cluster(**answers))


@pytest.mark.parametrize(
    "at",
    [
        Ledger(),
        ledger(RunStage.FOUND, RunStage.STOPPING),
        ledger(RunStage.CLEARED),
        ledger(RunStage.STOPPED, finished=True),
    ],
)
def test_nobody_is_asked_but_where_a_kill_has_stopped_runs(place_of: Any, at: Ledger) -> None:
    place = place_of(w1=[process()])
    assert place.look(at) == ({}, "")
    assert place.cluster.asked == []


def test_no_task_pod_is_asked(place_of: Any) -> None:
    place = place_of(w1=[process()])
    label: Json = {"labels": {"component": "worker", "kubernetes_executor": "True"}}
    named: Json = {"labels": {"component": "worker"}, "annotations": {"dag_id": "d", "run_id": "r"}}
    place.listed = [worker("w1", **label), worker("w1", **named)]
    assert place.look() == ({}, "")
    assert place.cluster.asked == []


def test_each_living_worker_is_asked_those_too_that_are_about_to_end(place_of: Any) -> None:
    place = place_of(w1=[process(40), process(41, OTHER)], w2=[process(40, None)], w3=[], w4=[])
    place.listed[1]["metadata"]["deletionTimestamp"] = "2026-01-01T00:10:00Z"
    place.listed[2]["status"]["phase"] = "Succeeded"
    place.listed[3]["status"]["containerStatuses"][0]["state"] = {"waiting": {}}
    assert place.look() == ({("w1", 40): RUN, ("w1", 41): OTHER, ("w2", 40): None}, "")
    assert sorted(place.cluster.asked) == ["w1", "w2"]


def test_a_worker_that_cannot_be_asked_is_told_with_the_remedy(place_of: Any) -> None:
    place = place_of(w1=[process()], w2=Forbidden("pods/exec is forbidden."), w3=KubeError("no"))
    found, unseen = place.look()
    assert found == {("w1", 40): RUN}
    assert "the worker w2 cannot be seen: pods/exec is forbidden. Allow the operator's" in unseen
    assert "create pods/exec" in unseen
    assert "the worker w3 cannot be seen: no. The operator keeps retrying" in unseen


def test_since_when_a_worker_gives_no_answer_is_told_where_that_may_pass(place_of: Any) -> None:
    place = place_of(w1=[process()], w2=KubeError("container not found"))
    for seconds in (0, 5, 12):
        place.cluster.time = NOW + timedelta(seconds=seconds)
        place.clock += 2
        assert place.whole_look().unseen_since == NOW
    place.cluster.answers["w2"] = []
    place.clock += 2
    assert place.whole_look().unseen_since is None
    place.cluster.answers["w2"] = KubeError("container not found")
    place.clock += 2
    assert place.whole_look().unseen_since == place.cluster.time, "it had answered meanwhile"
    place.cluster.answers["w1"] = Forbidden("pods/exec is forbidden.")
    place.clock += 2
    assert place.whole_look().unseen_since is None, "a right does not come by itself"


def test_once_old_tasks_may_go_on_no_longer_workers_are_asked_for_them(place_of: Any) -> None:
    place = place_of(w1=[process()])
    kill = Kill(1, NOW, "me", "", writers_stopped_at=NOW)
    place.cluster.time = NOW + LIMIT - timedelta(seconds=1)
    assert place.whole_look(Ledger(kill=kill), LIMIT).attempts == ()
    place.cluster.time = NOW + LIMIT
    (attempt,) = place.whole_look(Ledger(kill=kill), LIMIT).attempts
    assert (attempt.pod, attempt.run) == ("w1", RUN)
    gone = Ledger(kill=replace(kill, writers_gone=True))
    assert place.whole_look(gone, LIMIT).attempts == ()


def test_what_the_probe_could_not_see_is_not_taken_for_none(place_of: Any) -> None:
    check = {"status": "error", "name": "look", "observed": "/proc is mounted with hidepid=2"}
    place = place_of(w1={"verdict": "error", "attempts": [], "checks": [check]}, w2={"attempts": 1})
    _, unseen = place.look()
    assert "w1 cannot be seen: /proc is mounted with hidepid=2" in unseen
    assert "w2 cannot be seen: the probe's result has no list `attempts`" in unseen


@pytest.mark.parametrize("now", [None, worker("w1", uid="another"), worker("w1", "terminated")])
def test_a_worker_that_vanished_while_it_was_asked_is_no_error(place_of: Any, now: Any) -> None:
    place = place_of(w1=KubeError("404"))
    place.cluster.pods = {} if now is None else {"w1": now}
    assert place.look() == ({}, "")


def test_a_worker_whose_main_container_is_not_known_is_told(place_of: Any) -> None:
    place = place_of(w1=[])
    for each in (
        place.listed[0]["status"]["containerStatuses"][0],
        place.listed[0]["spec"]["containers"][0],
    ):
        each["name"] = "mine"
    _, unseen = place.look()
    assert "the worker w1 cannot be seen: none of its containers is known" in unseen


def test_a_look_serves_for_a_moment_and_only_runs_that_were_stopped_before(place_of: Any) -> None:
    place = place_of(w1=[process()])
    for _ in range(3):
        assert place.look() == ({("w1", 40): RUN}, "")
    assert len(place.cluster.asked) == 1
    place.look(ledger(RunStage.STOPPED, RunStage.STOPPED))
    assert len(place.cluster.asked) == 2, "a run that was stopped later may have begun a task"
    place.look()
    assert len(place.cluster.asked) == 2
    place.clock += 1.6
    place.look()
    assert len(place.cluster.asked) == 3
    place.listed.append(worker("w2"))
    place.cluster.answers = {"w1": [], "w2": []}
    place.look()
    assert len(place.cluster.asked) == 5, "a new worker"
    (run,) = STOPPED.kill.runs if STOPPED.kill else ()
    kill = Kill(1, NOW, "me", "", runs=(replace(run, stopped_at=NOW),))
    place.look(Ledger(kill=kill))
    assert len(place.cluster.asked) == 7, "it was stopped once more"


def test_of_which_run_a_task_of_airflow_3_is_is_asked_once(place_of: Any) -> None:
    place = place_of(w1=[process(40, None, TI), process(41, None, "unknown")])
    place.airflow = {TI: RUN}
    assert place.look() == ({("w1", 40): RUN, ("w1", 41): None}, "")
    place.clock += 2
    place.look()
    assert place.airflow_asked == [{TI, "unknown"}, {"unknown"}]


def test_where_airflow_does_not_tell_of_runs_that_is_told(place_of: Any) -> None:
    place = place_of(w1=[process(40, None, TI)])
    place.airflow = AirflowError("forbids GET taskInstances")
    found, unseen = place.look()
    assert found == {("w1", 40): None}
    assert "1 tasks in workers are known only by the ID" in unseen
    assert "forbids GET taskInstances" in unseen


class Rest:
    """Task instances in pages of two."""

    def __init__(self, running: list[Json], begun: list[Json]) -> None:
        self.running, self.begun = running, begun
        self.bodies: list[Json] = []
        self.rest = self

    def pages(self, path: str, member: str, query: Json) -> Iterator[Page]:
        assert (path, member) == ("/dags/~/dagRuns/~/taskInstances", "task_instances")
        assert query["state"] == ["running"]
        for at in range(0, max(1, len(self.running)), 2):
            yield Page(self.running[at : at + 2], None)

    def ask(self, method: str, path: str, _: object, body: Json) -> Json:
        assert (method, path) == ("POST", "/dags/~/dagRuns/~/taskInstances/list")
        self.bodies.append(body)
        at = body["page_offset"]
        return {"task_instances": self.begun[at : at + 2], "total_entries": len(self.begun)}

    @staticmethod
    def page_of(answer: Json, path: str, member: str) -> Page:
        assert (path, member) == ("/dags/~/dagRuns/~/taskInstances/list", "task_instances")
        return Page(answer[member], answer["total_entries"])


def instances(*names: str, run: RunKey = RUN) -> list[Json]:
    return [{"id": name, "dag_id": run.dag_id, "dag_run_id": run.run_id} for name in names]


def test_ids_are_looked_for_among_running_tasks_and_then_in_the_stopped_runs() -> None:
    rest = Rest(instances("a", "b", "c"), instances("d", "e", "f", run=OTHER))
    api = cast("AirflowApi", rest)
    assert runs_of_instances(api, {"c"}, [OTHER]) == {"c": RUN}
    assert rest.bodies == [], "found before"
    assert runs_of_instances(api, {"a", "f", "z"}, [OTHER]) == {"a": RUN, "f": OTHER}
    assert [body["page_offset"] for body in rest.bodies] == [0, 2]
    assert (rest.bodies[0]["dag_ids"], rest.bodies[0]["dag_run_ids"]) == (
        [OTHER.dag_id],
        [OTHER.run_id],
    )
    many = [RunKey("d", f"{n:03}") for n in range(150)]
    rest.begun, rest.bodies = [], []
    assert runs_of_instances(api, {"z"}, many) == {}
    assert [len(body["dag_run_ids"]) for body in rest.bodies] == [100, 50]
