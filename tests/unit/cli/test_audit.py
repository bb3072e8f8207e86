"""`xbr audit`: without a cluster, with exit codes that tell no from could not look."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from xcom_rollout.cli import main

DAG = """
import json
import numpy as np
from airflow.decorators import dag, task

@dag
def etl():
    @task
    def text():
        return json.dumps({})

    @task
    def grid():
        return np.zeros(3)
"""


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    (tmp_path / "etl.py").write_text(DAG)
    return tmp_path


def audit(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["audit", *map(str, words)], env={"KUBECONFIG": "/nowhere"})


def test_it_names_tasks_rules_and_remedies_and_needs_no_cluster(dags: Path) -> None:
    answer = audit(dags, "--airflow", "2.11")
    assert answer.exit_code == 1
    assert "etl.py:10:16: XCA014 drifts (high confidence)" in answer.output
    assert "etl.grid returns a numpy array" in answer.output
    assert answer.output.endswith("1 files, 2 tasks: 1 drifts, 1 fails\n")


def test_nothing_found_is_a_yes(dags: Path) -> None:
    (dags / "etl.py").write_text("from airflow.decorators import task\n")
    answer = audit(dags, "--airflow", "3.1")
    assert (answer.exit_code, answer.output) == (0, "1 files, 0 tasks: nothing found\n")


def test_a_file_that_cannot_be_read_is_neither(dags: Path) -> None:
    (dags / "etl.py").write_text("import airflow\ndef f(:\n")
    answer = audit(dags, "--airflow", "3.1")
    assert answer.exit_code == 3
    assert "etl.py:2: not checked" in answer.output


def test_what_fails_today_as_well_can_be_left_out(dags: Path) -> None:
    answer = audit(dags, "--airflow", "2.11", "--new-only", "-o", "json")
    assert [item["rule"] for item in json.loads(answer.output)["findings"]] == ["XCA014"]
    assert audit(dags, "--airflow", "3.1", "--new-only").exit_code == 0
    refused = audit(dags, "--new-only")
    assert refused.exit_code == 2
    assert "--airflow" in refused.output


def test_the_output_may_be_chosen_before_the_verb(dags: Path) -> None:
    answer = CliRunner().invoke(main, ["-o", "json", "audit", str(dags)])
    assert len(json.loads(answer.output)["findings"]) == 2


def test_sarif_has_each_finding_with_its_rule_and_place(dags: Path) -> None:
    document = json.loads(audit(dags, "--airflow", "2.11", "-o", "sarif").output)
    run = document["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert document["version"] == "2.1.0"
    for item, level in zip(run["results"], ("warning", "error"), strict=True):
        assert rules[item["ruleIndex"]]["id"] == item["ruleId"]
        assert item["level"] == level
        place = item["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "etl.py"
        assert place["region"]["startLine"] > 1
    assert run["invocations"][0]["executionSuccessful"] is True


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("nowhere",), "nowhere"),
        ((".", "--airflow", "one"), "--airflow 'one'"),
        ((".", "--airflow", "2.11", "--common-io", "new"), "--common-io 'new'"),
        ((".", "--fail-on", "sure"), "--fail-on"),
    ],
)
def test_wrong_use_is_answered_with_the_argument(words: tuple[str, ...], named: str) -> None:
    answer = audit(*words)
    assert answer.exit_code == 2
    assert named in answer.output
