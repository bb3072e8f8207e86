"""The parts of the benchmarks that need no cluster: how results are read and written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bench import kill, page, probe, rest
from bench.__main__ import BENCHMARKS, main
from bench.asked import Counts
from harness.shell import HarnessError

TEXT = "# Page\n<!-- results of kill -->\nold\n<!-- end of kill -->\nprose\n"


def test_results_replace_only_what_is_between_their_markers() -> None:
    new = page.replaced(TEXT, "kill", "\n| a \\1 |\n")
    assert new == TEXT.replace("old", "| a \\1 |")
    assert page.replaced(new, "kill", "old") == TEXT


def test_a_page_without_the_markers_is_an_error() -> None:
    with pytest.raises(HarnessError, match="no markers <!-- results of probe -->"):
        page.replaced(TEXT, "probe", "x")


def test_the_page_of_the_documentation_has_a_place_for_every_benchmark() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    for name in BENCHMARKS:
        assert "figures" in page.replaced(text, name, "figures")


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed"]) == 2
    assert "no benchmark speed" in capsys.readouterr().err


def test_the_kill_report_says_when_the_goal_is_not_kept_which_is_lower_for_several_runs() -> None:
    quick, slow = (kill.Outcome(s, {"writers stopped": s / 2}) for s in (8.0, 10.0))
    assert "Median ratio: **0.80** (goal: 0.7, NOT kept)" in kill.report(3, [(quick, slow)])
    assert "Median ratio: **0.80** (goal: 1.0, kept)" in kill.report(1, [(quick, slow)])
    assert "| 1 | 10.0 | 8.0 | 1.25 | 5.0 | 4.0 |" in kill.report(1, [(slow, quick)])


def test_the_steps_of_a_script_count_from_its_first_line() -> None:
    printed = "1700000000.5 pause\n1700000002.75 end-pods\n"
    assert kill._steps_of_script(printed) == {"pause": 0.0, "end pods": 2.25}


def test_the_steps_of_the_operator_are_those_of_its_last_kill() -> None:
    history = [
        {"at": "2026-01-01T00:00:00Z", "event": "KillSwitchEngaged"},
        {"at": "2026-01-01T01:00:00Z", "event": "KillSwitchEngaged"},
        {"at": "2026-01-01T01:00:02Z", "event": "Reverting"},
        {"at": "2026-01-01T01:00:04Z", "event": "Reverting"},
        {"at": "2026-01-01T01:00:09Z", "event": "RunsCleared"},
    ]
    assert kill._steps_of_history(history) == {"engaged": 0, "revert": 2, "queued": 9}


def test_the_probe_report_takes_the_medians_and_subtracts_s3() -> None:
    version = tuple(probe.Run(seconds, 1.0, 100.0) for seconds in (1.0, 2.0, 9.0))
    proof = tuple(probe.Run(seconds, 2.0, 150.0) for seconds in (3.0, 3.5, 4.0))
    text = probe.report([probe.Result("scheduler", version, proof, 7, 0.5)])
    assert "| scheduler | 2.00 (1.00 to 9.00) | 3.50 (3.00 to 4.00) | 1.75 |" in text
    assert "| 7 in 0.50 s | **1.50** |" in text


def test_an_hour_is_extrapolated_from_the_window() -> None:
    counts: Counts = Counter({("get", "secrets"): 10, ("list", "pods"): 5})
    result = rest.Rest("live", 10, 300.0, counts, 66.0, 70.0)
    assert result.hourly == 180
    assert "| 10 live | 66 | 70 | 300 | 15 | **180** | 18 |" in rest.report([result])


def test_the_script_is_where_the_benchmark_takes_it_from() -> None:
    text = kill.SCRIPT.read_text(encoding="utf-8")
    # What heals runs is a function that comes before the steps that call it.
    healing = ("census$1", "stop$1", "end-pods$1", "empty$1", "clear$1", "queued$1")
    order = [text.index(f'step "{name}"\n') for name in healing]
    assert order == sorted(order)
    steps = ("stop-writers", "old-writers", "revert", "verify", "verified")
    positions = [text.index(f"step {name}\n") for name in steps]
    assert positions == sorted(positions)
    assert Path(kill.SCRIPT).stat().st_mode & 0o111
