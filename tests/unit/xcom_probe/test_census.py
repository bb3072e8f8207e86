"""What the census asks for, and how it reads its arguments."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_probe.commands.which import read_runs
from xcom_probe.database.address import Address, address
from xcom_probe.model import UsageError
from xcom_probe.options import ConfigFile
from xcom_probe.table.census import Finished, Run
from xcom_probe.table.paths import asked_bases, outermost, row_prefix
from xcom_probe.table.waiting import Triggered, Waiter, triggered, waiters

CONN = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
URL = "postgresql+psycopg2://airflow:airflow@db/airflow"
NO_FILE = ConfigFile("/airflow.cfg", {})


@pytest.mark.parametrize(
    ("base", "prefix"),
    [
        ("s3://aws@bucket/xcom", b'"s3://aws@bucket/xcom/'),
        ("s3://aws@bucket/xcom//", b'"s3://aws@bucket/xcom/'),
        ("s3://bucket", b'"s3://bucket/'),
        ("file:///mnt/xcom", b'"file:///mnt/xcom/'),
        ("s3://b/50%_x", b'"s3://b/50%_x/'),
        ("s3://b/é", b'"s3://b/\\u00e9/'),
    ],
)
def test_prefix_of_a_row(base: str, prefix: bytes) -> None:
    assert row_prefix(base) == prefix


@given(st.text(alphabet=st.characters(exclude_characters="#?[]"), max_size=30), st.text())
def test_every_row_below_the_base_has_the_prefix_and_no_sibling(name: str, rest: str) -> None:
    base = f"s3://conn@bucket/x{name.strip('/')}"
    prefix = row_prefix(base)
    assert json.dumps(f"{base}/{rest}").encode().startswith(prefix)
    assert not json.dumps(f"{base}-other/{rest}").encode().startswith(prefix)


@pytest.mark.parametrize("base", ["", "bucket/xcom", "s3://", "/mnt/xcom"])
def test_a_base_that_is_no_url_is_refused(base: str) -> None:
    with pytest.raises(UsageError, match="is not a URL"):
        row_prefix(base)


def test_a_base_below_another_is_left_out() -> None:
    given = ["s3://c@b/x/y/", "s3://c@b/xy", "s3://c@b/x", "s3://c@b/x/", "file:///x"]
    assert outermost(given) == ["file:///x", "s3://c@b/x", "s3://c@b/xy"]


@given(st.lists(st.from_regex(r"s3://b(/[ab]){0,3}/?", fullmatch=True), max_size=8), st.text())
def test_no_path_is_below_two_bases_and_none_is_lost(given: list[str], rest: str) -> None:
    kept = outermost(given)
    for base in given:
        path = f"{base.rstrip('/')}/{rest}"
        assert sum(path.startswith(f"{other.rstrip('/')}/") for other in kept) == 1


def test_the_configured_base_counts_only_where_none_is_given() -> None:
    environ = {"AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": "s3://c@b/configured"}
    assert asked_bases([], environ, NO_FILE) == ["s3://c@b/configured"]
    assert asked_bases(["s3://c@b/x"], environ, NO_FILE) == ["s3://c@b/x"]
    with pytest.raises(UsageError, match="no base path is configured"):
        asked_bases([], {}, NO_FILE)
    with pytest.raises(UsageError, match="'/mnt/xcom' is not a URL"):
        asked_bases(["s3://c@b/x", "/mnt/xcom"], environ, NO_FILE)


BASE = "s3://c@b/x"


@pytest.mark.parametrize(
    ("value", "rendered", "expected"),
    [
        (b'"run 1"', "child", Triggered("run 1", "child")),
        ("run 1", "child", Triggered("run 1", "child")),
        ("run 1", None, Triggered("run 1", None)),
        ("run 1", "the_***_dag", Triggered("run 1", None)),
        (f"{BASE}/parent/p/t/uuid", "child", Triggered(None, "child")),
        (f'"{BASE}/parent/p/t/uuid"'.encode(), None, Triggered(None, None)),
        (b'{"a": 1}', "child", Triggered(None, "child")),
        (b"\x80\x04\x8c\x01a\x94.", "child", Triggered(None, "child")),
        (None, "child", Triggered(None, "child")),
    ],
)
def test_what_a_task_waits_for(value: object, rendered: str | None, expected: Triggered) -> None:
    assert triggered(value, rendered, [BASE]) == expected


def test_what_is_not_known_of_a_wait_rules_nothing_out() -> None:
    runs = [("child", "run 1"), ("child", "run 2"), ("other", "run 1"), ("parent", "p")]
    waiter = Waiter("parent", "p", "t")

    def waited(run_id: str | None, dag_id: str | None) -> set[tuple[str, str]]:
        return set(waiters([(waiter, Triggered(run_id, dag_id))], runs))

    assert waited("run 1", "child") == {("child", "run 1")}
    assert waited("run 1", None) == {("child", "run 1"), ("other", "run 1")}
    assert waited(None, "child") == {("child", "run 1"), ("child", "run 2")}
    assert waited(None, None) == set(runs) - {("parent", "p")}
    assert waited("run 3", None) == set()


def test_a_mapped_task_waits_once() -> None:
    task = (Waiter("parent", "p", "t"), Triggered("run 1", "child"))
    assert waiters([task, task], [("child", "run 1")]) == {("child", "run 1"): [task[0]]}


def test_finished_runs_are_named_by_dag_those_with_most_rows_first() -> None:
    found = Finished()
    for number in range(60):
        found.add(f"dag {number:02}", 1)
    found.add("dag 59", 2)
    result = found.as_json()
    assert (result["runs"], result["rows"], result["more"]) == (61, 62, 10)
    assert result["dags"][:2] == [
        {"dagId": "dag 59", "runs": 2, "rows": 3},
        {"dagId": "dag 00", "runs": 1, "rows": 1},
    ]
    assert len(result["dags"]) == 50


def test_runs_file(tmp_path: Path) -> None:
    content = json.dumps([{"dagId": "d", "runId": "r", "more": 1}]).encode()
    plain, packed = tmp_path / "runs.json", tmp_path / "runs.json.gz"
    plain.write_bytes(content)
    packed.write_bytes(gzip.compress(content))
    assert read_runs(str(plain)) == read_runs(str(packed)) == [("d", "r")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{}", "not a JSON list"),
        (b"[", "Expecting"),
        (b'["d"]', "item 0"),
        (b'[{"dagId": "d", "runId": 1}]', "item 0"),
        (b"\xff", "utf-8"),
    ],
)
def test_runs_file_that_is_wrong(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "runs.json"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_runs(str(file))


@pytest.mark.parametrize("content", [b"[]", b"\x1f\x8b\x08\x00"])
def test_packed_runs_file_that_is_wrong(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "runs.json.gz"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"runs\.json\.gz"):
        read_runs(str(file))


def test_names_in_the_document() -> None:
    waiter = Waiter("parent", "p", "trigger")
    run = Run("d", "r", "running", None, "manual", 2, ["t"], [waiter])
    assert run.as_json() == {
        "dagId": "d",
        "runId": "r",
        "state": "running",
        "startDate": None,
        "runType": "manual",
        "rows": 2,
        "tasks": ["t"],
        "waitedForBy": [{"dagId": "parent", "runId": "p", "taskId": "trigger"}],
    }


def test_address_from_the_environment() -> None:
    assert address({CONN: URL}, NO_FILE) == Address(URL, f"env:{CONN}")


def test_address_of_mysql() -> None:
    url = "mysql+mysqldb://u:p@h/db"
    assert address({CONN: url}, NO_FILE) == Address(url, f"env:{CONN}")


def test_local_settings_that_speak_of_an_engine_leave_the_address_to_airflow(
    tmp_path: Path,
) -> None:
    cfg = ConfigFile(str(tmp_path / "airflow.cfg"), {})
    (tmp_path / "config").mkdir()
    settings = tmp_path / "config" / "airflow_local_settings.py"
    settings.write_text("STATE_COLORS = {}\n")
    assert address({CONN: URL}, cfg) is not None
    settings.write_text("def create_metadata_engine(url, **more): ...\n")
    assert address({CONN: URL}, cfg) is None


def test_address_from_the_file() -> None:
    cfg = ConfigFile("/airflow.cfg", {"database": {"sql_alchemy_conn": URL}})
    assert address({}, cfg) == Address(URL, "file:/airflow.cfg")
    assert address({CONN: URL + "2"}, cfg) == Address(URL + "2", f"env:{CONN}")


@pytest.mark.parametrize(
    ("environ", "sections"),
    [
        ({}, {}),
        ({CONN: "postgres://old@scheme/db"}, {}),
        ({CONN: "sqlite:////airflow.db"}, {}),
        ({CONN: URL, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS": "a.b"}, {}),
        ({CONN: URL}, {"database": {"sql_alchemy_connect_args": "a.b"}}),
        ({CONN + "_CMD": "cat"}, {"database": {"sql_alchemy_conn": URL}}),
        ({"AIRFLOW__CORE__SQL_ALCHEMY_CONN": URL}, {"database": {"sql_alchemy_conn": URL}}),
        ({}, {"database": {"sql_alchemy_conn": URL + "?x=%%20"}}),
        ({}, {"core": {"sql_alchemy_conn": URL}}),
    ],
)
def test_address_that_only_airflow_can_tell(
    environ: dict[str, str], sections: dict[str, dict[str, str]]
) -> None:
    assert address(environ, ConfigFile("/airflow.cfg", sections)) is None
