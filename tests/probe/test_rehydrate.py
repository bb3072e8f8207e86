"""`rehydrate`: Airflow's own class reads from the row what the backend read from the object."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness.paths import REPO
from probe_world import BUCKET, CONN_ID, Answer, ObjectStore, Pod, Postgres, connection, free_port
from table_world import Place

pytestmark = pytest.mark.airflow

PREFIX = "rehydrate_me"
BASE = f"s3://{CONN_ID}@{BUCKET}/{PREFIX}"
SETTINGS: dict[str, str | None] = {
    "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": BASE,
    "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "0",
    "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION": "gzip",
}


def _python(expression: str) -> dict[str, str]:
    return {"python": expression}


VALUES: dict[str, Any] = {
    "text": "é\u2028🚀 " + "x" * 3000,
    "none": None,
    "numbers": [0, -1, 1.5, 2**53, 1e-7, True],
    "nested": {"b": {"a": [1, {"c": None}]}, "a": "", "key with \" and '": "\\"},
    "tuple": _python("(1, (2, 3))"),
    "tuples inside": _python('{"pair": (1, 2)}'),
    "set": _python("{1, 2}"),
    "datetime": _python(
        "{'at': datetime.datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=datetime.timezone.utc)}"
    ),
    "date": _python("[datetime.date(2026, 1, 31), datetime.timedelta(days=1, microseconds=3)]"),
    "decimal": _python("__import__('decimal').Decimal('1.10')"),
    "numpy": _python("__import__('numpy').float64(2.5)"),
    "numpy inside": _python("{'n': __import__('numpy').float64(2.5)}"),
    "frame": _python("__import__('pandas').DataFrame({'a': [1, 2], 'b': ['x', 'y']})"),
}


# Which these Airflows need to push a frame.
NO_PYARROW = ("2.10.5", "3.1.8")
UNFIT: dict[str, Any] = {
    "missing": 1,
    "corrupt": 2,
    "empty": 3,
    "not JSON": 4,
    "path": f"{BASE}/dag/run/task/uuid",
    # These two on some versions only.
    "not a number": _python("[float('nan')]"),
    "JSON": '{"a": 1}',
}


@pytest.fixture(autouse=True)
def objects(store: ObjectStore) -> Iterator[None]:
    """No object outlives a test."""
    yield
    for key in store.all_keys():
        store.client().delete_object(Bucket=BUCKET, Key=key)


def _runs(values: dict[str, Any], state: str = "running") -> list[dict[str, Any]]:
    rows = [["t", -1, key, value] for key, value in values.items()]
    return [{"dag": "filled", "run": "r ü", "state": state, "values": rows}]


def _file(tmp_path: Path, *runs: tuple[str, str]) -> tuple[str, str]:
    file = tmp_path / "runs.json"
    file.write_text(json.dumps([{"dagId": dag, "runId": run} for dag, run in runs]))
    return "--runs-file", str(file)


def _why(answer: Answer) -> dict[str, str]:
    return {row["key"]: row["why"] for row in answer.result["failed"]}


def _counts(copied: int, size: int, failed: int, changed: int, remaining: int) -> dict[str, int]:
    return {
        "copied": copied,
        "bytes": size,
        "failed": failed,
        "changed": changed,
        "remaining": remaining,
    }


@pytest.mark.every_airflow
def test_own_class_reads_what_the_backend_read_and_what_cannot_be_copied_is_named(
    place: Place, tmp_path: Path, store: ObjectStore
) -> None:
    values = {**VALUES, **UNFIT}
    if place.pod.version in NO_PYARROW:
        del values["frame"]
    runs = _runs(values, state="failed")
    place.seed(runs, SETTINGS)
    try:
        keys = store.all_keys()
        paths = _paths(place)
        before = place.read("filled", "r ü", SETTINGS)["backend"]
        contents = {key: _content(store, _key(path)) for key, path in paths.items()}
        _damage(store, paths)
        given = ("--base", BASE, *_file(tmp_path, ("filled", "r ü"), ("not", "there")))
        pod = place.pod.with_env(SETTINGS)
        answer = pod.probe("rehydrate", *given)
        why = _why(answer)
        copied = set(values) - set(why)
        after = place.read("filled", "r ü", SETTINGS)
        # Those of running tasks that still load the object storage backend read the same.
        for reader in ("own", "backend"):
            assert {key: after[reader][key] for key in copied} == {
                key: before[key] for key in copied
            }
        assert answer.result["counts"] == _counts(
            len(copied), sum(len(contents[key]) for key in copied), len(why), 0, 0
        )
        assert answer.result["runs"] == [
            {"dagId": "filled", "runId": "r ü", "left": len(why)},
            {"dagId": "not", "runId": "there", "left": 0},
        ]
        assert answer.code == 1
        assert answer.failing() == {"rows-rehydrated"}
        schema = json.loads((REPO / "docs/reference/probe-result.schema.json").read_text())
        jsonschema.validate(answer.result, schema)
        _check_reasons(why, place)
        # The others are as they were, objects included.
        assert {key for key, path in _paths(place).items() if path == paths[key]} == set(why)
        assert set(store.all_keys()) == set(keys) - {_key(paths["missing"])}
        if not place.is_3:
            stored = place.execute("SELECT value FROM xcom WHERE dag_id = 'filled'")
            assert {contents[key] for key in copied} <= {bytes(row[0]) for row in stored}
        if "JSON" in why:
            accepted = pod.probe("rehydrate", *given, "--accept-drift", "json-strings")
            assert accepted.result["counts"]["copied"] == 1
            assert place.read("filled", "r ü", SETTINGS)["own"]["JSON"] == before["JSON"]
    finally:
        place.remove(runs)


def _damage(store: ObjectStore, paths: dict[str, Any]) -> None:
    client = store.client()
    client.delete_object(Bucket=BUCKET, Key=_key(paths["missing"]))
    for name, content in (
        ("corrupt", b"\x1f\x8b\x08\x00 cut"),
        ("empty", gzip.compress(b"")),
        ("not JSON", gzip.compress(b'{"a": ')),
    ):
        client.put_object(Bucket=BUCKET, Key=_key(paths[name]), Body=content)


def _check_reasons(why: dict[str, str], place: Place) -> None:
    assert why["missing"] == "the object does not exist"
    assert "corrupt" in why["corrupt"]
    assert "empty" in why["empty"]
    assert "not JSON" in why["not JSON"]
    assert "below a base path" in why["path"]
    # Airflow 3 keeps JSON, which has no NaN; 2.11's common-io decodes strings twice.
    assert ("not a number" in why) == place.is_3
    assert ("JSON" in why) == (place.pod.version == "2.11.2")


@pytest.fixture
def postgresql(pod: Pod, database: Postgres) -> Place:
    """One kind of database, for what does not depend on it."""
    return Place("postgresql", pod, database)


def test_finished_runs_are_filled_bit_by_bit_when_time_is_short(postgresql: Place) -> None:
    values = [["t", index, "k", {"n": index}] for index in range(20)]
    runs = [
        {"dag": "filled", "run": "done", "state": "success", "values": values},
        {"dag": "filled", "run": "bad", "state": "failed", "values": values},
        {"dag": "filled", "run": "live", "state": "running", "values": values},
    ]
    postgresql.seed(runs, SETTINGS)
    try:
        pod = postgresql.pod.with_env(SETTINGS)
        # Over before Airflow is imported: one step is done all the same.
        given = ("rehydrate", "--base", BASE, "--finished")
        short = pod.probe(*given, "--limit-seconds", "1", "--batch", "5")
        assert short.code == 0
        assert short.result["counts"]["copied"] == 5
        assert short.result["counts"]["remaining"] == 35
        assert set(short.checks("warn")) == {"rows-rehydrated"}
        rest = pod.probe(*given, "--batch", "7")
        assert (rest.result["counts"]["copied"], rest.result["counts"]["remaining"]) == (35, 0)
        assert pod.probe(*given).result["counts"] == _counts(0, 0, 0, 0, 0)
        assert len(_paths_of(postgresql, "live")) == 20
        assert _paths_of(postgresql, "done") == _paths_of(postgresql, "bad") == []
        every = pod.probe("rehydrate", "--base", BASE, "--all")
        assert every.result["counts"]["copied"] == 20
        assert _paths_of(postgresql, "live") == []
    finally:
        postgresql.remove(runs)


def test_a_row_that_is_written_again_meanwhile_keeps_the_new_value(
    postgresql: Place, tmp_path: Path
) -> None:
    runs = _runs({"again": 1, "quiet": 2})
    postgresql.seed(runs, SETTINGS)
    try:
        update = "UPDATE xcom SET value = '\"new\"'::bytea WHERE key = 'again'"
        with postgresql.in_transaction(update):
            given = _file(tmp_path, ("filled", "r ü"))
            answer = postgresql.pod.with_env(SETTINGS).probe("rehydrate", "--base", BASE, *given)
        assert answer.result["counts"] == _counts(1, 1, 0, 1, 0)
        assert answer.code == 0
        stored = postgresql.execute("SELECT key, value FROM xcom WHERE dag_id = 'filled'")
        assert {key: bytes(value) for key, value in stored} == {"again": b'"new"', "quiet": b"2"}
    finally:
        postgresql.remove(runs)


def test_a_store_out_of_reach_is_no_answer(postgresql: Place, tmp_path: Path) -> None:
    runs = _runs({"a": 1})
    postgresql.seed(runs, SETTINGS)
    try:
        nobody = connection(f"http://127.0.0.1:{free_port()}")
        pod = postgresql.pod.with_env({**SETTINGS, f"AIRFLOW_CONN_{CONN_ID.upper()}": nobody})
        answer = pod.probe("rehydrate", "--base", BASE, *_file(tmp_path, ("filled", "r ü")))
        assert answer.code == 3
        assert set(answer.checks("error")) == {"look"}
        assert answer.result["counts"] == _counts(0, 0, 1, 0, 0)
    finally:
        postgresql.remove(runs)


def test_a_database_out_of_reach_is_no_answer(pod: Pod, tmp_path: Path) -> None:
    url = Postgres(free_port()).url()
    broken = pod.with_env({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url})
    for runs in (_file(tmp_path, ("filled", "r ü")), ("--finished",)):
        answer = broken.probe("rehydrate", "--base", BASE, *runs)
        assert answer.code == 3
        assert set(answer.checks("error")) == {"look"}
        assert "counts" not in answer.result


def _content(store: ObjectStore, key: str) -> bytes:
    body = store.client().get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return gzip.decompress(body)


def _paths(place: Place) -> dict[str, Any]:
    key = "`key`" if place.kind == "mysql" else "key"
    rows = place.execute(f"SELECT {key}, value FROM xcom WHERE dag_id = 'filled'")  # noqa: S608
    return {name: _value(value) for name, value in rows}


def _paths_of(place: Place, run: str) -> list[str]:
    statement = "SELECT value FROM xcom WHERE dag_id = 'filled' AND run_id = %s"
    values = [_value(row[0]) for row in place.execute(statement, run)]
    return [value for value in values if str(value).startswith(BASE)]


def _value(stored: Any) -> Any:
    if isinstance(stored, (bytes, memoryview)):
        return json.loads(bytes(stored))
    try:
        return json.loads(stored)
    except (TypeError, ValueError):
        return stored


def _key(path: str) -> str:
    return path.split(f"@{BUCKET}/", 1)[1]
