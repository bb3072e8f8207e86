"""When a look at the world serves another decision."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from xcom_rollout.decide.kill.same_look import serves_on
from xcom_rollout.decide.ledger import Kill, Ledger, RecoveringRun, RunKey, RunStage

AT = datetime(2026, 1, 1, tzinfo=UTC)
RUN = RecoveringRun(RunKey("etl", "a"), 1)
KILL = Kill(1, AT, "ana", "x", runs=(RUN,))
BEFORE = Ledger(kill=KILL, resource_version="1")


def after(kill: Kill | None) -> Ledger:
    return replace(BEFORE, kill=kill, resource_version="2")


def test_where_only_the_stages_of_runs_changed_it_does() -> None:
    for stage in RunStage:
        assert serves_on(BEFORE, after(replace(KILL, runs=(RUN.at(stage),))))
    assert serves_on(BEFORE, after(replace(KILL, emptied_attempt=3, queued_at=AT)))


def test_a_run_that_was_stopped_takes_a_look_into_the_workers() -> None:
    """Nobody looks there before, so that none of its processes was seen says nothing."""
    stopped = replace(RUN.at(RunStage.STOPPED), stopped_at=AT)
    assert not serves_on(BEFORE, after(replace(KILL, runs=(stopped,))))
    looked = replace(BEFORE, kill=replace(KILL, runs=(stopped,)))
    assert serves_on(looked, after(replace(KILL, runs=(stopped.at(RunStage.EMPTIED),))))


def test_where_a_run_has_come_or_gone_it_does_not() -> None:
    other = replace(RUN, key=RunKey("etl", "b"))
    for runs in ((RUN, other), (other,), ()):
        assert not serves_on(BEFORE, after(replace(KILL, runs=runs)))


MARKS: dict[str, Any] = {
    "round": 2,
    "writers_stopped_at": AT,
    "writers_gone": True,
    "counted": ("found",),
    "finished_values": "settled",
    "reverting": True,
    "reverted_at": AT,
    "held_dags": ("etl",),
    "released_dags": ("etl",),
    "finished_at": AT,
    "attempt": 2,
}


@pytest.mark.parametrize("name", MARKS)
def test_where_the_kill_itself_has_come_further_it_does_not(name: str) -> None:
    assert name in {entry.name for entry in fields(Kill)}
    assert not serves_on(BEFORE, after(replace(KILL, **{name: MARKS[name]})))


def test_where_a_kill_has_begun_or_anything_else_is_on_record_it_does_not() -> None:
    assert not serves_on(replace(BEFORE, kill=None), after(KILL))
    assert not serves_on(BEFORE, after(None))
    assert not serves_on(BEFORE, replace(BEFORE, bases=("s3://c@b/x",)))
