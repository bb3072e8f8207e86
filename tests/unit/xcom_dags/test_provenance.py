"""The build of the DAGs is shown where it is known, and never keeps a DAG from loading."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from xcom_dags import provenance
from xcom_dags.stamp import write_stamp
from xcom_rollout import __version__
from xcom_rollout.cli import main
from xcom_rollout.cli.vendor import one_file

SHA = "0123456789abcdef0123456789abcdef01234567"
UNKNOWN = {
    "champollion_sha": "unknown",
    "champollion_sha_short": "unknown",
    "synced_at_utc": "unknown",
    "status": "unknown",
}
MOMENT = datetime(2026, 5, 19, 22, 29, 41, tzinfo=UTC)
STAMPED = {
    "champollion_sha": SHA,
    "champollion_sha_short": SHA[:7],
    "synced_at_utc": "2026-05-19T22:29:41Z",
}


@pytest.fixture
def dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A DAG folder that Airflow's variable names, and a process that has not asked yet."""
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path))
    provenance._read.cache_clear()
    yield tmp_path
    provenance._read.cache_clear()


def test_a_stamp_is_read_once_per_process(dags: Path) -> None:
    write_stamp(dags, SHA, now=MOMENT)
    first = provenance.dag_build_info()
    assert first == {**STAMPED, "status": "ok"}
    write_stamp(dags, "f" * 40)
    assert provenance.dag_build_info() is first


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "{",
        "[]",
        "null",
        '{"champollion_sha": "abc"}',
        '{"champollion_sha": 1, "champollion_sha_short": 1, "synced_at_utc": 1}',
        b"\xff\xfe",
        *(
            json.dumps({**STAMPED, name: value})
            for name, value in [
                ("champollion_sha", "main"),
                ("champollion_sha", SHA.upper()),
                ("champollion_sha_short", "f" * 7),
                ("champollion_sha_short", SHA[:3]),
                ("champollion_sha_short", f"{SHA[:7]}`"),
                ("champollion_sha_short", "a" * 95),
                ("synced_at_utc", " "),
                ("synced_at_utc", "2" * 100_000),
                ("synced_at_utc", "<script>alert(1)</script>"),
                ("synced_at_utc", "2026-05-19\n# DAG"),
            ]
        ),
    ],
)
def test_no_stamp_or_a_broken_one_is_unknown_and_no_error(
    dags: Path, content: str | bytes | None
) -> None:
    if content is not None:
        data = content if isinstance(content, bytes) else content.encode()
        (dags / provenance.STAMP).write_bytes(data)
    assert provenance.dag_build_info() == UNKNOWN
    assert "unknown" in provenance.dag_version_banner()


def test_no_dag_folder_at_all_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__CORE__DAGS_FOLDER", raising=False)
    provenance._read.cache_clear()
    assert provenance.dag_build_info() == UNKNOWN
    provenance._read.cache_clear()


def test_another_folder_or_file_may_be_named(dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = dags / "other"
    other.mkdir()
    path = write_stamp(other, SHA)
    assert provenance.dag_build_info(str(other))["champollion_sha"] == SHA
    assert provenance.dag_build_info()["status"] == "unknown"
    provenance._read.cache_clear()
    monkeypatch.setenv("XCOM_DAGS_BUILD_INFO", str(path))
    assert provenance.dag_build_info()["champollion_sha"] == SHA


@pytest.mark.usefixtures("dags")
class TestSurfaces:
    """What people see."""

    def test_banner_stands_above_the_text(self, dags: Path) -> None:
        write_stamp(dags, SHA, now=MOMENT)
        assert provenance.dag_version_banner("Loads orders.") == (
            "**Build** `0123456` · synced 2026-05-19T22:29:41Z\n\nLoads orders."
        )

    def test_tags_are_kept_in_order_and_once(self) -> None:
        assert provenance.make_tags("b", "a", "b", build="0123456") == ["b", "a", "build=0123456"]
        assert provenance.make_tags("a") == ["a"]

    @pytest.mark.parametrize("tag", ["", "x" * 101])
    def test_a_tag_that_airflow_would_refuse_is_named(self, tag: str) -> None:
        with pytest.raises(ValueError, match="1 to 100 characters"):
            provenance.make_tags("ok", tag)

    def test_event_of_the_first_task(self, dags: Path, caplog: pytest.LogCaptureFixture) -> None:
        write_stamp(dags, SHA, now=MOMENT)
        caplog.set_level(logging.INFO)
        provenance.dag_loaded_event(logging.getLogger("dag"), "etl", image="v1")
        assert caplog.messages == [
            f"event=dag_loaded severity=info dag_id=etl champollion_sha={SHA} "
            "champollion_sha_short=0123456 synced_at_utc=2026-05-19T22:29:41Z image=v1"
        ]


class TestStamp:
    """`write_stamp` and `xbr stamp`."""

    def test_time_is_utc_with_a_z(self, tmp_path: Path) -> None:
        there = MOMENT.astimezone(timezone(timedelta(hours=2)))
        path = write_stamp(tmp_path, SHA, now=there)
        assert json.loads(path.read_text()) == STAMPED
        assert [item.name for item in tmp_path.iterdir()] == [".dag_build_info.json"]
        assert path.stat().st_mode & 0o777 == 0o644

    @pytest.mark.parametrize("sha", ["", "0123456", SHA.upper(), SHA + "\n", "main", "g" * 40])
    def test_anything_but_a_whole_commit_is_refused(self, tmp_path: Path, sha: str) -> None:
        with pytest.raises(ValueError, match=r"write the whole SHA"):
            write_stamp(tmp_path, sha)
        assert list(tmp_path.iterdir()) == []

    def test_a_failing_write_leaves_the_old_stamp_and_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_stamp(tmp_path, SHA, now=MOMENT)

        def refuse(*_: object) -> None:
            raise OSError("disk full")

        monkeypatch.setattr("os.replace", refuse)
        with pytest.raises(OSError, match="disk full"):
            write_stamp(tmp_path, "f" * 40)
        assert [item.name for item in tmp_path.iterdir()] == [".dag_build_info.json"]
        assert json.loads((tmp_path / provenance.STAMP).read_text()) == STAMPED

    def test_verb_writes_and_says_where(self, tmp_path: Path) -> None:
        done = CliRunner().invoke(main, ["stamp", "--sha", SHA, "--dags", str(tmp_path)])
        assert (done.exit_code, done.output) == (0, f"{tmp_path}/.dag_build_info.json: 0123456\n")
        wrong = CliRunner().invoke(main, ["stamp", "--sha", "main", "--dags", str(tmp_path)])
        assert wrong.exit_code == 2
        assert "'main'" in wrong.output

    def test_another_field_name_is_possible(self, tmp_path: Path) -> None:
        arguments = ["stamp", "--sha", SHA, "--dags", str(tmp_path), "--field", "acme_sha"]
        assert CliRunner().invoke(main, arguments).exit_code == 0
        stamp = json.loads((tmp_path / provenance.STAMP).read_text())
        assert set(stamp) == {"acme_sha", "acme_sha_short", "synced_at_utc"}

    def test_a_field_that_would_hide_the_commit_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="'synced_at_utc' is taken"):
            write_stamp(tmp_path, SHA, "synced_at_utc")
        assert list(tmp_path.iterdir()) == []


class TestOneFile:
    """The variant that a DAG repository carries."""

    @pytest.mark.parametrize("content", [b"import mine\n", b"\xff\xfe", b'"""Build prov'])
    def test_a_file_of_somebody_elses_is_never_overwritten(
        self, tmp_path: Path, content: bytes
    ) -> None:
        path = tmp_path / "_common.py"
        path.write_bytes(content)
        done = CliRunner().invoke(main, ["vendor", str(path)])
        assert done.exit_code == 2
        assert "is not a file that xbr vendor has written" in done.output
        checked = CliRunner().invoke(main, ["vendor", str(path), "--check"])
        assert (checked.exit_code, path.read_bytes()) == (1, content)

    def test_one_that_another_version_has_written_is_updated(self, tmp_path: Path) -> None:
        path = tmp_path / "_common.py"
        path.write_text(one_file("0.0.1"), encoding="utf-8")
        assert CliRunner().invoke(main, ["vendor", str(path)]).exit_code == 0
        assert path.read_text(encoding="utf-8") == one_file(__version__)

    def test_runs_with_nothing_but_python_and_finds_the_stamp_of_the_dag_folder(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "_common.py").write_text(one_file("1.2.3"))
        write_stamp(tmp_path, SHA, now=MOMENT)
        code = (
            "import logging, sys; sys.path.insert(0, sys.argv[1]); import _common as c\n"
            "logging.basicConfig(format='%(message)s', stream=sys.stdout, level=20)\n"
            "c.dag_loaded_event(logging.getLogger(), 'etl')\n"
            "print(c.dag_version_banner('x'), c.make_tags('a', build='b'))"
        )
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", code, tmp_path],
            env={},
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"event=dag_loaded severity=info dag_id=etl champollion_sha={SHA}" in done.stdout

    def test_check_tells_an_old_file(self, tmp_path: Path) -> None:
        path = tmp_path / "_common.py"
        assert CliRunner().invoke(main, ["vendor", str(path), "--check"]).exit_code == 1
        assert CliRunner().invoke(main, ["vendor", str(path)]).exit_code == 0
        assert CliRunner().invoke(main, ["vendor", str(path), "--check"]).exit_code == 0
        path.write_text(path.read_text() + "# edited\n")
        stale = CliRunner().invoke(main, ["vendor", str(path), "--check"])
        assert stale.exit_code == 1
        assert re.search("not up to date", stale.output)
