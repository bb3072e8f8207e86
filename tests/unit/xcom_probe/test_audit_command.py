"""The probe's command `audit --static`: its result, its verdict, and where it looks."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from xcom_probe import main
from xcom_probe.model import UsageError

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "docs/reference/probe-result.schema.json").read_text())
SNIPPETS = ROOT / "tests/unit/xcom_static/snippets"
DAG = b"from airflow.decorators import task\n@task\ndef f():\n    return b'x'\n"


def run(*words: str) -> dict[str, object]:
    result = main.run(main.parse(["audit", *words]))
    jsonschema.validate(result, SCHEMA)
    return result


def test_the_result_of_the_probe_follows_its_schema() -> None:
    result = run("--static", "--dags", str(SNIPPETS), "--airflow", "2.11")
    assert result["verdict"] == "fail"
    static = result["static"]
    assert isinstance(static, dict)
    assert len(static["findings"]) > 100
    assert main.render(result, "human").count("XCA") > 100


@pytest.mark.parametrize(
    ("fail_on", "verdict"), [("high", "pass"), ("medium", "pass"), ("low", "fail")]
)
def test_only_findings_of_enough_confidence_make_the_answer_no(
    tmp_path: Path, fail_on: str, verdict: str
) -> None:
    (tmp_path / "a.py").write_text(
        "import numpy as np\nfrom airflow.decorators import task\n"
        "@task\ndef f():\n    return np.ones(3).sum()\n"
    )
    result = run("--static", "--dags", str(tmp_path), "--airflow", "2.11", "--fail-on", fail_on)
    assert result["verdict"] == verdict


def test_a_file_that_cannot_be_read_is_neither_a_yes_nor_a_no(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import airflow\ndef f(:\n")
    result = run("--static", "--dags", str(tmp_path), "--airflow", "2.11")
    assert result["verdict"] == "error"


def test_the_folder_is_the_one_that_airflow_is_configured_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "etl.py").write_bytes(DAG)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.delenv("AIRFLOW_CONFIG", raising=False)
    monkeypatch.delenv("AIRFLOW__CORE__DAGS_FOLDER", raising=False)
    by_default = run("--static", "--airflow", "2.11")
    (tmp_path / "airflow.cfg").write_text(f"[core]\ndags_folder = {tmp_path}/elsewhere\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "other.py").write_text("x = 1\n")
    by_file = run("--static", "--airflow", "2.11")
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", "$AIRFLOW_HOME/dags")
    by_environment = run("--static", "--airflow", "2.11")
    assert [item["verdict"] for item in (by_default, by_file, by_environment)] == [
        "fail",
        "pass",
        "fail",
    ]


def test_without_an_airflow_it_cannot_look(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(DAG)
    result = run("--static", "--dags", str(tmp_path))
    assert result["verdict"] == "error"
    assert "--airflow 2.11" in json.dumps(result["checks"])


@pytest.mark.parametrize("words", [("--airflow", "two"), ("--airflow", "2.11", "--dags", "/none")])
def test_a_wrong_argument_is_wrong_use(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"two|/none"):
        run("--static", *words)
