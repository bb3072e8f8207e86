"""The commands that change rows: their arguments, their statements, what they count."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from xcom_probe import main
from xcom_probe.commands.forget import _counts, _forgotten
from xcom_probe.table.changes import changes
from xcom_probe.table.forgetting import Forgotten
from xcom_probe.table.rehydrating import Held, Outcome, Totals, Wanted
from xcom_probe.table.supported import _KNOWN

RUN = Wanted(1, "d", "r", 200)


def _outcome(**more: Any) -> Outcome:
    return Outcome(Held(RUN, "t", -1, "k", "s3://b/x", b'"s3://b/x"', "s3://b"), **more)


def test_arguments_of_forget() -> None:
    args = main.parse(
        ["forget", "--base", "s3://b/x", "--base", "s3://b/y", "--runs-file", "-", "--dry-run"]
    )
    assert (args.base, args.runs_file, args.dry_run) == (["s3://b/x", "s3://b/y"], "-", True)
    with pytest.raises(SystemExit):
        main.parse(["forget", "--base", "s3://b/x"])


def test_arguments_of_rehydrate() -> None:
    args = main.parse(["rehydrate", "--base", "s3://b/x", "--finished", "--limit-seconds", "60"])
    assert (args.finished, args.runs_file, args.limit_seconds, args.batch) == (True, None, 60, 100)
    for wrong in (
        [],
        ["--finished", "--runs-file", "-"],
        ["--finished", "--batch", "0"],
        ["--finished", "--limit-seconds", "-1"],
        ["--finished", "--accept-drift", "tuple-to-list"],
    ):
        with pytest.raises(SystemExit):
            main.parse(["rehydrate", "--base", "s3://b/x", *wrong])


@pytest.mark.parametrize(("dialect", "value_type"), sorted(_KNOWN))
def test_every_change_names_one_run_and_holds_the_condition_of_a_path(
    dialect: str, value_type: str
) -> None:
    database: Any = SimpleNamespace(dialect=dialect, value_type=value_type, description="")
    found = changes(database)
    for statement in (found.forget, found.remaining, found.held):
        assert "WHERE dag_run_id = :run\n  AND " in statement
        assert ":prefix" in statement
        assert ":shortest" in statement
    for part in ("dag_run_id = :run", "task_id = :task", "map_index = :index", ":key", ":old"):
        assert part in found.replace.split(" WHERE ")[1]
    assert found.lock.endswith("FOR UPDATE")
    assert "FOR UPDATE" not in found.named
    assert (found.pickled is None) == (value_type in ("json", "jsonb"))


def test_runs_in_flight_are_refused_and_said() -> None:
    done = [
        Forgotten("d", "r1", "success", 3, 0, 0),
        Forgotten("d", "r2", "running", 0, 0, 0),
        Forgotten("d", "r3", "failed", 1, 2, 0),
        Forgotten("d", "r4", None, 0, 0, 0),
    ]
    assert _counts(done) == {"runs": 4, "rows": 4, "left": 2, "skipped": 1}
    finding = _forgotten(done)
    assert finding.status == "fail"
    assert finding.observed == "2 of 4 runs: d r2 (in flight: running), d r3 (2 rows left)"
    assert _forgotten([done[0], done[3]]).status == "pass"


def test_totals_of_a_rehydration() -> None:
    totals = Totals(wanted=200)
    totals.add(_outcome(data=b"123"))
    totals.add(_outcome())
    for _ in range(110):
        totals.add(_outcome(why="there is no such object"))
    assert totals.as_json() == {
        "copied": 1,
        "bytes": 3,
        "failed": 110,
        "changed": 1,
        "remaining": 88,
    }
    assert len(totals.failures) == 100
    assert totals.failures[0] == {
        "dagId": "d",
        "runId": "r",
        "taskId": "t",
        "mapIndex": -1,
        "key": "k",
        "path": "s3://b/x",
        "why": "there is no such object",
    }
    assert not totals.only_store
