"""The census is exact: runs in flight with offloaded rows, and no others."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness.paths import REPO
from probe_world import (
    BUCKET,
    CONN_ID,
    Environment,
    ObjectStore,
    Pod,
    Postgres,
    connection,
    free_port,
)
from table_world import Place
from xcom_probe.table import mysql
from xcom_probe.table.paths import parameters

pytestmark = pytest.mark.airflow

# Wildcards of LIKE in the prefix, and a neighbour that only a wildcard would match.
BASE = f"s3://{CONN_ID}@{BUCKET}/x_com%data"
NEIGHBOUR = f"s3://{CONN_ID}@{BUCKET}/xAcomBBdata"
THRESHOLD = "1000"
LARGE = "x" * 2000
RUN_ID = "manual__2026-01-01T00:00:00+00:00"

LOOK_ALIKES: list[Any] = [
    f"see {BASE}/dag/run/task/uuid for more",
    [f"{BASE}/dag/run/task/uuid"],
    {"path": f"{BASE}/dag/run/task/uuid"},
    BASE,
    BASE + "/",
    BASE + "-2/dag/run/task/uuid",
    NEIGHBOUR + "/dag/run/task/uuid",
    BASE.replace(f"{CONN_ID}@", "") + "/dag/run/task/uuid",
    BASE.upper() + "/dag/run/task/uuid",
    None,
    "",
]

RUNS: list[dict[str, Any]] = [
    {
        "dag": "two_tasks",
        "run": RUN_ID,
        "state": "running",
        "values": [
            ["produce", -1, "return_value", LARGE],
            ["produce", -1, "second", LARGE],
            ["small", -1, "return_value", "small"],
            ["mapped", 0, "return_value", LARGE],
            ["mapped", 1, "return_value", LARGE],
        ],
    },
    {"dag": "two_tasks", "run": "waiting", "state": "queued", "values": [["t", -1, "k", LARGE]]},
    {"dag": "δοκιμή", "run": "ünïcode", "state": "running", "values": [["tâche", -1, "k", LARGE]]},
    {"dag": "done", "run": "ok", "state": "success", "values": [["t", -1, "k", LARGE]]},
    {"dag": "done", "run": "bad", "state": "failed", "values": [["t", -1, "k", LARGE]]},
    {"dag": "inline", "run": "only", "state": "running", "values": [["t", -1, "k", "small"]]},
    {"dag": "empty", "run": "nothing", "state": "running", "values": []},
    {
        "dag": "alike",
        "run": "strings",
        "state": "running",
        "values": [["t", -1, str(n), value] for n, value in enumerate(LOOK_ALIKES)],
    },
]
SETTINGS = {
    "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": BASE,
    "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": THRESHOLD,
}


@pytest.fixture(scope="module")
def runs(place: Place, store: ObjectStore) -> Iterator[None]:
    """The runs above, written by Airflow with the object storage backend."""
    place.seed(RUNS, SETTINGS)
    assert len(store.all_keys()) == 8
    yield
    place.remove(RUNS)
    for key in store.all_keys():
        store.client().delete_object(Bucket=BUCKET, Key=key)


@pytest.mark.every_airflow
@pytest.mark.usefixtures("runs")
class TestCensus:
    """On one table."""

    def test_counts_runs_in_flight_with_offloaded_rows_and_no_others(self, place: Place) -> None:
        answer = place.pod.probe("census", "--base", BASE)
        assert answer.code == 0
        assert [
            (run["dagId"], run["runId"], run["state"], run["rows"], run["tasks"])
            for run in answer.result["runs"]
        ] == [
            ("two_tasks", RUN_ID, "running", 4, ["mapped", "produce"]),
            ("two_tasks", "waiting", "queued", 1, ["t"]),
            ("δοκιμή", "ünïcode", "running", 1, ["tâche"]),
        ]
        counts = {"runs": 3, "runsWithRows": 3, "rows": 6, "inFlight": 6}
        assert answer.result["counts"] == counts
        assert answer.failing() == set()

    def test_times_are_those_of_the_database(self, place: Place) -> None:
        result = place.pod.probe("census", "--base", BASE + "/").result
        now = datetime.fromisoformat(result["databaseTime"])
        assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
        started = {run["runId"]: run["startDate"] for run in result["runs"]}
        assert started["waiting"] is None
        assert now - timedelta(minutes=5) < datetime.fromisoformat(started[RUN_ID]) <= now

    def test_result_follows_the_published_schema(self, place: Place) -> None:
        schema = json.loads((REPO / "docs/reference/probe-result.schema.json").read_text())
        jsonschema.validate(place.pod.probe("census", "--base", BASE).result, schema)

    def test_given_runs_are_looked_at_in_any_state(self, place: Place, tmp_path: Path) -> None:
        asked = [("two_tasks", RUN_ID), ("done", "ok"), ("inline", "only"), ("gone", "long ago")]
        file = tmp_path / "runs.json"
        file.write_text(json.dumps([{"dagId": dag, "runId": run} for dag, run in asked]))
        answer = place.pod.probe("census", "--base", BASE, "--runs-file", str(file))
        assert answer.code == 0
        assert [
            (run["dagId"], run["state"], run["runType"], run["rows"], run["tasks"])
            for run in answer.result["runs"]
        ] == [
            ("done", "success", "manual", 1, ["t"]),
            ("gone", None, None, 0, []),
            ("inline", "running", "manual", 0, []),
            ("two_tasks", "running", "manual", 4, ["mapped", "produce"]),
        ]

    def test_list_of_more_runs_than_one_statement_takes(self, place: Place, tmp_path: Path) -> None:
        asked = [{"dagId": "nobody", "runId": f"run {n}"} for n in range(1200)]
        asked.append({"dagId": "two_tasks", "runId": RUN_ID})
        file = tmp_path / "runs.json.gz"
        file.write_bytes(gzip.compress(json.dumps(asked).encode()))
        counts = place.pod.probe("census", "--base", BASE, "--runs-file", str(file)).result[
            "counts"
        ]
        assert (counts["runs"], counts["runsWithRows"], counts["rows"]) == (1201, 1, 4)

    def test_another_base_sees_nothing_of_this_one(self, place: Place) -> None:
        assert place.pod.probe("census", "--base", BASE + "/two").result["runs"] == []

    def test_rows_below_any_of_several_bases_count(self, place: Place) -> None:
        older = f"s3://{CONN_ID}@{BUCKET}/older"
        path = f"{older}/moved/r/t/7cbbbd4f-5b5c-4d5c-8d6a-0e4f0e9f0c11"
        values = [["t", -1, "old", path], ["t", -1, "new", LARGE], ["t", -1, "small", "small"]]
        runs = [
            {"dag": "moved", "run": "r", "state": "running", "type": "backfill", "values": values},
            {"dag": "moved", "run": "done", "state": "success", "values": values},
        ]
        place.seed(runs, SETTINGS)
        try:
            bases = ("--base", BASE, "--base", older, "--base", BASE + "/moved")
            result = place.pod.probe("census", *bases, "--finished").result
            moved = [run for run in result["runs"] if run["dagId"] == "moved"]
            assert [(run["rows"], run["tasks"], run["runType"]) for run in moved] == [
                (2, ["t"], "backfill")
            ]
            assert result["counts"]["rows"] == 8
            assert result["finished"] == {
                "runs": 3,
                "rows": 4,
                "dags": [
                    {"dagId": "done", "runs": 2, "rows": 2},
                    {"dagId": "moved", "runs": 1, "rows": 2},
                ],
                "more": 0,
            }
            alone = place.pod.probe("census", "--base", older).result
            assert [(run["dagId"], run["rows"]) for run in alone["runs"]] == [("moved", 1)]
        finally:
            place.remove(runs)

    def test_needs_no_more_than_the_right_to_read(self, place: Place) -> None:
        answer = place.as_reader().probe("census", "--base", BASE)
        assert answer.code == 0
        assert answer.result["counts"]["rows"] == 6

    def test_pickled_rows_are_a_warning(self, place: Place) -> None:
        if place.is_3:
            pytest.skip("Airflow 3 pickles nothing")
        pickled = b"\x80\x04\x8c\x01a\x94."
        update = "UPDATE xcom SET value = %s WHERE dag_id = 'inline'"
        place.execute(update, pickled)
        answer = place.pod.probe("census", "--base", BASE)
        place.execute(update, b'"small"')
        assert set(answer.checks("warn")) == {"rows-readable"}
        assert answer.code == 0

    def test_mysql_goes_from_runs_to_rows_by_the_primary_key(self, place: Place) -> None:
        if place.kind != "mysql":
            pytest.skip("test_census_plan.py is about PostgreSQL")
        statement = mysql.STATEMENTS[("mysql", "json" if place.is_3 else "longblob")].in_flight
        given = parameters(BASE, place.is_3)
        values = [given[name] for name in re.findall(r":([a-z]+)", statement)]
        asked = re.sub(r":[a-z]+", "%s", statement)
        ((plan,),) = place.execute(f"EXPLAIN FORMAT=TREE {asked}", *values)
        assert "Index lookup on xcom using PRIMARY (dag_run_id" in plan
        assert "Table scan on xcom" not in plan

    def test_address_is_asked_of_airflow_where_only_airflow_knows(self, place: Place) -> None:
        url = place.pod.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        changed = place.pod.with_env(
            {
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": None,
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD": f"echo -n {url}",
            }
        )
        answer = changed.probe("census", "--base", BASE)
        assert answer.result["counts"]["rows"] == 6
        assert "Airflow's settings" in answer.checks()["database-reachable"]["observed"]

    def test_address_in_the_file(self, place: Place, tmp_path: Path) -> None:
        cfg = tmp_path / "airflow.cfg"
        url = place.pod.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        cfg.write_text(f"[database]\nsql_alchemy_conn = {url}\n")
        changed = place.pod.with_env(
            {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": None, "AIRFLOW_CONFIG": str(cfg)}
        )
        answer = changed.probe("census", "--base", BASE)
        assert answer.result["counts"]["rows"] == 6
        assert f"file:{cfg}" in answer.checks()["database-reachable"]["observed"]


TRIGGER = "trigger_run_id"


def _parent(run: str, child: str, **more: Any) -> dict[str, Any]:
    """A run whose task `trigger` says that it triggered the run `child` of the DAG `child`."""
    return {
        "dag": "parent",
        "run": run,
        "state": "running",
        "values": [["trigger", -1, TRIGGER, child]],
        "tasks": {"trigger": {"state": "running"}},
        "rendered": {"trigger": {"trigger_dag_id": "child", "conf": {"a": "b"}}},
        **more,
    }


@pytest.mark.every_airflow
def test_runs_that_others_wait_for_are_named_with_who_waits(
    place: Place, store: ObjectStore
) -> None:
    offloaded = [["t", -1, "k", LARGE]]
    resumes = {"state": "queued", "next_method": "execute_complete"}
    runs = [
        {"dag": "child", "run": "r1", "state": "running", "values": offloaded},
        {"dag": "child", "run": "r2", "state": "running", "values": offloaded},
        {"dag": "other", "run": "r1", "state": "running", "values": offloaded},
        _parent("waits", "r1"),
        _parent("deferred", "r1", tasks={"trigger": {"state": "deferred"}}),
        _parent("resumes", "r1", tasks={"trigger": resumes}),
        _parent("went on", "r1", tasks={"trigger": {"state": "success"}}),
        _parent("starts again", "r1", tasks={"trigger": {"state": "queued"}}),
        _parent("finished", "r1", state="failed"),
        _parent("of nobody", "r3"),
        _parent("not rendered", "r1", rendered={}),
        # The run id itself was offloaded: the row holds a path.
        _parent("path", f"{BASE}/parent/path/trigger/uuid"),
    ]
    place.seed(runs, SETTINGS)
    try:
        result = place.pod.probe("census", "--base", BASE).result
        waited = {
            (run["dagId"], run["runId"]): [
                (waiter["dagId"], waiter["runId"], waiter["taskId"])
                for waiter in run["waitedForBy"]
            ]
            for run in result["runs"]
            if run["dagId"] in ("child", "other")
        }
        assert waited == {
            ("child", "r1"): [
                ("parent", run, "trigger")
                for run in ("deferred", "not rendered", "path", "resumes", "waits")
            ],
            ("child", "r2"): [("parent", "path", "trigger")],
            ("other", "r1"): [("parent", "not rendered", "trigger")],
        }
        schema = json.loads((REPO / "docs/reference/probe-result.schema.json").read_text())
        jsonschema.validate(result, schema)
    finally:
        place.remove(runs)
        for key in store.all_keys():
            if "/child/" in key or "/other/" in key or "/parent/" in key:
                store.client().delete_object(Bucket=BUCKET, Key=key)


@pytest.mark.usefixtures("runs")
def test_a_process_that_waits_sees_what_one_of_its_own_sees(place: Place) -> None:
    with place.pod.waiting() as ask:
        waited = [ask("census", "--base", BASE) for _ in range(2)]
    cold = place.pod.probe("census", "--base", BASE)
    for answer in waited:
        assert answer.code == cold.code
        assert answer.result["runs"] == cold.result["runs"]
        assert answer.result["facts"]["airflow"] == cold.result["facts"]["airflow"]


def test_the_key_is_the_one_that_the_operator_writes(airflow: Environment) -> None:
    """Of the Airflow here; on 3 the Task SDK writes it in the operator's name."""
    module = "airflow.providers.standard" if airflow.is_3 else "airflow"
    (name,) = re.findall(
        r'^XCOM_RUN_ID = "(.*)"$',
        next(airflow.venv.glob(f"lib/*/site-packages/{module.replace('.', '/')}"))
        .joinpath("operators/trigger_dagrun.py")
        .read_text(),
        re.MULTILINE,
    )
    assert name == TRIGGER


VERIFIED = f"s3://{CONN_ID}@{BUCKET}/verified"
COPIED = f"{VERIFIED}/two_tasks/another run/produce/7cbbbd4f-5b5c-4d5c-8d6a-0e4f0e9f0c11"
COMPRESSED = {
    **SETTINGS,
    "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": VERIFIED,
    "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION": "gzip",
}


def _verified_keys(store: ObjectStore) -> list[str]:
    return [key for key in store.all_keys() if key.startswith("verified/")]


@pytest.mark.every_airflow
def test_a_string_that_only_looks_like_a_path_is_told_by_the_store(
    place: Place, store: ObjectStore
) -> None:
    values = [["t", index, f"k{index}", LARGE] for index in range(3)]
    runs = [
        {"dag": "verified", "run": "mixed", "state": "running", "values": values},
        {"dag": "verified", "run": "alike", "state": "running", "values": [["t", -1, "k", COPIED]]},
        {"dag": "verified", "run": "done", "state": "success", "values": values},
    ]
    place.seed(runs, COMPRESSED)
    try:
        assert all(key.endswith(".gz") for key in _verified_keys(store))
        mixed = [key for key in _verified_keys(store) if "/mixed/" in key]
        assert len(mixed) == 3
        store.client().delete_object(Bucket=BUCKET, Key=mixed[0])
        plain = place.pod.probe("census", "--base", VERIFIED).result
        answer = place.pod.probe("census", "--base", VERIFIED, "--verify-objects", "--finished")
        result = answer.result
        assert plain["counts"]["rows"] == 4
        # Its object is gone, but the row was written for it: on the safe side it counts.
        assert [(run["runId"], run["rows"]) for run in result["runs"]] == [("mixed", 3)]
        assert result["verified"] == {
            "rows": 4,
            "lookAlikes": 1,
            "missingObjects": 1,
            "unknown": 0,
        }
        assert [item["runId"] for item in result["lookAlikes"]] == ["alike"]
        assert [item["runId"] for item in result["missingObjects"]] == ["mixed"]
        assert set(answer.checks("warn")) == {"objects-there"}
        assert result["finished"] == {
            "runs": 1,
            "rows": 3,
            "dags": [{"dagId": "verified", "runs": 1, "rows": 3}],
            "more": 0,
        }
        schema = json.loads((REPO / "docs/reference/probe-result.schema.json").read_text())
        jsonschema.validate(result, schema)
    finally:
        place.remove(runs)
        for key in _verified_keys(store):
            store.client().delete_object(Bucket=BUCKET, Key=key)


def test_a_store_out_of_reach_counts_every_path(place: Place) -> None:
    runs = [{"dag": "v", "run": "r", "state": "running", "values": [["t", -1, "k", COPIED]]}]
    place.seed(runs, SETTINGS)
    try:
        nobody = connection(f"http://127.0.0.1:{free_port()}")
        pod = place.pod.with_env({f"AIRFLOW_CONN_{CONN_ID.upper()}": nobody})
        answer = pod.probe("census", "--base", VERIFIED, "--verify-objects")
        assert answer.code == 0
        assert answer.result["counts"]["rows"] == 1
        assert set(answer.checks("warn")) == {"objects-there"}
    finally:
        place.remove(runs)


@pytest.mark.parametrize("cause", ["nobody listens", "wrong password"])
def test_a_database_out_of_reach_is_no_answer(pod: Pod, database: Postgres, cause: str) -> None:
    port = database.port if cause == "wrong password" else free_port()
    url = Postgres(port).url(password="not-the-secret")
    answer = pod.with_env({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url}).probe(
        "census", "--base", BASE
    )
    assert answer.code == 3
    assert answer.result["verdict"] == "error"
    assert set(answer.checks("error")) == {"look"}
    assert "runs" not in answer.result
    assert "not-the-secret" not in answer.stdout + answer.stderr


def test_wrong_arguments_are_named(pod: Pod, tmp_path: Path) -> None:
    no_url = pod.probe("census", "--base", "bucket/xcom")
    assert (no_url.code, no_url.stdout) == (2, "")
    assert "'bucket/xcom'" in no_url.stderr

    file = tmp_path / "runs.json"
    file.write_text('[{"dagId": "a", "runId": "b"}, {"dagId": "a"}]')
    no_run = pod.probe("census", "--base", BASE, "--runs-file", str(file))
    assert no_run.code == 2
    assert "item 1" in no_run.stderr
