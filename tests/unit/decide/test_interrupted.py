"""What a delivery that was cut off has changed stays, though its revision is taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from simulation import Plan, Simulation, Weather, play
from xcom_rollout.decide.actions import ForgetDelivery, SetValues, WriteLedger
from xcom_rollout.decide.kill.common import nothing_delivered
from xcom_rollout.decide.kill.revert import reverted
from xcom_rollout.decide.kill.writers import writers_stopped
from xcom_rollout.decide.ledger import Kill, Ledger
from xcom_rollout.decide.observed import Maker
from xcom_rollout.decide.release_steps import no_helm_operation
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.decide.situation import Situation


def readers_delivered(interrupted: int) -> Situation:
    """Return a kill's moment in which the record says -1 already.

    Args:
        interrupted: how many revisions later one was cut off.
    """
    sim = Simulation([])
    sim.run_until("Live")
    seen = sim.observe()
    assert seen.release is not None
    settings = replace(seen.release.settings, threshold="-1")
    ledger = replace(
        seen.ledger,
        kill=Kill(1, sim.now, "ana", "test"),
        interrupted=seen.release.revision + interrupted if interrupted else 0,
    )
    release = replace(seen.release, settings=settings)
    return Situation(replace(seen, release=release, ledger=ledger), sim.now)


def with_settings(s: Situation, settings: BackendSettings) -> Situation:
    return Situation(replace(s.observed, release=replace(s.release, settings=settings)), s.now)


def test_it_is_recorded_before_it_is_taken_back() -> None:
    s = readers_delivered(0)
    long_ago = s.now - timedelta(hours=1)
    pending = replace(
        s.release, status="pending-upgrade", maker=Maker.OPERATOR, updated_at=long_ago
    )
    s = Situation(replace(s.observed, release=pending), s.now)
    recorded = no_helm_operation(s).action
    assert isinstance(recorded, WriteLedger)
    assert recorded.ledger.interrupted == pending.revision
    again = Situation(replace(s.observed, ledger=recorded.ledger), s.now)
    assert no_helm_operation(again).action == ForgetDelivery(pending.revision)


def test_a_kill_delivers_though_the_record_says_that_it_is_delivered() -> None:
    assert not isinstance(writers_stopped(readers_delivered(0)).action, SetValues)
    finding = writers_stopped(readers_delivered(1))
    assert finding.reason == "StoppingWriters"
    assert isinstance(finding.action, SetValues)
    assert finding.action.settings.threshold == "-1"


def test_the_next_delivery_has_its_number_and_is_believed() -> None:
    s = readers_delivered(1)
    later = replace(s.release, revision=s.release.revision + 1)
    s = Situation(replace(s.observed, release=later), s.now)
    assert s.holds(later.settings)
    assert not isinstance(writers_stopped(s).action, SetValues)


def test_a_revert_is_delivered_though_the_record_says_so() -> None:
    s = with_settings(readers_delivered(1), BackendSettings())
    assert s.ledger.kill is not None
    kill = replace(s.ledger.kill, reverting=True)
    s = Situation(replace(s.observed, ledger=replace(s.ledger, kill=kill)), s.now)
    assert isinstance(reverted(s).action, SetValues)


def test_a_first_delivery_that_was_cut_off_is_no_rollout_that_delivered_nothing() -> None:
    s = with_settings(readers_delivered(1), BackendSettings())
    empty = Ledger(interrupted=s.release.revision + 1)
    assert not nothing_delivered(Situation(replace(s.observed, ledger=empty), s.now))
    assert nothing_delivered(Situation(replace(s.observed, ledger=Ledger()), s.now))


def test_a_kill_after_a_first_delivery_that_was_cut_off_leaves_no_reader() -> None:
    weather = Weather(helm=(0, 0), helm_dies=(1,), helm_dies_late=True)
    sim = play(Plan((), weather, kill_at=8, flip=True))
    assert sim.ledger.interrupted
    assert sim.ledger.kill is not None
    assert sim.ledger.kill.finished_at is not None
    assert sim.cluster.config.is_database
    assert sim.hazards.found() == {}
