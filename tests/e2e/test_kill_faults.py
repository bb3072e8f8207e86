"""A kill on a real cluster while what it needs comes and goes (make test-long)."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from harness.airflow import AirflowApi
from harness.operator import OperatorInstall, RolloutOnCluster
from harness.shell import HarnessError
from harness.stack import NAMESPACE, AirflowStack
from harness.waiting import NotYetError, wait_for

pytestmark = pytest.mark.long

SLOW, BYSTANDER, FINISHED = "offload_slow", "bystander", "offload_demo"
MOMENTS = 10


@pytest.fixture
def live(stack: AirflowStack, rollout: RolloutOnCluster) -> RolloutOnCluster:
    """A rollout that offloads."""
    rollout.apply()
    rollout.xbr("attest", rollout.name, "--evidence", "tests/e2e")
    rollout.wait_condition("Ready", deadline=500)
    assert stack.api.health()
    return rollout


def _take_off(api: AirflowApi, slow: int) -> tuple[list[str], str]:
    """Start runs that hold a path for long, and one that never does; return their ids."""
    runs = [api.trigger(SLOW, {"seconds": 1500}) for _ in range(slow)]
    for run in runs:
        api.wait_task(SLOW, run, "hold", {"running"}, deadline=240)
    still = api.trigger(BYSTANDER, {"seconds": 60})
    api.wait_task(BYSTANDER, still, "hold", {"running"}, deadline=120)
    return runs, still


def _killing(rollout: RolloutOnCluster) -> dict[str, Any]:
    return rollout.status().get("killSwitch") or {}


def _writers_stopped(rollout: RolloutOnCluster) -> bool:
    kill = _killing(rollout)
    if "writersStoppedAt" not in kill:
        raise NotYetError(json.dumps(kill))
    return True


def _all_cleared(rollout: RolloutOnCluster, runs: int) -> bool:
    counts = _killing(rollout).get("runs", {})
    if counts.get("cleared", 0) < runs:
        raise NotYetError(json.dumps(counts))
    return True


@contextmanager
def _away(stack: AirflowStack, namespace: str, service: str) -> Iterator[None]:
    """Let a Service lead nowhere. Its pods go on, and lose no data."""

    def select(away: str | None) -> None:
        patch = json.dumps({"spec": {"selector": {"away": away}}})
        stack.cluster.kubectl(
            *("-n", namespace, "patch", "service", service, "--type=merge", "-p", patch)
        )

    select("yes")
    try:
        yield
    finally:
        select(None)


def _restart_database(stack: AirflowStack) -> None:
    """Let Postgres end with all its connections; the kubelet starts it again, with its data."""
    stack.cluster.kubectl(
        *("-n", NAMESPACE, "exec", "deploy/postgres", "--", "sh", "-c", "kill -INT 1")
    )


def _upgrade_as_somebody(stack: AirflowStack) -> bool:
    try:
        stack.upgrade({"somebody": "was here"})
    except HarnessError as error:
        # The operator's own Helm is at work: a person tries again, too.
        raise NotYetError(str(error)) from error
    return True


def _healed_once(stack: AirflowStack, runs: list[str]) -> None:
    for run in runs:
        stack.api.wait_run(SLOW, run, deadline=120)
        assert [row for row in stack.database.xcoms(SLOW, run) if row.is_path] == []
        assert max(task.try_number for task in stack.api.tasks(SLOW, run)) == 2, "cleared once"


def _as_before(stack: AirflowStack, *dags: str) -> None:
    for dag in dags:
        assert not stack.api.request("GET", f"/dags/{dag}")["is_paused"], f"{dag} is paused"


@pytest.mark.parametrize("seed", [1])
def test_an_operator_ended_at_ten_random_moments_of_a_kill_comes_to_the_same_end(
    stack: AirflowStack, operator: OperatorInstall, live: RolloutOnCluster, seed: int
) -> None:
    revision = live.revision()
    runs, still = _take_off(stack.api, 3)
    live.xbr("kill", live.name, "--reason", "ten forced ends")
    moment = random.Random(seed)  # noqa: S311  repeatable on purpose
    for number in range(1, MOMENTS + 1):
        time.sleep(moment.uniform(0, 9))
        print(f"end {number}: {json.dumps(_killing(live).get('runs', {}))}", flush=True)
        operator.kill_hard()
    live.wait_condition("Ready", reason="Reverted", deadline=500)
    print(json.dumps(_killing(live), indent=1))
    _healed_once(stack, runs)
    assert live.thresholds_delivered(after=revision) == ["-1", "database"], "each delivered once"
    assert _killing(live)["runs"]["failed"] == 0
    stack.api.wait_run(BYSTANDER, still, deadline=120)
    assert {task.try_number for task in stack.api.tasks(BYSTANDER, still)} == {1}
    _as_before(stack, SLOW, BYSTANDER)


def test_a_kill_needs_no_store_and_outlasts_the_database_the_web_server_and_a_strange_upgrade(
    stack: AirflowStack, live: RolloutOnCluster
) -> None:
    api = stack.api
    finished = api.trigger(FINISHED)
    api.wait_run(FINISHED, finished, deadline=240)
    runs, _ = _take_off(api, 3)
    begin = time.monotonic()

    def report(what: str) -> None:
        seconds = time.monotonic() - begin
        print(f"{seconds:4.0f} s  {what}: {json.dumps(_killing(live).get('runs'))}", flush=True)

    with _away(stack, "storage", "minio"):
        live.xbr("kill", live.name, "--reason", "the store is away")
        wait_for("writers stopped without the store", lambda: _writers_stopped(live), 60)
        report("writers stopped")
        with _away(stack, NAMESPACE, stack.instance.web_service):
            _restart_database(stack)
            report("the database was restarted, the web server is away")
            time.sleep(60)
        report("the web server is back")
        wait_for("somebody's upgrade", lambda: _upgrade_as_somebody(stack), 120, interval=1)
        report("somebody upgraded the release")
        wait_for("all cleared without the store", lambda: _all_cleared(live, 3), 400, interval=1)
        report("all runs were cleared without the store")
        live.wait_condition("Stalled", "True", reason="FinishedRunsRemain", deadline=400)
        report("values of finished runs wait for the store")
    live.wait_condition("Ready", reason="Reverted", deadline=400)
    report("reverted")
    print(json.dumps(_killing(live), indent=1))
    _healed_once(stack, runs)
    assert [row for row in stack.database.xcoms(FINISHED, finished) if row.is_path] == []
    assert live.thresholds_delivered()[-1] == "database"
    assert stack.values()["somebody"] == "was here", "what others deliver stays"
    _as_before(stack, SLOW, BYSTANDER, FINISHED)
