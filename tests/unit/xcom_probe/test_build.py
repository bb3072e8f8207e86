"""The zipapp: the same bytes each time, runnable, small enough for a ConfigMap."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from xcom_probe import __version__
from xcom_probe.build import build, main


def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "1.pyz", tmp_path / "sub" / "2.pyz"
    digests = build(first), build(second)
    assert first.read_bytes() == second.read_bytes()
    assert digests == (hashlib.sha256(first.read_bytes()).hexdigest(),) * 2


def test_bytes_do_not_depend_on_who_builds_when(tmp_path: Path) -> None:
    """Another process with another umask, time zone, locale and hash seed."""
    build(tmp_path / "here.pyz")
    there = tmp_path / "there.pyz"
    subprocess.run(
        [sys.executable, "-m", "xcom_probe.build", there],
        env={
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONHASHSEED": "7",
            "TZ": "Asia/Tokyo",
            "LC_ALL": "C",
        },
        umask=0o077,
        check=True,
        capture_output=True,
    )
    assert there.read_bytes() == (tmp_path / "here.pyz").read_bytes()


def test_holds_sources_only(tmp_path: Path) -> None:
    build(tmp_path / "probe.pyz")
    with zipfile.ZipFile(tmp_path / "probe.pyz") as archive:
        names = archive.namelist()
        dates = {entry.date_time for entry in archive.infolist()}
    assert names == sorted(names)
    assert {"__main__.py", "xcom_probe/commands/prove.py", "xcom_static/errors.py"} < set(names)
    assert all(name.endswith(".py") for name in names)
    assert not {"xcom_probe/build.py", "xcom_static/audit/docs.py"} & set(names)
    assert dates == {(1980, 1, 1, 0, 0, 0)}


def test_fits_into_a_config_map(tmp_path: Path) -> None:
    build(tmp_path / "probe.pyz")
    assert (tmp_path / "probe.pyz").stat().st_size * 4 // 3 < 900_000


def test_runs_where_there_is_nothing_but_python(tmp_path: Path) -> None:
    """No Airflow: it says that it could not look, and never that all is well."""
    pyz = tmp_path / "probe.pyz"
    build(pyz)
    version = subprocess.run(
        [sys.executable, "-I", pyz, "--version"], capture_output=True, text=True, check=True
    )
    assert version.stdout.strip() == __version__
    looked = subprocess.run(
        [sys.executable, "-I", "-S", pyz, "inspect", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert looked.returncode == 3
    assert '"verdict": "error"' in looked.stdout
    assert "No module named 'airflow'" in looked.stdout


def test_the_static_audit_in_it_runs_where_there_is_nothing_but_python(tmp_path: Path) -> None:
    """On its own: nothing of the audit is found beside the file."""
    pyz = tmp_path / "probe.pyz"
    build(pyz)
    (tmp_path / "etl.py").write_text(
        "from airflow.decorators import task\n@task\ndef f():\n    return b'x'\n"
    )
    words = ("audit", "--static", "--airflow", "2.11", "--dags", tmp_path / "etl.py", "--json")
    looked = subprocess.run(
        [sys.executable, "-I", "-S", pyz, *words], capture_output=True, text=True, check=False
    )
    assert looked.returncode == 1, looked.stderr
    assert '"rule": "XCA007"' in looked.stdout


def test_wrong_usage() -> None:
    assert main([]) == 2
