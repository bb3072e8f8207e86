"""The stamp as it lies in a pod: plain folders, git-sync's links, Airflow 3's bundles."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from xcom_dags.stamp import write_stamp
from xcom_probe import stamp
from xcom_probe.options import ConfigFile

OLD, NEW = "0" * 40, "1" * 40
NO_FILE = ConfigFile("airflow.cfg", {})


def tree(folder: Path, sha: str) -> Path:
    folder.mkdir(parents=True)
    write_stamp(folder, sha)
    return folder


def turn(link: Path, target: Path) -> None:
    temporary = link.with_name("next")
    temporary.symlink_to(target)
    temporary.replace(link)


def test_the_stamp_of_the_dags_folder_is_read(tmp_path: Path) -> None:
    folder = tree(tmp_path / "dags", NEW)
    (found,) = stamp.stamps({"AIRFLOW_HOME": str(tmp_path)}, NO_FILE, False)
    assert (found.sha, found.folder, found.problem) == (NEW, str(folder), "")


def test_the_environment_beats_the_file_for_the_folder(tmp_path: Path) -> None:
    tree(tmp_path / "a", OLD)
    tree(tmp_path / "b", NEW)
    cfg = ConfigFile("airflow.cfg", {"core": {"dags_folder": str(tmp_path / "a")}})
    assert stamp.stamps({}, cfg, False)[0].sha == OLD
    environ = {"AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "b")}
    assert stamp.stamps(environ, cfg, False)[0].sha == NEW


def test_the_tree_that_the_link_leads_to_is_named(tmp_path: Path) -> None:
    first = tree(tmp_path / "old" / "dags", OLD)
    (tmp_path / "repo").symlink_to(tmp_path / "old")
    found = stamp.read(str(tmp_path / "repo" / "dags"))
    assert (found.sha, found.resolved) == (OLD, str(first))


def test_a_link_that_is_turned_while_it_is_read_gives_the_new_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path / "old" / "dags", OLD)
    second = tree(tmp_path / "new" / "dags", NEW)
    link = tmp_path / "repo"
    link.symlink_to(tmp_path / "old")
    real, turned = os.path.realpath, False

    def resolve(path: str) -> str:
        nonlocal turned
        resolved = real(path)
        if not turned:
            # git-sync, between the resolution and the read.
            turned = True
            turn(link, tmp_path / "new")
            shutil.rmtree(tmp_path / "old")
        return str(resolved)

    monkeypatch.setattr(os.path, "realpath", resolve)
    found = stamp.read(str(link / "dags"))
    assert (found.sha, found.resolved) == (NEW, str(second))


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "not JSON"), ("[]", "no field"), ('{"champollion_sha": 1}', "no field")],
)
def test_a_broken_stamp_has_no_commit_and_says_why(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / stamp.STAMP).write_text(text)
    found = stamp.read(str(tmp_path))
    assert found.sha is None
    assert told in found.problem


def test_an_empty_folder_is_told_from_one_with_dags(tmp_path: Path) -> None:
    assert stamp.read(str(tmp_path)).empty
    assert stamp.read(str(tmp_path / "gone")).empty
    (tmp_path / "a.py").touch()
    found = stamp.read(str(tmp_path))
    assert not found.empty
    assert found.problem == f"{stamp.STAMP} cannot be read: No such file or directory"


def test_another_name_of_the_field(tmp_path: Path) -> None:
    write_stamp(tmp_path, NEW, "orders_sha")
    environ = {"AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path), "XCOM_DAGS_SHA_FIELD": "orders_sha"}
    assert stamp.stamps(environ, NO_FILE, False)[0].sha == NEW


def test_each_local_bundle_has_its_stamp_and_others_say_what_they_are(tmp_path: Path) -> None:
    tree(tmp_path / "a", OLD)
    tree(tmp_path / "b", NEW)
    local = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [
        {"name": "a", "classpath": local, "kwargs": {"path": str(tmp_path / "a")}},
        {"name": "b", "classpath": local, "kwargs": {}},
        {"name": "c", "classpath": "x.GitDagBundle", "kwargs": {}},
    ]
    environ = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "b"),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
    }
    found = stamp.stamps(environ, NO_FILE, True)
    assert [item.sha for item in found] == [OLD, NEW, None]
    assert "the bundle c is a x.GitDagBundle" in found[2].problem
    assert [item.sha for item in stamp.stamps(environ, NO_FILE, False)] == [NEW]


def test_bundles_that_cannot_be_read_are_a_problem() -> None:
    environ = {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": "[{}]"}
    (found,) = stamp.stamps(environ, NO_FILE, True)
    assert found.sha is None
    assert "dag_bundle_config_list" in found.problem
