"""Airflow 3's bundles: each is looked at or named, whatever is configured."""

from __future__ import annotations

import json
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_probe.bundles import LOCAL
from xcom_probe.commands import audit
from xcom_probe.model import ERROR, FAIL, PASS, CannotLook, Finding, UsageError
from xcom_probe.report import Report

BAD = "from airflow.decorators import task\n@task\ndef f():\n    return b'x'\n"
GOOD = "from airflow.decorators import task\n@task\ndef f():\n    return 1\n"
GIT = "airflow.providers.git.bundles.git.GitDagBundle"
VARIABLE = "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"


def local(name: str, path: Path | None = None) -> dict[str, Any]:
    kwargs = {} if path is None else {"path": str(path)}
    return {"name": name, "classpath": LOCAL, "kwargs": kwargs}


def git(name: str, classpath: str = GIT) -> dict[str, Any]:
    return {"name": name, "classpath": classpath, "kwargs": {"git_conn_id": "g"}}


def folder(path: Path, text: str, name: str = "etl.py") -> Path:
    path.mkdir(parents=True)
    (path / name).write_text(text)
    return path


def look(
    home: Path, listed: object = None, *, version: str = "3.1", dags: str | None = None
) -> Report:
    environ = {"AIRFLOW_HOME": str(home)}
    if listed is not None:
        environ[VARIABLE] = listed if isinstance(listed, str) else json.dumps(listed)
    report = Report()
    audit.static(
        Namespace(dags=dags, airflow=version, common_io=None, fail_on="medium"), report, environ
    )
    return report


def unread(report: Report) -> list[str]:
    return [str(item["file"]) for item in report.members["static"]["unreadable"]]


def finding(report: Report, name: str) -> Finding:
    return next(item for item in report.findings if item.name == name)


@pytest.mark.parametrize(
    "classpath",
    [
        GIT,
        "airflow.providers.amazon.aws.bundles.s3.S3DagBundle",
        "airflow.providers.google.cloud.bundles.gcs.GCSDagBundle",
        "mine.Bundle",
    ],
)
def test_a_bundle_whose_files_are_not_here_is_named_and_not_taken_for_a_stray_folder(
    tmp_path: Path, classpath: str
) -> None:
    folder(tmp_path / "dags", GOOD)
    report = look(tmp_path, [git("repo", classpath)])
    assert unread(report) == ["bundle repo"]
    told = finding(report, "audit-static-files")
    assert told.status == ERROR
    assert classpath.rpartition(".")[2] in told.observed
    assert "--dags" in told.remedy
    assert report.members["static"]["files"] == 0
    assert [item.name for item in report.findings] == ["audit-static-files"]


def test_a_list_in_airflow_cfg_counts_too(tmp_path: Path) -> None:
    folder(tmp_path / "dags", GOOD)
    (tmp_path / "airflow.cfg").write_text(
        f"[dag_processor]\ndag_bundle_config_list = {json.dumps([git('repo')])}\n"
    )
    assert unread(look(tmp_path)) == ["bundle repo"]


def test_every_local_bundle_is_looked_at(tmp_path: Path) -> None:
    folder(tmp_path / "dags", GOOD)
    other = folder(tmp_path / "other", BAD)
    report = look(tmp_path, [local("a"), local("b", other)])
    (bad,) = report.members["static"]["findings"]
    assert (bad["rule"], bad["file"]) == ("XCA007", "b/etl.py")
    assert report.members["static"]["files"] == 2
    told = finding(report, "audit-static")
    assert told.status == FAIL
    assert str(other) in told.observed


def test_files_of_the_only_local_bundle_keep_their_names(tmp_path: Path) -> None:
    folder(tmp_path / "dags", BAD)
    report = look(tmp_path, [local("dags-folder"), git("repo")])
    assert report.members["static"]["findings"][0]["file"] == "etl.py"
    assert unread(report) == ["bundle repo"]


def test_of_several_bundles_one_without_files_is_named_and_the_others_are_looked_at(
    tmp_path: Path,
) -> None:
    folder(tmp_path / "dags", BAD)
    report = look(tmp_path, [local("a"), local("gone", tmp_path / "gone")])
    assert report.members["static"]["findings"][0]["file"] == "a/etl.py"
    assert unread(report) == ["bundle gone"]
    assert "gone" not in finding(report, "audit-static").observed


def test_the_only_bundle_without_files_is_an_error_as_a_dag_folder_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        look(tmp_path, [local("gone", tmp_path / "gone")])


@pytest.mark.parametrize("listed", ["[", "{}", "[{}]", "[]", "", "7", '[{"name": "a"}]', '["a"]'])
def test_a_list_that_names_no_bundle_is_no_empty_folder(tmp_path: Path, listed: str) -> None:
    folder(tmp_path / "dags", GOOD)
    with pytest.raises(CannotLook, match="dag_bundle_config_list"):
        look(tmp_path, listed)


def test_airflow_2_has_no_bundles(tmp_path: Path) -> None:
    folder(tmp_path / "dags", GOOD)
    report = look(tmp_path, [git("repo")], version="2.11")
    assert [item.status for item in report.findings] == [PASS]


def test_a_folder_that_is_given_is_looked_at_alone(tmp_path: Path) -> None:
    folder(tmp_path / "dags", GOOD)
    other = folder(tmp_path / "other", BAD)
    report = look(tmp_path, [git("repo")], dags=str(other))
    assert unread(report) == []
    assert [item["file"] for item in report.members["static"]["findings"]] == ["etl.py"]


def test_without_a_list_the_dags_folder_is_looked_at(tmp_path: Path) -> None:
    folder(tmp_path / "dags", BAD)
    report = look(tmp_path)
    assert report.members["static"]["folder"] == str(tmp_path / "dags")
    assert [item["file"] for item in report.members["static"]["findings"]] == ["etl.py"]


def test_the_settings_that_every_process_imports_are_looked_at(tmp_path: Path) -> None:
    folder(tmp_path / "dags", GOOD)
    name = "airflow_local_settings.py"
    hook = "def pod_mutation_hook(pod):\n    pod.metadata.namespace = 'tasks'\n"
    folder(tmp_path / "config", hook, name)
    (found,) = look(tmp_path).members["static"]["findings"]
    assert (found["file"], found["rule"], found["kind"]) == (name, "XCA025", "pod-mutation-hook")
    given = look(tmp_path, dags=str(tmp_path / "dags"))
    assert given.members["static"]["findings"] == []


@pytest.mark.parametrize("others", [[], [local("gone", Path("/no/such/folder"))]])
def test_good_settings_are_no_pass_of_a_bundle_whose_files_are_not_here(
    tmp_path: Path, others: list[dict[str, Any]]
) -> None:
    folder(tmp_path / "config", "X = 1\n", "airflow_local_settings.py")
    report = look(tmp_path, [git("repo"), *others])
    assert [(item.name, item.status) for item in report.findings] == [("audit-static-files", ERROR)]


def test_what_the_settings_hold_is_told_where_no_dag_file_is_here(tmp_path: Path) -> None:
    hook = "def pod_mutation_hook(pod):\n    pod.metadata.namespace = 'tasks'\n"
    folder(tmp_path / "config", hook, "airflow_local_settings.py")
    report = look(tmp_path, [git("repo")])
    assert [item.name for item in report.findings] == ["audit-static", "audit-static-files"]
    told = finding(report, "audit-static")
    assert told.status != PASS
    assert "files of" not in told.observed


_NAMES = st.lists(st.sampled_from("abcdef"), min_size=1, unique=True)


@given(_NAMES.flatmap(lambda names: st.tuples(st.just(names), st.sets(st.sampled_from(names)))))
def test_no_bundle_is_left_out(drawn: tuple[list[str], set[str]]) -> None:
    names, here = drawn
    with tempfile.TemporaryDirectory() as home:
        listed = [
            local(name, folder(Path(home) / name, BAD, f"{name}.py")) if name in here else git(name)
            for name in names
        ]
        report = look(Path(home), listed)
    found = {Path(item["file"]).stem for item in report.members["static"]["findings"]}
    assert found == here
    assert unread(report) == [f"bundle {name}" for name in names if name not in here]
    if len(here) < len(names):
        assert finding(report, "audit-static-files").status == ERROR
