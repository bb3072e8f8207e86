"""Tasks in real Celery workers, seen and ended by the probe in the worker's own pod.

As root on Linux, with Debian's redis-server, dumb-init and PostgreSQL.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from executor_world import World, world
from harness.paths import REPO
from harness.waiting import wait_for
from probe_world.airflows import airflow_environment
from xcom_rollout.airflow_api.airflow import AirflowApi
from xcom_rollout.airflow_api.login import BearerAuth
from xcom_rollout.airflow_api.rest import Credentials, Rest
from xcom_rollout.airflow_api.task_instances import runs_of_instances
from xcom_rollout.airflow_api.v2 import v2
from xcom_rollout.decide.ledger import RunKey

LONG = 600.0
Found = dict[str, Any]


@pytest.fixture(scope="module", params=["2.11.2", "3.3.2"])
def at(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An Airflow with one worker that has two slots."""
    environment = airflow_environment(request.param, celery=True)
    folder = tmp_path_factory.mktemp("celery") / request.param
    with world(environment.folder, folder, "CeleryExecutor", {}) as made:
        made.scheduler("s")
        made.worker("w1")
        if made.is_3:
            made.start("dag-processor", "dag-processor")
        yield made


def ask(at: World, pyz: Path, *words: str) -> Found:
    """The probe's answer in the worker."""
    answer = at.execute("w1", at.venv / "bin" / "python", pyz, "attempts", "--json", *words)
    document: Found = json.loads(answer)
    schema = json.loads((REPO / "docs/reference/probe-result.schema.json").read_text())
    jsonschema.validate(document, schema)
    return document


def of(at: World, document: Found, run_id: str) -> list[Found]:
    """The processes of a run."""
    if not at.is_3:
        return [found for found in document["attempts"] if found["runId"] == run_id]
    with at.database.connect() as connection:
        rows = connection.execute("select id from task_instance where run_id = %s", [run_id])
        ids = {str(row[0]) for row in rows}
    return [found for found in document["attempts"] if found["taskInstanceId"] in ids]


def runs_found(at: World, document: Found, stopped: list[RunKey]) -> set[RunKey]:
    """The runs of the task instances seen, by Airflow's API, as the operator asks it."""
    auth = BearerAuth(at.client.headers["Authorization"].removeprefix("Bearer "))
    rest = Rest(at.client, at.url, v2((3, 3)), Credentials(auth, "", "", ""))
    wanted = {found["taskInstanceId"] for found in document["attempts"]}
    return set(runs_of_instances(AirflowApi(rest), wanted, stopped).values())


def named(found: list[Found]) -> list[str]:
    """What `--end` takes."""
    return [f"{process['pid']}:{process['started']}" for process in found]


def kinds(found: list[Found]) -> list[str]:
    return sorted(process["kind"] for process in found)


@pytest.mark.airflow
@pytest.mark.long
def test_a_task_in_a_worker_is_seen_and_ended_and_the_worker_goes_on(at: World, pyz: Path) -> None:
    both = ["pool", "task"] if at.is_3 else ["supervisor", "task"]

    # A worker that has run tasks is idle again; on 3.3 its processes keep the title of the last.
    for run_id in ("first", "second"):
        at.trigger("slow", run_id, 1)
    for run_id in ("first", "second"):
        at.ended(run_id)
    wait_for("they have ended", lambda: not ask(at, pyz)["attempts"], 20)
    assert ask(at, pyz)["facts"]["pool"] == {"processes": 2, "idle": 2}

    at.trigger("slow_again", "deaf", LONG, deaf=True)
    at.begun("deaf")
    at.trigger("slow", "lost", LONG, deaf=True)
    at.begun("lost")
    seen = ask(at, pyz)
    deaf, lost = of(at, seen, "deaf"), of(at, seen, "lost")
    assert kinds(deaf) == kinds(lost) == both
    assert len(seen["attempts"]) == 4
    if not at.is_3:
        assert {(p["dagId"], p["taskId"]) for p in deaf} == {("slow_again", "sleep")}

    else:
        assert runs_found(at, seen, []) == {RunKey("slow_again", "deaf"), RunKey("slow", "lost")}

    # What began at another time is another process.
    other = [f"{process['pid']}:{process['started'] + 1}" for process in deaf]
    assert len(ask(at, pyz, "--end", *other)["ended"]["gone"]) == 2
    assert at.alive("deaf")

    at.fail("slow_again", "deaf")
    if at.is_3:
        # Its row is failed and its process lives: it is listed with its run, and there only.
        assert runs_found(at, seen, []) == {RunKey("slow", "lost")}
        stopped = [RunKey("slow_again", "deaf"), RunKey("slow", "never")]
        assert runs_found(at, seen, stopped) == {stopped[0], RunKey("slow", "lost")}
    begin = time.monotonic()
    answer = ask(at, pyz, "--end", *named(deaf))
    print(f"ended in {time.monotonic() - begin:.2f} s: {answer['ended']}")
    assert [len(answer["ended"][word]) for word in ("killed", "left", "refused")] == [1, 1, 0]
    assert not of(at, answer, "deaf"), "it waits until they are gone"
    assert len(of(at, answer, "lost")) == 2
    wait_for("nothing of it lives", lambda: at.dead("deaf"), 10)
    assert at.alive("lost")
    assert at.task("deaf")[0] == "failed"

    # Its supervisor is killed, as where memory runs out: the task goes on, and is seen.
    marks = ("airflow task supervisor", "airflow supervisor") if not at.is_3 else ("airflow sup",)
    watching = [pid for pid, words in at.commands("w1").items() if words.startswith(marks)]
    below = [pid for pid, words in at.commands("w1").items() if "task runner" in words]
    if at.is_3:
        # The other process of the pool has the title of the run that was ended.
        watching = [pid for pid in watching if Path(f"/proc/{pid}/task/{pid}/children").read_text()]
    assert len(watching) == 1, (watching, below)
    os.kill(watching[0], signal.SIGKILL)
    wait_for("it is gone", lambda: kinds(of(at, ask(at, pyz), "lost")) == ["task"], 10)
    assert at.alive("lost")
    answer = ask(at, pyz, "--end", *named(of(at, ask(at, pyz), "lost")))
    assert [len(answer["ended"][word]) for word in ("killed", "left", "refused")] == [1, 0, 0]
    assert not answer["attempts"]
    wait_for("nothing of it lives", lambda: at.dead("lost"), 10)

    for run_id in ("third", "fourth", "fifth"):
        at.trigger("slow", run_id, 1)
    for run_id in ("third", "fourth", "fifth"):
        at.ended(run_id)
        assert at.task(run_id)[0] == "success"
