"""Tasks in another namespace start with a copy of the configuration, which no delivery changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from simulation import Simulation, Weather
from xcom_rollout.decide import decide
from xcom_rollout.decide.actions import SetValues
from xcom_rollout.decide.copies import COPY_PATIENCE, copy_command
from xcom_rollout.decide.decision import Decision, Progress
from xcom_rollout.decide.observed import Observed, StaleCopy

STALE = StaleCopy("tasks", "airflow-config")


def with_stale(seen: Observed, *, after: timedelta = timedelta(0)) -> Decision:
    """Return what is decided where a copy does not follow, some time after a delivery."""
    release = seen.release
    assert release is not None
    return decide(replace(seen, stale_copies=(STALE,)), release.updated_at + after)


def test_nothing_is_delivered_while_a_copy_says_another_thing_already() -> None:
    sim = Simulation([])
    for _ in range(400):
        sim.step()
        sim.tick()
        decision = with_stale(sim.observe(), after=timedelta(hours=1))
        if decision.current.finding.reason == "ConfigNotCopied":
            break
        assert not isinstance(decision.action, SetValues)
    else:
        pytest.fail("nobody minded the copy")
    finding = decision.current.finding
    assert decision.current.step == "tasks-visible"
    assert "tasks/airflow-config" in finding.message
    assert copy_command("airflow", STALE) in finding.message


def test_the_cut_over_waits_until_the_copies_have_followed() -> None:
    sim = Simulation([], weather=Weather(copied_after=40))
    for _ in range(600):
        current = sim.step().current
        if (current.step, current.finding.reason) == ("readers-rolled", "ConfigNotCopied"):
            break
        sim.tick()
    else:
        pytest.fail("nobody waited for the copies")
    assert current.finding.progress is Progress.WAITING
    sim.run_until("Live")


def test_a_kill_stops_no_run_before_the_copies_have_followed() -> None:
    sim = Simulation([], weather=Weather(copied_after=40))
    sim.run_until("Live")
    sim.kill()
    waited = 0
    for _ in range(300):
        decision = sim.step()
        if decision.current.finding.reason == "ConfigNotCopied":
            assert decision.current.step == "writers-stopped"
            waited += 1
        if decision.current.finding.reason == "WritersStopped":
            break
        sim.tick()
    kill = sim.ledger.kill
    assert waited
    assert kill is not None
    assert kill.writers_stopped_at is not None
    assert (kill.writers_stopped_at - kill.engaged_at).total_seconds() >= 40


def test_a_copy_that_no_longer_follows_begins_another_round_of_a_kill() -> None:
    sim = Simulation([])
    sim.run_until("Live")
    sim.kill()
    for _ in range(300):
        sim.step()
        if sim.ledger.kill is not None and sim.ledger.kill.writers_stopped_at is not None:
            break
        sim.tick()
    decision = with_stale(sim.observe())
    assert decision.current.finding.reason == "NextRound"


def test_after_a_minute_the_command_is_given() -> None:
    sim = Simulation([])
    sim.run_until("Live")
    seen = sim.observe()
    soon, later = with_stale(seen).current, with_stale(seen, after=COPY_PATIENCE).current
    assert {soon.step, later.step} == {"cut-over-rolled"}
    assert soon.finding.progress is Progress.WAITING
    assert later.finding.progress is Progress.HELD
    assert "kubectl patch configmap airflow-config -n tasks --type merge" in later.finding.message
