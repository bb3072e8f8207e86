"""What `xbr kill --dry-run` says that each strategy would do."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from xcom_rollout.api.v1alpha1 import RolloutSpec
from xcom_rollout.cli.dry_run import as_data, render
from xcom_rollout.cli.forecast import Forecast, forecast, ground_of
from xcom_rollout.decide.ledger import (
    CensusRecord,
    Component,
    Kill,
    Ledger,
    OffloadedRun,
    Proof,
    RecoveringRun,
    RunKey,
    RunStage,
    Strategy,
    Verdict,
    WayBack,
)
from xcom_rollout.decide.observed import Observed, Pod, Release, Rollout, Workload
from xcom_rollout.decide.settings import BackendSettings, object_storage

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
PATH = "s3://aws_default@bucket/xcom"
LIVE = object_storage(PATH, "1000", None)
RAW: dict[str, Any] = {
    "metadata": {"name": "demo", "namespace": "airflow", "annotations": {}},
    "spec": {},
}
PLAIN = OffloadedRun(RunKey("etl", "plain"), 3, "running", run_type="manual")
CHILD = OffloadedRun(
    RunKey("etl", "child"), 1, "running", waited_for_by=(RunKey("parent", "waits"),)
)
BACKFILL = OffloadedRun(RunKey("etl", "backfill"), 2, "running", run_type="backfill")


def spec(**kill_switch: Any) -> RolloutSpec:
    chart = {"repository": "https://example.org", "name": "airflow", "version": "1.0"}
    return RolloutSpec.model_validate(
        {
            "airflow": {
                "release": "airflow",
                "api": {"service": "web", "credentialsSecretRef": {"name": "api"}},
            },
            "backend": {"type": "ObjectStorage", "objectStorage": {"path": PATH}},
            "threshold": {"bytes": "1000"},
            "killSwitch": kill_switch,
            "delivery": {"type": "Helm", "helm": {"chart": chart}},
        }
    )


def pod(name: str, run: RunKey | None, *, minutes: int = 5) -> Pod:
    made = NOW - timedelta(minutes=minutes)
    return Pod(name, name, "worker", made, made, ready=True, terminating=False, run=run)


def world(
    *runs: OffloadedRun,
    settings: BackendSettings = LIVE,
    pods: tuple[Pod, ...] = (),
    counted: timedelta | None = timedelta(seconds=12),
    airflow: str = "2.11.2",
    kill: Kill | None = None,
    **kill_switch: Any,
) -> Observed:
    """Return a live rollout with these runs at its last census, that long ago."""
    proof = Proof(
        Component.SCHEDULER, "d", 1, Verdict.PASS, NOW, "job", facts=(("airflow", airflow),)
    )
    census = None if counted is None else CensusRecord("job", 1, NOW - counted, runs)
    changed = NOW - timedelta(minutes=2)
    return Observed(
        rollout=Rollout("airflow", "demo", "uid", 1, NOW, spec(**kill_switch)),
        rivals=(),
        release=Release(7, "deployed", "airflow", "1.0", settings, NOW),
        digest="d",
        config_changed_at=changed,
        backend_hash="",
        workloads=(Workload("Deployment", "scheduler", "scheduler", 1, True, ""),),
        pods=pods,
        jobs=(),
        ledger=Ledger(
            proofs=(proof,),
            census=census,
            kill=kill,
            bases=() if settings.is_database else (PATH,),
        ),
    )


def keys(runs: tuple[OffloadedRun, ...]) -> list[str]:
    return [run.key.run_id for run in runs]


def of(observed: Observed, strategy: Strategy) -> Forecast:
    return forecast(observed, NOW, strategy)


def test_retrigger_runs_again_what_nobody_waits_for_and_what_airflow_can_repeat() -> None:
    found = of(world(PLAIN, CHILD, BACKFILL), Strategy.RETRIGGER)
    assert keys(found.rerun) == ["plain"]
    assert [entry.key.run_id for entry in found.left] == ["child", "backfill"]
    assert "parent/waits waits for it" in found.left[0].why
    assert "backfill of Airflow 2" in found.left[1].why


def test_a_backfill_of_airflow_3_is_run_again() -> None:
    found = of(world(BACKFILL, airflow="3.1.8"), Strategy.RETRIGGER)
    assert keys(found.rerun) == ["backfill"]


def test_the_other_strategies_stop_no_run_or_each() -> None:
    observed = world(PLAIN, CHILD)
    drained, copied, at_once = (
        of(observed, strategy)
        for strategy in (Strategy.DRAIN, Strategy.REHYDRATE, Strategy.IMMEDIATE)
    )
    assert (drained.rerun, len(drained.left)) == ((), 2)
    assert (keys(copied.copied), copied.copied_rows) == (["plain", "child"], 4)
    assert keys(at_once.rerun) == ["plain", "child"]


def test_pods_of_stopped_runs_are_ended_and_others_are_waited_for() -> None:
    pods = (
        pod("scheduler", None),
        pod("a", PLAIN.key),
        pod("b", RunKey("other", "run"), minutes=20),
        replace(pod("ended", RunKey("other", "past"), minutes=60), ended=True),
    )
    found = of(world(PLAIN, pods=pods), Strategy.RETRIGGER)
    assert (found.pods_ended, found.old_tasks) == (1, 1)
    assert found.oldest == timedelta(minutes=20)
    assert of(world(PLAIN, pods=pods), Strategy.DRAIN).old_tasks == 2


def test_at_the_readers_step_only_tasks_from_before_it_are_waited_for() -> None:
    pods = (pod("old", RunKey("x", "1"), minutes=5), pod("new", RunKey("x", "2"), minutes=1))
    readers = object_storage(PATH, "-1", None)
    found = of(world(settings=readers, pods=pods), Strategy.RETRIGGER)
    assert found.old_tasks == 1
    assert found.writers_stopped.most == 0, "nothing is left to be delivered"


def test_the_seconds_rest_on_what_was_measured() -> None:
    found = of(world(PLAIN, pods=(pod("a", PLAIN.key),), finishedRuns="Accept"), Strategy.RETRIGGER)
    assert str(found.writers_stopped) == "2 s"
    assert str(found.queued) == "18 to 52 s", "Helm 2, a Job 8-10, 30 at most, a Job 8-10"
    assert found.back.least == 28
    assert "the long-lived pods have been replaced" in str(found.back)
    assert any("delivery by Helm, measured: 2 s" in basis for basis in found.back.rests_on)


def test_an_unknown_wait_is_said_in_words() -> None:
    pods = (pod("b", RunKey("other", "run")),)
    text = str(of(world(PLAIN, CHILD, pods=pods), Strategy.RETRIGGER).back)
    assert "the last old task has ended" in text
    assert "1 runs that run to their end have ended" in text
    assert of(world(PLAIN), Strategy.DRAIN).queued is None


def test_an_immediate_kill_is_back_first_and_leaves_finished_runs() -> None:
    found = of(world(PLAIN), Strategy.IMMEDIATE)
    assert str(found.back) == "2 to 22 s"
    assert "not done" in found.finished_runs


@pytest.mark.parametrize(
    ("policy", "word"),
    [("Rehydrate", "copied"), ("Hold", "finishedRuns: Hold"), ("Accept", "")],
)
def test_what_becomes_of_finished_runs_counts_for_the_way_back(policy: str, word: str) -> None:
    found = of(world(finishedRuns=policy), Strategy.DRAIN)
    assert policy in found.finished_runs
    assert word in str(found.back)


def test_the_limit_for_old_tasks_is_said_for_the_strategies_that_have_it() -> None:
    observed = world(PLAIN, stopTasksAfter="15m")
    assert "after 15m" in of(observed, Strategy.RETRIGGER).stop_tasks_after
    assert "no limit" in of(observed, Strategy.DRAIN).stop_tasks_after
    assert "is not set" in of(world(PLAIN), Strategy.RETRIGGER).stop_tasks_after


def warnings(observed: Observed) -> str:
    return " | ".join(ground_of(observed, NOW).warnings)


def test_a_census_that_is_older_than_its_interval_is_warned_of() -> None:
    assert warnings(world(PLAIN)) == ""
    assert "older than spec.census.interval (15m)" in warnings(
        world(PLAIN, counted=timedelta(minutes=16))
    )
    assert "no census is recorded" in warnings(world(counted=None))


def test_what_a_kill_would_miss_is_warned_of() -> None:
    observed = replace(
        world(BACKFILL, airflow="unknown"),
        unseen_tasks="tasks may run in any namespace",
        problems=("the chart cannot be pulled",),
        release=Release(7, "pending-upgrade", "airflow", "1.0", LIVE, NOW),
    )
    missing = WayBack("d", NOW, ("spec.airflow.api: 403 Forbidden",))
    text = warnings(replace(observed, ledger=replace(observed.ledger, way_back=missing)))
    for part in (
        "tasks may run in any namespace",
        "the chart cannot be pulled",
        "the Helm release is pending-upgrade",
        "Airflow's version is not known",
        "spec.airflow.api: 403 Forbidden",
    ):
        assert part in text


def test_where_nothing_was_ever_delivered_there_is_nothing_to_do() -> None:
    observed = world(settings=BackendSettings(), counted=None)
    for strategy in Strategy:
        found = of(observed, strategy)
        assert (found.rerun, str(found.back), found.store) == ((), "0 s", "not needed")
    assert "never delivered" in warnings(observed)


def test_of_a_kill_that_goes_on_the_runs_that_may_still_be_healed_otherwise_are_shown() -> None:
    runs = (
        RecoveringRun(RunKey("etl", "drains"), 2, RunStage.DRAINING),
        RecoveringRun(RunKey("etl", "done"), 1, RunStage.RECOVERED),
    )
    kill = Kill(3, NOW, "ana", "x", Strategy.DRAIN, counted=("found",), runs=runs)
    observed = world(PLAIN, settings=object_storage(PATH, "-1", None), kill=kill)
    assert keys(of(observed, Strategy.REHYDRATE).copied) == ["drains"]
    assert "kill 3 is in progress (strategy Drain)" in warnings(observed)


def in_words(observed: Observed, *strategies: Strategy) -> str:
    found = [of(observed, strategy) for strategy in strategies]
    return " ".join("\n".join(render(RAW, ground_of(observed, NOW), found, NOW)).split())


def test_one_strategy_is_shown_in_detail() -> None:
    observed = world(PLAIN, CHILD, pods=(pod("b", RunKey("other", "run"), minutes=20),))
    text = in_words(observed, Strategy.RETRIGGER)
    for part in (
        "Nothing is changed.",
        "2 runs in flight hold 4 offloaded values (counted 12 s ago)",
        "run again 1 from their start: etl/plain",
        "- etl/child: parent/waits waits for it",
        "the kill waits for 1, the oldest for 20 min",
        "Airflow's API to stop and clear the runs",
        "nothing more is offloaded 2 s",
        "delivery by Helm, measured: 2 s",
    ):
        assert part in text


def test_all_strategies_are_shown_as_a_table() -> None:
    text = in_words(world(PLAIN, CHILD), *Strategy)
    for strategy in Strategy:
        assert text.count(f"{strategy} ") >= 2, "in the table, and below it"
    assert "copied back" in text
    assert "2 (4 rows)" in text
    assert "xbr kill demo -n airflow --dry-run --strategy Retrigger" in text


def test_the_same_is_given_as_data() -> None:
    observed = world(PLAIN, CHILD)
    found = [of(observed, strategy) for strategy in Strategy]
    data = json.loads(json.dumps(as_data(RAW, ground_of(observed, NOW), found, NOW)))
    assert data["affected"]["count"] == 2
    assert data["affected"]["ageSeconds"] == 12
    retrigger = data["strategies"][0]
    assert retrigger["strategy"] == "Retrigger"
    assert [run["runId"] for run in retrigger["runAgain"]] == ["plain"]
    assert retrigger["leftToEnd"][0]["why"]
    assert retrigger["estimates"]["nothingMoreOffloaded"]["secondsAtMost"] == 2
    assert retrigger["estimates"]["databaseBackendBack"]["secondsAtMost"] is None
    assert data["strategies"][2]["copiedBack"]["rows"] == 4


def test_tasks_in_workers_are_said_to_be_missing() -> None:
    worker = Workload("Deployment", "w", "worker", 1, True, "", grace_seconds=600)
    observed = world(PLAIN)
    with_workers = replace(observed, workloads=(*observed.workloads, worker))
    said = " ".join(ground_of(with_workers, NOW).warnings)
    assert "tasks in workers are not counted here" in said
    assert "w: 600 s" in said
    assert "tasks in workers" not in " ".join(ground_of(observed, NOW).warnings)
