"""`xbr lint` as its users run it: levels, suppressions, baseline, changed lines, outputs, codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from xcom_rollout.cli import main

BAD = """\
from airflow.decorators import dag, task
import numpy as np

@dag()
def d():
    @task
    def a():
        np.savez("/tmp/x.npz", y=1)
        return "/tmp/x.npz"
    a()
"""
BLOCKING = ["XCL001", "XCL002", "XCL004"]


def xbr(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["lint", *map(str, arguments)])


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "d.py").write_text(BAD)
    (tmp_path / "pyproject.toml").write_text("[tool.xcom-lint]\n")
    return folder


def configure(dags: Path, text: str) -> None:
    (dags.parent / "pyproject.toml").write_text(f"[tool.xcom-lint]\n{text}\n")


def codes(result: Result) -> list[str]:
    return [finding["code"] for finding in json.loads(result.stdout)["findings"]]


def test_findings_block_and_say_where_and_what_to_do(dags: Path) -> None:
    done = xbr(dags)
    assert done.exit_code == 1
    assert "dags/d.py:8:9: XCL004 block: a writes a file or object and passes" in done.output
    assert "1 files: 3 block, 1 warn" in done.output
    assert codes(xbr(dags, "--format", "json")) == ["XCL001", "XCL003", "XCL002", "XCL004"]


def test_levels_can_be_configured(dags: Path) -> None:
    levels = "\n".join(f'{code} = "warn"' for code in BLOCKING)
    configure(dags, f'[tool.xcom-lint.levels]\n{levels}\nXCL003 = "off"')
    done = xbr(dags, "--format", "json")
    assert (done.exit_code, codes(done)) == (0, ["XCL001", "XCL002", "XCL004"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour = 1", "[tool.xcom-lint] colour is unknown; the keys are banner-helpers"),
        ("large_literal_bytes = 1", "large_literal_bytes is unknown"),
        ('large-literal-bytes = "much"', "large-literal-bytes = 'much'"),
        ("large-literal-bytes = 0", "large-literal-bytes = 0: use a whole number of bytes"),
        ("large-literal-bytes = true", "large-literal-bytes = True"),
        ('exclude = "dags/*"', "exclude = 'dags/*': use a list of strings"),
        ("banner-helpers = [1]", "banner-helpers = [1]"),
        ("baseline = 1", "baseline = 1: use a string"),
        ("levels = 1", "levels = 1: use a table"),
        ('[tool.xcom-lint.levels]\nXCL999 = "warn"', "levels.XCL999: the rule does not exist"),
        ('[tool.xcom-lint.levels]\nXCL001 = "loud"', "levels.XCL001 = 'loud'"),
        ("= nonsense", "pyproject.toml"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(dags: Path, text: str, said: str) -> None:
    configure(dags, text)
    done = xbr(dags)
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize(
    ("comment", "left"),
    [
        ("# xcl: ignore[XCL004] read by a sidecar", ["XCL001", "XCL003", "XCL002"]),
        ("# noqa: XCL004 -- read by a sidecar", ["XCL001", "XCL003", "XCL002"]),
        ("# xcl: ignore[XCL004]", ["XCL001", "XCL003", "XCL002", "XCL900", "XCL004"]),
        ("# noqa: XCL004", ["XCL001", "XCL003", "XCL002", "XCL900", "XCL004"]),
        ("# xcl: ignore[XCL008] no", ["XCL001", "XCL003", "XCL002", "XCL901", "XCL004"]),
        ("# noqa: S108", ["XCL001", "XCL003", "XCL002", "XCL004"]),
    ],
)
def test_a_suppression_needs_a_reason_and_something_to_suppress(
    dags: Path, comment: str, left: list[str]
) -> None:
    (dags / "d.py").write_text(BAD.replace("y=1)", f"y=1)  {comment}"))
    assert codes(xbr(dags, "--format", "json")) == left


def test_a_comment_within_a_text_suppresses_nothing(dags: Path) -> None:
    (dags / "d.py").write_text(BAD.replace("y=1)", 'y="# xcl: ignore[XCL004] x")'))
    assert "XCL004" in codes(xbr(dags, "--format", "json"))


def test_a_baseline_goes_with_its_lines_and_ends_with_them(dags: Path) -> None:
    path = dags.parent / ".xcom-lint-baseline.json"
    assert xbr(dags, "--write-baseline").exit_code == 0
    assert codes(xbr(dags, "--baseline", path, "--format", "json")) == []
    (dags / "d.py").write_text("# a line above\n\n" + BAD)
    assert codes(xbr(dags, "--baseline", path, "--format", "json")) == []
    (dags / "d.py").write_text(BAD.replace("y=1)", "y=2)"))
    assert codes(xbr(dags, "--baseline", path, "--format", "json")) == ["XCL004"]
    configure(dags, 'baseline = ".xcom-lint-baseline.json"')
    assert codes(xbr(dags, "--format", "json")) == ["XCL004"]


def test_a_baseline_that_cannot_be_written_is_an_error_with_its_path(dags: Path) -> None:
    path = dags / "no" / "such" / "folder.json"
    done = xbr(dags, "--write-baseline", "--baseline", path)
    assert done.exit_code == 2
    assert f"{path}: the baseline cannot be written" in done.output


def test_a_baseline_that_is_not_there_says_how_to_make_it(dags: Path) -> None:
    done = xbr(dags, "--baseline", "nowhere.json")
    assert done.exit_code == 2
    assert "create it with: xbr lint --write-baseline" in done.output
    (dags / "b.json").write_text("[]")
    assert "is not a baseline" in xbr(dags, "--baseline", dags / "b.json").output


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_only_changed_lines_are_looked_at_with_a_base(dags: Path) -> None:
    git(dags.parent, "init", "-b", "main")
    git(dags.parent, "add", ".")
    git(dags.parent, "commit", "-m", "old")
    assert codes(xbr(dags, "--diff-base", "main", "--format", "json")) == []
    git(dags.parent, "checkout", "-b", "feature")
    (dags / "d.py").write_text(BAD.replace("y=1)", "y=2)"))
    git(dags.parent, "commit", "-am", "change")
    assert codes(xbr(dags, "--diff-base", "main", "--format", "json")) == ["XCL004"]
    (dags / "new ü.py").write_text(BAD)
    assert len(codes(xbr(dags, "--diff-base", "main", "--format", "json"))) == 5


def test_a_base_that_git_does_not_know_is_told(dags: Path) -> None:
    outside = xbr(dags, "--diff-base", "main")
    assert outside.exit_code == 2
    assert "not a git repository" in outside.output
    git(dags.parent, "init")
    assert "merge-base" in xbr(dags, "--diff-base", "nowhere").output


def test_a_file_that_cannot_be_parsed_does_not_hide_the_others(dags: Path) -> None:
    (dags / "broken.py").write_text("from airflow import (\n")
    done = xbr(dags, "--format", "json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["unreadable"][0]["file"] == "dags/broken.py"
    (dags / "d.py").unlink()
    assert xbr(dags).exit_code == 4


def test_excluded_files_and_folders_of_tools_are_left_out(dags: Path) -> None:
    (dags / ".venv").mkdir()
    (dags / ".venv" / "x.py").write_text(BAD)
    configure(dags, 'exclude = ["dags/d*"]')
    done = xbr(dags, "--format", "json")
    assert json.loads(done.stdout)["files"] == 0


def test_github_annotations_are_escaped(dags: Path) -> None:
    (dags / "d.py").rename(dags / "a,b.py")
    lines = xbr(dags, "--format", "github").output.splitlines()
    assert lines[0].startswith("::error file=dags/a%2Cb.py,line=5,col=1,title=XCL001::doc_md of")


def test_sarif_names_rules_and_places(dags: Path) -> None:
    (run,) = json.loads(xbr(dags, "--format", "sarif").stdout)["runs"]
    known = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in run["results"]} <= known
    region = run["results"][0]["locations"][0]["physicalLocation"]
    assert region["artifactLocation"]["uri"] == "dags/d.py"
    assert region["region"] == {"startLine": 5, "startColumn": 1}


def test_a_table_that_is_none_is_told(dags: Path) -> None:
    (dags.parent / "pyproject.toml").write_text("[tool]\nxcom-lint = 1\n")
    done = xbr(dags)
    assert done.exit_code == 2
    assert "tool.xcom-lint = 1: use a table" in done.output


@pytest.mark.parametrize("module", ["pydantic", "kubernetes", "kopf"])
def test_one_file_is_linted_without_what_is_slow_to_import(dags: Path, module: str) -> None:
    program = f"""
import sys
from xcom_rollout.cli import main
try:
    main(["lint", {str(dags)!r}])
except SystemExit:
    sys.exit(3 if {module!r} in sys.modules else 0)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
