"""Ways on which a kill meets people: a deleted resource, Helm in other hands, runs that go on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from standin.airflow import FOREVER, Run
from standin.driver import Driver
from standin.kube import Json
from standin.place import PATH, RELEASE, THRESHOLD, VALUES, Place
from standin.settings import DATABASE, OBJECT_STORAGE
from standin.story import is_live
from xcom_rollout.api.names import ANNOTATION_DIGEST, FINALIZER, LABEL_KIND
from xcom_rollout.cli.kill_state import KillState, state_of
from xcom_rollout.decide.ledger import Ledger
from xcom_rollout.stored.ledger_codec import KEY, from_config_map
from xcom_rollout.stored.names import ledger_name

pytestmark = pytest.mark.timeout(300)

OTHER_PATH = "s3://aws_default@bucket/other"
READERS = (PATH, "-1")
LIVE = (PATH, str(THRESHOLD))


def live(place: Place, driver: Driver | None = None) -> Driver:
    driver = driver or Driver(place)
    driver.until("a live rollout", is_live)
    return driver


def finished(status: Json) -> bool:
    return status.get("phase") == "Reverted" and "finishedAt" in status.get("killSwitch", {})


def until_reason(driver: Driver, reason: str) -> None:
    """Go on until the rollout is stalled for this reason."""
    wanted = f"True ({reason})"
    driver.until(reason, lambda _: driver.place.conditions().get("Stalled") == wanted, 60)


def offloading_run(place: Place, dag_id: str = "offload", run_id: str = "has-offloaded") -> Run:
    """Return a run that has offloaded a value and whose next task does not end by itself."""
    run = place.airflow.trigger(dag_id, run_id, (1, 2000), (FOREVER, 10), (1, 10))
    for _ in range(3):
        place.tick()
    assert run.rows == 1
    return run


def ledger_of(place: Place) -> Ledger:
    path = f"/api/v1/namespaces/{place.namespace}/configmaps/{ledger_name('demo')}"
    return from_config_map(place.kube.get(path))


def censuses(place: Place) -> list[set[str]]:
    """Return the base paths that each census named."""
    return [
        {after for word, after in pairwise(words) if word == "--base"}
        for words in place.probes
        if "census" in words
    ]


def outcome(run: Run) -> tuple[str, int, int, int]:
    return run.state, run.fails, run.clears, run.rows


HEALED = ("success", 1, 1, 0)
"""A run that was stopped once and cleared once, succeeded, and holds no path."""


def test_a_kill_goes_on_to_its_end_when_the_resource_is_deleted_in_its_middle(
    place: Place,
) -> None:
    place.declare()
    driver = live(place)
    run = offloading_run(place)
    place.kill()
    driver.until("no new writer", lambda s: "writersStoppedAt" in s.get("killSwitch", {}))
    place.delete()
    rollout = place.rollout()
    assert rollout is not None
    assert rollout["metadata"]["finalizers"] == [FINALIZER]
    driver.until_gone()
    assert outcome(run) == HEALED
    assert (place.airflow.paused, place.airflow.hazards) == (set(), [])
    assert place.revision().values == VALUES
    kill = ledger_of(place).kill
    assert kill is not None
    assert kill.finished_at is not None


def test_deleted_while_live_it_is_gone_and_another_path_is_held_until_the_way_back_is_taken(
    place: Place,
) -> None:
    place.declare()
    driver = live(place)
    run = offloading_run(place)
    place.delete()
    assert place.rollout() is None
    driver.turns(3)
    assert place.revision().offload == LIVE
    assert place.revision().number == 3

    other = {"type": "ObjectStorage", "objectStorage": {"path": OTHER_PATH}}
    place.declare(backend=other)
    until_reason(driver, "PathChanged")
    driver.turns(5)
    assert place.conditions()["Stalled"] == "True (PathChanged)"
    assert PATH in place.said()
    assert place.revision().number == 3

    place.kill()
    driver.until("a finished kill", finished)
    assert [revision.offload for revision in place.revisions()[3:]] == [READERS, None]
    assert outcome(run) == HEALED

    place.delete()
    driver.until_gone()
    place.declare(backend=other)
    live(place, driver)
    assert place.revision().offload == (OTHER_PATH, str(THRESHOLD))
    place.probes.clear()
    place.kill()
    driver.until("a finished kill", finished)
    assert censuses(place)
    assert all(bases == {PATH, OTHER_PATH} for bases in censuses(place)), censuses(place)
    assert place.airflow.hazards == []


def test_the_values_of_the_flip_applied_after_a_kill_begin_another_one_writers_first(
    place: Place,
) -> None:
    place.declare()
    driver = live(place)
    place.kill()
    driver.until("a finished kill", finished)
    before = place.revision().number

    place.helm("rollback", RELEASE, "3", "--no-hooks")
    for _ in range(2):
        place.tick()
    run = offloading_run(place)
    driver.until("kill 2", lambda s: finished(s) and s["killSwitch"]["attempt"] == 2)
    after = [revision.offload for revision in place.revisions() if revision.number > before]
    assert after == [LIVE, READERS, None], "no bare revert"
    assert outcome(run) == HEALED
    assert (place.airflow.paused, place.airflow.hazards) == (set(), [])
    assert place.revision().values == VALUES
    assert [kill.attempt for kill in ledger_of(place).past_kills] == [1]


def test_a_person_who_stops_offloading_is_left_to_it_and_a_bare_revert_is_undone_by_a_kill(
    place: Place,
) -> None:
    place.declare()
    driver = live(place)
    run = offloading_run(place)
    readers = {"config": {"common.io": {"xcom_objectstorage_threshold": "-1"}}}
    upgrade(place, readers)
    until_reason(driver, "OffloadingStopped")
    driver.turns(10)
    assert place.conditions()["Stalled"] == "True (OffloadingStopped)"
    assert [revision.offload for revision in place.revisions()[2:]] == [LIVE, READERS]

    # What the message names goes on.
    place.helm("rollback", RELEASE, "3", "--no-hooks")
    driver.until("live again", lambda s: s.get("phase") == "Live")
    assert place.revision().number == 5

    place.helm("rollback", RELEASE, "1", "--no-hooks")
    until_reason(driver, "Drifted")
    driver.turns(3)
    assert place.revision().number == 6, "only a kill repairs it"
    place.kill()
    driver.until("a finished kill", finished)
    after = [revision.offload for revision in place.revisions() if revision.number >= 6]
    assert after == [None, READERS, None]
    assert outcome(run) == HEALED
    assert place.airflow.hazards == []


def test_runs_that_airflow_refuses_to_stop_are_named_and_keep_no_other_from_its_end(
    place: Place,
) -> None:
    place.declare()
    driver = live(place)
    names = ("plain", "lost", "forbidden", "teardown")
    runs = {name: offloading_run(place, name, f"of-{name}") for name in names}
    airflow = place.airflow
    airflow.lost.add("lost")
    airflow.forbidden.add("forbidden")
    airflow.teardowns.add("of-teardown")
    place.kill()

    def hurry() -> None:
        """Bring forward the next try of every run."""
        kill = ledger_of(place).kill
        tries = [run.next_try for run in kill.runs if run.next_try] if kill else []
        last = max(tries, default=datetime.now(UTC))
        driver.ahead = max(driver.ahead, last - datetime.now(UTC), timedelta(0))

    def all_named(status: Json) -> bool:
        hurry()
        stalled: Json = next(
            (entry for entry in status.get("conditions", ()) if entry["type"] == "Stalled"), {}
        )
        return runs["plain"].state == "success" and all(
            f"{name}/of-{name} (" in stalled.get("message", "") for name in names[1:]
        )

    driver.until("all three named", all_named)
    assert place.conditions()["Stalled"] == "True (RunsStuck)"
    assert outcome(runs["plain"]) == HEALED
    for name in ("lost", "forbidden"):
        assert outcome(runs[name]) == ("running", 0, 0, 1), "it was not stopped"
    # Airflow accepts the stop of the run with a teardown: it has no error.
    troubled = {run["runId"]: run for run in place.status()["killSwitch"]["troubled"]}
    assert {"of-lost", "of-forbidden"} <= set(troubled)
    for entry in troubled.values():
        assert entry["error"]
        assert entry["tries"] >= 3
        assert "nextTry" in entry
    assert place.revision().offload == READERS, "every process can read their values"

    airflow.lost.clear()
    airflow.forbidden.clear()
    airflow.end_teardown(runs["teardown"])

    def ended(status: Json) -> bool:
        hurry()
        return finished(status)

    driver.until("a finished kill", ended)
    assert outcome(runs["lost"]) == HEALED
    assert outcome(runs["forbidden"]) == HEALED
    state, _, clears, rows = outcome(runs["teardown"])
    assert (state, clears, rows) == ("success", 1, 0)
    assert place.conditions()["Stalled"] == "False (Reverted)"
    assert airflow.hazards == []
    assert "troubled" not in place.status()["killSwitch"]


FLIPPED = {
    "config": {
        "core": {"xcom_backend": OBJECT_STORAGE},
        "common.io": {
            "xcom_objectstorage_path": PATH,
            "xcom_objectstorage_threshold": str(THRESHOLD),
        },
    }
}


def upgrade(place: Place, values: Json) -> None:
    """Change values of the release by Helm, as a person or the version before does."""
    words = ("upgrade", RELEASE, str(place.site.chart), "--reuse-values", "--no-hooks")
    place.helm(*words, "--values", "-", stdin=json.dumps(values))


def test_a_kill_that_the_version_before_began_is_carried_to_its_end(place: Place) -> None:
    upgrade(place, FLIPPED)
    for _ in range(3):
        place.tick()
    stopped = offloading_run(place, "a", "stopped")
    found = offloading_run(place, "b", "found")
    # That version paused, delivered the database backend, and stopped one run after the other.
    place.airflow.paused |= {"a", "b"}
    place.helm("rollback", RELEASE, "1", "--no-hooks")
    for _ in range(3):
        place.tick()
    stopped.state, stopped.fails = "failed", 1
    now = datetime.now(UTC).isoformat()
    database = {"backend": DATABASE, "path": None, "threshold": None, "compression": None}
    first_version = {
        "schema": "xcom-rollout-ledger/v1",
        "ledger": {
            "baseline": {**database, "backend": None},
            "delivered": {"settings": database, "revision": 3, "at": now},
            "kill": {
                "attempt": 1,
                "engaged_at": now,
                "by": "ana",
                "reason": "S3",
                "held_dags": ["a", "b"],
                "released_dags": [],
                "hold_error": "",
                "reverted_at": now,
                "runs": [
                    {
                        "key": {"dag_id": run.dag_id, "run_id": run.run_id},
                        "rows": 1,
                        "stage": stage,
                        "start_date": start,
                        "message": "",
                    }
                    for run, stage, start in (
                        (stopped, "Stopped", stopped.start_date),
                        (found, "Found", None),
                    )
                ],
                "verified": False,
                "finished_at": None,
                "queued_at": None,
            },
        },
    }
    place.kube.create(
        f"/api/v1/namespaces/{place.namespace}/configmaps",
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": ledger_name("demo")},
            "data": {KEY: json.dumps(first_version)},
        },
    )
    place.declare()
    place.kill()
    Driver(place).until("a finished kill", finished)
    assert outcome(stopped) == HEALED
    assert outcome(found) == HEALED
    assert (place.airflow.paused, place.airflow.hazards) == (set(), [])
    assert place.status()["killSwitch"]["attempt"] == 1
    assert [revision.offload for revision in place.revisions()[3:]] == [READERS, None]
    assert place.revision().values == VALUES


def test_a_ledger_that_cannot_be_read_stalls_the_kill_until_it_can_be_read_again(
    place: Place,
) -> None:
    place.declare()
    driver = Driver(place)
    driver.until("a rollout that was seen", lambda status: bool(status))
    path = f"/api/v1/namespaces/{place.namespace}/configmaps/{ledger_name('demo')}"
    good = place.kube.get(path)["data"]
    place.kube.merge(path, {"data": {KEY: "{"}})
    place.kill()
    driver.turns(3)
    assert place.conditions()["Stalled"] == "False (ObserveFailed)"
    driver.ahead += timedelta(minutes=3)
    driver.turns(3)
    assert place.conditions()["Stalled"] == "True (ObserveFailed)"
    rollout = place.rollout()
    assert rollout is not None
    assert state_of(rollout) is KillState.STALLED
    place.kube.merge(path, {"data": {KEY: good[KEY]}})
    driver.until("a kill that is over", lambda status: status.get("phase") == "Reverted")
    assert place.conditions()["Stalled"].startswith("False")


def kill_jobs(place: Place) -> list[str]:
    """Return the kinds of the Jobs that were made for a kill."""
    items = place.kube.list(f"/apis/batch/v1/namespaces/{place.namespace}/jobs")
    return sorted(
        item["metadata"]["labels"][LABEL_KIND]
        for item in items
        if item["metadata"]["annotations"][ANNOTATION_DIGEST].startswith("kill-")
    )


def standby_pods(place: Place) -> list[Json]:
    pods = place.kube.list(f"/api/v1/namespaces/{place.namespace}/pods")
    return [pod for pod in pods if pod["metadata"].get("labels", {}).get(LABEL_KIND) == "standby"]


def test_the_questions_of_a_kill_are_put_to_a_pod_that_waits_and_is_ended_with_it(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "xcom_rollout.controller.reconcile")
    place.declare()
    driver = live(place)
    run = offloading_run(place)
    place.kill()
    driver.until("the end of the kill", finished)
    assert outcome(run) == HEALED
    # Copying values back may take minutes, and is a Job's; the first count waits for no pod.
    assert set(kill_jobs(place)) - {"census"} == {"rehydrate", "standby"}
    assert kill_jobs(place).count("census") <= 1
    assert any("forget" in words for words in place.probes)
    assert len(censuses(place)) >= 3
    driver.turns(2)
    assert standby_pods(place) == []
    # A pod takes its grace period to end, and need not be told again all that time.
    told = [entry for entry in caplog.records if getattr(entry, "action", "") == "EndStandby"]
    assert len(told) == 1


def test_where_the_pod_that_waits_is_gone_jobs_are_sent(place: Place) -> None:
    place.declare()
    driver = live(place)
    run = offloading_run(place)
    place.kill()
    while not standby_pods(place):
        driver.turns(1)
    for pod in standby_pods(place):
        place.kube.delete(f"/api/v1/namespaces/{place.namespace}/pods/{pod['metadata']['name']}")
    driver.until("the end of the kill", finished)
    assert outcome(run) == HEALED
    assert {"census", "empty", "standby"} <= set(kill_jobs(place))
    assert kill_jobs(place).count("standby") == 1


def events(place: Place, reason: str) -> list[str]:
    found = place.kube.list(f"/api/v1/namespaces/{place.namespace}/events")
    return [event["message"] for event in found if event["reason"] == reason]


def test_the_second_operator_writes_nothing_and_goes_on_where_the_first_has_ended(
    place: Place,
) -> None:
    place.declare()
    first = Driver(place, identity="first", cached=True)
    second = Driver(place, identity="second", cached=True)
    first.turns(1)
    for _ in range(3):
        second.turns(1)
        first.turns(1)
    first.until("Live", is_live)
    assert second.writes == []
    (told,) = events(place, "StandingBy")
    assert "first holds the Lease 'xcom-rollout'" in told

    run = offloading_run(place)
    place.kill()
    first.turns(3)
    second.turns(3)
    assert second.writes == []
    first.exit()
    second.until("the end of the kill", finished)
    assert outcome(run) == HEALED
    assert any("leases" in write for write in second.writes)


def test_what_a_first_one_began_and_cannot_write_any_more_is_not_written_by_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that slept through its time, on a node that was cut off."""
    place.declare()
    slept = Driver(place, identity="slept")
    slept.until("Live", is_live)
    sent = len(slept.writes)
    monkeypatch.setattr("xcom_rollout.controller.lease.RENEWAL", timedelta(0))
    place.kube.merge(
        f"/apis/coordination.k8s.io/v1/namespaces/{place.namespace}/leases/xcom-rollout",
        {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}},
    )
    place.kill()
    awake = Driver(place, identity="awake")
    awake.turns(2)
    assert awake.writes
    slept.turns(3)
    assert slept.writes[sent:] == []
    awake.until("the end of the kill", finished)
