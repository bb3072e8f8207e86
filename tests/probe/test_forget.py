"""`forget` deletes the rows of given runs that hold a path, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness.paths import REPO
from probe_world import BUCKET, CONN_ID, ObjectStore, Pod, Postgres, free_port
from table_world import Place

pytestmark = pytest.mark.airflow

BASE = f"s3://{CONN_ID}@{BUCKET}/forget_%me"
OLDER = f"s3://{CONN_ID}@{BUCKET}/older"
LARGE = "x" * 2000
SETTINGS = {
    "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": BASE,
    "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "1000",
}
VALUES: list[list[Any]] = [
    ["t", -1, "k", LARGE],
    ["t", -1, "older", f"{OLDER}/done/r/t/uuid"],
    ["mapped", 0, "k", LARGE],
    ["mapped", 1, "k", LARGE],
    ["t", -1, "small", "small"],
    ["t", -1, "quoted", [f"{BASE}/done/r/t/uuid"]],
    ["t", -1, "neighbour", BASE.replace("_", "A") + "/done/r/t/uuid"],
    ["t", -1, "none", None],
]
INLINE = ["neighbour", "none", "quoted", "small"]
RUNS: list[dict[str, Any]] = [
    {"dag": "done", "run": "r", "state": "success", "values": VALUES},
    {"dag": "done", "run": "bad ü", "state": "failed", "values": VALUES},
    {"dag": "done", "run": "another", "state": "success", "values": VALUES},
    {"dag": "done", "run": "cleared", "state": "success", "values": VALUES},
    {"dag": "live", "run": "running", "state": "running", "values": VALUES},
    {"dag": "live", "run": "queued", "state": "queued", "values": VALUES},
]
# What a clear does to a run.
CLEAR = "UPDATE dag_run SET state = 'queued' WHERE dag_id = 'done' AND run_id = 'cleared'"
BASES = ("--base", BASE, "--base", OLDER)


@pytest.fixture(scope="module")
def runs(place: Place, store: ObjectStore) -> Iterator[None]:
    """The runs above, written by Airflow with the object storage backend."""
    place.seed(RUNS, SETTINGS)
    yield
    place.remove(RUNS)
    for key in store.all_keys():
        store.client().delete_object(Bucket=BUCKET, Key=key)


def _file(tmp_path: Path, *runs: tuple[str, str]) -> tuple[str, str]:
    file = tmp_path / "runs.json"
    file.write_text(json.dumps([{"dagId": dag, "runId": run} for dag, run in runs]))
    return "--runs-file", str(file)


def _keys(place: Place, dag: str, run: str) -> list[str]:
    key = '"key"' if place.kind == "postgresql" else "`key`"
    statement = f"SELECT {key} FROM xcom WHERE dag_id = %s AND run_id = %s"  # noqa: S608
    return sorted(row[0] for row in place.execute(statement, dag, run))


@pytest.mark.every_airflow
@pytest.mark.usefixtures("runs")
class TestForget:
    """On one table."""

    def test_deletes_exactly_the_rows_with_a_path_of_the_runs_given(
        self, place: Place, tmp_path: Path, store: ObjectStore
    ) -> None:
        objects = store.all_keys()
        everything = sorted(value[2] for value in VALUES)
        given = _file(tmp_path, ("done", "r"), ("done", "bad ü"), ("live", "running"), ("no", "r"))
        answer = place.pod.probe("forget", *BASES, *given)
        assert answer.result["runs"] == [
            _forgotten("done", "bad ü", "failed", 4),
            _forgotten("done", "r", "success", 4),
            _forgotten("live", "running", "running", 0, left=4, skipped="in flight: running"),
            _forgotten("no", "r", None, 0),
        ]
        assert answer.result["counts"] == {"runs": 4, "rows": 8, "left": 4, "skipped": 1}
        assert answer.code == 1
        assert answer.failing() == {"rows-forgotten"}
        assert _keys(place, "done", "r") == _keys(place, "done", "bad ü") == INLINE
        for dag, run in (("done", "another"), ("live", "running"), ("live", "queued")):
            assert _keys(place, dag, run) == everything
        assert store.all_keys() == objects
        schema = json.loads((REPO / "docs/reference/probe-result.schema.json").read_text())
        jsonschema.validate(answer.result, schema)

        again = place.pod.probe("forget", *BASES, *_file(tmp_path, ("done", "r")))
        assert again.result["runs"] == [_forgotten("done", "r", "success", 0)]
        assert again.code == 0

    def test_a_dry_run_says_what_would_be_and_deletes_nothing(
        self, place: Place, tmp_path: Path
    ) -> None:
        given = _file(tmp_path, ("done", "another"), ("live", "queued"))
        answer = place.as_reader().probe("forget", "--base", BASE, *given, "--dry-run")
        assert answer.result["dryRun"]
        assert answer.result["runs"] == [
            _forgotten("done", "another", "success", 3),
            _forgotten("live", "queued", "queued", 0, left=3, skipped="in flight: queued"),
        ]
        assert len(_keys(place, "done", "another")) == len(VALUES)

    def test_a_run_that_is_cleared_meanwhile_keeps_its_rows(
        self, place: Place, tmp_path: Path
    ) -> None:
        given = _file(tmp_path, ("done", "cleared"))
        with place.in_transaction(CLEAR):
            answer = place.pod.probe("forget", *BASES, *given)
        assert answer.result["runs"] == [
            _forgotten("done", "cleared", "queued", 0, left=4, skipped="in flight: queued")
        ]
        assert len(_keys(place, "done", "cleared")) == len(VALUES)


def test_a_run_that_stays_locked_is_an_error_after_ten_seconds(
    pod: Pod, database: Postgres, tmp_path: Path
) -> None:
    place = Place("postgresql", pod, database)
    runs = [{"dag": "locked", "run": "r", "state": "success", "values": [["t", -1, "k", "small"]]}]
    place.seed(runs, SETTINGS)
    try:
        clear = "UPDATE dag_run SET state = 'queued' WHERE dag_id = 'locked'"
        with place.in_transaction(clear, until_awaited=False):
            answer = pod.probe("forget", "--base", BASE, *_file(tmp_path, ("locked", "r")))
        assert answer.code == 3
        assert answer.result["seconds"] >= 10
        assert "lock timeout" in answer.checks("error")["look"]["observed"]
        assert answer.result["counts"] == {"runs": 0, "rows": 0, "left": 0, "skipped": 0}
    finally:
        place.remove(runs)


def test_a_database_out_of_reach_is_no_answer(pod: Pod, tmp_path: Path) -> None:
    url = Postgres(free_port()).url()
    answer = pod.with_env({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url}).probe(
        "forget", "--base", BASE, *_file(tmp_path, ("done", "r"))
    )
    assert answer.code == 3
    assert set(answer.checks("error")) == {"look"}
    assert "runs" not in answer.result


def _forgotten(
    dag: str, run: str, state: str | None, rows: int, left: int = 0, skipped: str | None = None
) -> dict[str, Any]:
    return {
        "dagId": dag,
        "runId": run,
        "state": state,
        "rows": rows,
        "left": left,
        "skipped": skipped,
    }
