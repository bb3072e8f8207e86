"""Tasks in another namespace start with a copy of the configuration, which no delivery changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from simulation import Simulation, Weather
from xcom_rollout.decide import decide
from xcom_rollout.decide.actions import SetValues
from xcom_rollout.decide.confirming import configuration_settled
from xcom_rollout.decide.copies import copy_command
from xcom_rollout.decide.decision import Decision, Progress
from xcom_rollout.decide.observed import MOUNT_LAG, Observed, StaleCopy
from xcom_rollout.decide.situation import COPY_LAG_MOST, COPY_PATIENCE, Situation

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


def after_a_delivery(changed: timedelta, *, earlier_lag: float = 0.0) -> Situation:
    """Return the moment of a delivery, with a copy that says the same.

    Args:
        changed: when it changed last, after that delivery.
        earlier_lag: seconds after which it had followed an earlier delivery.
    """
    sim = Simulation([])
    sim.run_until("Live")
    seen = sim.observe()
    assert seen.release is not None
    assert seen.ledger.delivered is not None
    at = seen.release.updated_at
    delivered = replace(seen.ledger.delivered, copied_after=earlier_lag)
    ledger = replace(seen.ledger, delivered=delivered)
    return Situation(replace(seen, copies_changed_at=at + changed, ledger=ledger), at)


def left(s: Situation) -> timedelta:
    """Return for how long new pods count as ones that may have the earlier configuration."""
    return configuration_settled(s, s.now).after


SECOND = timedelta(seconds=1)


def test_a_copy_that_has_followed_is_believed() -> None:
    assert left(after_a_delivery(SECOND)) == MOUNT_LAG
    assert left(after_a_delivery(timedelta(0))) == MOUNT_LAG, "Kubernetes has whole seconds"


def test_a_copy_that_said_the_same_before_may_bring_later_what_came_in_between() -> None:
    before = after_a_delivery(-SECOND)
    assert left(before) == MOUNT_LAG + COPY_PATIENCE
    message = configuration_settled(before, before.now).message
    assert "the copies in other namespaces, which have not changed since, 60 s" in message


def test_it_is_given_as_long_as_a_copy_has_ever_taken() -> None:
    assert left(after_a_delivery(-SECOND, earlier_lag=200)) == MOUNT_LAG + 200 * SECOND
    assert left(after_a_delivery(-SECOND, earlier_lag=3)) == MOUNT_LAG + COPY_PATIENCE


def test_how_long_copies_take_is_recorded_and_bounded() -> None:
    assert after_a_delivery(40 * SECOND).delivered_now.copied_after == 40
    assert after_a_delivery(40 * SECOND, earlier_lag=90).delivered_now.copied_after == 90
    assert after_a_delivery(-SECOND, earlier_lag=90).delivered_now.copied_after == 90
    late = after_a_delivery(timedelta(hours=3)).delivered_now.copied_after
    assert late == COPY_LAG_MOST.total_seconds()


def test_a_delivery_that_copies_have_not_followed_yet_tells_how_long_the_one_before_took() -> None:
    s = after_a_delivery(-SECOND)
    assert s.ledger.delivered is not None
    earlier = replace(s.ledger.delivered, at=s.now - 91 * SECOND)
    ledger = replace(s.ledger, delivered=earlier)
    assert Situation(replace(s.observed, ledger=ledger), s.now).delivered_now.copied_after == 90


@pytest.mark.parametrize("lag", [20, 150])
def test_a_kill_in_the_middle_of_a_cut_over_waits_for_what_the_copies_may_still_bring(
    lag: int,
) -> None:
    sim = Simulation([], weather=Weather(copied_after=lag))
    for _ in range(900):
        sim.step()
        if sim.cluster.config.threshold == "1000":
            break
        sim.tick()
    else:
        pytest.fail("nothing was cut over")
    for _ in range(8):
        sim.step()
        sim.tick()
    assert sim.cluster.copied.threshold == "-1", "they still say what the kill will deliver"
    sim.kill()
    for _ in range(900):
        sim.step()
        kill = sim.ledger.kill
        if kill is not None and kill.writers_gone:
            break
        sim.tick()
    else:
        pytest.fail("the writers are never gone")
    assert sim.cluster.copy_changed >= sim.cluster.changed, "the copies have followed the kill"


def test_without_copies_nothing_is_waited_for() -> None:
    s = after_a_delivery(-SECOND)
    alone = Situation(replace(s.observed, copies_changed_at=None), s.now)
    assert left(alone) == MOUNT_LAG
