"""The closing table must not call a run green that proved nothing."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from harness import stages
from harness.stages import Counts, Stage

REPORT = """\
<testsuites><testsuite>
  <testcase name="a"/>
  <testcase name="b"><system-out>words</system-out></testcase>
  <testcase name="c"><failure message="no"/></testcase>
  <testcase name="d"><error message="fixture"/></testcase>
  <testcase name="e"><skipped message="later"/></testcase>
</testsuite></testsuites>
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a Makefile whose `unit` does as it is told by the file `unit.sh`."""
    (tmp_path / "Makefile").write_text("unit:\n\t@sh unit.sh\nlint:\n\t@true\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_unit(project: Path, script: str) -> None:
    (project / "unit.sh").write_text(textwrap.dedent(script))


def test_counts_each_outcome(tmp_path: Path) -> None:
    report = tmp_path / "unit.xml"
    report.write_text(REPORT)
    assert stages.read_counts(report) == Counts(passed=2, failed=2, skipped=1)


def test_a_missing_report_counts_nothing(tmp_path: Path) -> None:
    assert stages.read_counts(tmp_path / "unit.xml") == Counts()


def test_green_run(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_unit(project, "echo '<testsuite><testcase/></testsuite>' > build/reports/unit.xml")
    assert stages.main(["lint", "unit"]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "1 passed, 0 failed"
    assert (project / "build/reports/summary.txt").read_text() == "1 passed, 0 failed\n"


def test_later_stages_run_after_a_failing_one(project: Path) -> None:
    write_unit(project, "exit 3")
    assert stages.main(["unit", "lint"]) == 1


def test_a_suite_without_a_passed_test_fails_the_run(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    skipped = "<testsuite><testcase><skipped/></testcase></testsuite>"
    write_unit(project, f"echo '{skipped}' > build/reports/unit.xml")
    assert stages.main(["unit"]) == 1
    assert "no test passed" in capfd.readouterr().out


def test_an_old_report_is_not_read_as_this_run(project: Path) -> None:
    (project / "build/reports").mkdir(parents=True)
    (project / "build/reports/unit.xml").write_text(REPORT)
    write_unit(project, "true")
    assert stages.run_stage("unit").counts == Counts()


def test_table_names_the_problem() -> None:
    shown = stages.table(
        [Stage("lint", 2, 1.25, None), Stage("unit", 0, 3.0, Counts(5, 0, 1))]
    ).splitlines()
    assert shown[0].split() == ["stage", "result", "passed", "failed", "skipped", "seconds"]
    assert shown[1].split() == ["lint", "exit", "status", "2", "-", "-", "-", "1.2"]
    assert shown[2].split() == ["unit", "ok", "5", "0", "1", "3.0"]
