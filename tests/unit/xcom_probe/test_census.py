"""What the census asks for, and how it reads its arguments."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_probe.commands.census import read_runs
from xcom_probe.database.address import Address, address
from xcom_probe.model import UsageError
from xcom_probe.options import ConfigFile
from xcom_probe.table.census import Run
from xcom_probe.table.paths import row_prefix

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
    with pytest.raises(UsageError, match="is no URL"):
        row_prefix(base)


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
    run = Run("d", "r", "running", None, 2, ["t"])
    assert run.as_json() == {
        "dagId": "d",
        "runId": "r",
        "state": "running",
        "startDate": None,
        "rows": 2,
        "tasks": ["t"],
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
