"""The command line beside the operator's own code: what it says of a kill from its begin on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from simulation import SimRun, Simulation, spec
from xcom_rollout.api.names import ANNOTATION_KILL
from xcom_rollout.cli.forecast import forecast
from xcom_rollout.cli.kill_state import KillState, engage, state_of
from xcom_rollout.cli.session import Person
from xcom_rollout.cli.story import progress, render
from xcom_rollout.decide import decide
from xcom_rollout.decide.ledger import RunKey, RunStage, Strategy
from xcom_rollout.decide.summarize import Status, summarize

ANA = Person("ana", datetime(2026, 1, 1, tzinfo=UTC))


class Followed:
    """A rollout that offloads, with runs in flight, and its status as the operator writes it."""

    def __init__(self) -> None:
        self.sim = Simulation([], the_spec=spec(census={"interval": "5m"}))
        self.status: Status = {}
        self.go("Live")
        self.offloads = self.sim.settings
        for number in range(2):
            key = RunKey(f"dag{number}", "run")
            self.sim.runs[key] = SimRun(key, [(3, 5000), (900, 10)])
        for _ in range(400):
            self.look()
            census = self.sim.ledger.census
            if census is not None and len(census.runs) == 2:
                return
        raise AssertionError("no census found the two runs")

    def raw(self) -> dict[str, Any]:
        metadata = {
            "name": "demo",
            "namespace": "airflow",
            "generation": 1,
            "annotations": dict(self.sim.annotations),
        }
        spec = {"airflow": {"release": "airflow"}}
        return {"metadata": metadata, "spec": spec, "status": self.status}

    def look(self) -> None:
        """Let the operator make one pass, and time pass where it does nothing."""
        seen = self.sim.observe()
        decision = decide(seen, self.sim.seen_now)
        self.status = summarize(seen, decision, self.sim.seen_now, self.status)
        if decision.action is not None:
            self.sim.perform(decision.action)
        else:
            self.sim.tick()

    def go(self, phase: str) -> set[KillState]:
        """Go on until the phase is reached and done; return the states seen on the way."""
        states = set()
        for _ in range(6000):
            self.look()
            states.add(state_of(self.raw()))
            progress(self.raw())
            render(self.raw(), self.sim.seen_now)
            ready = next(c for c in self.status["conditions"] if c["type"] == "Ready")
            if self.status["phase"] == phase and ready["status"] == "True":
                return states
        raise AssertionError(f"{phase} was not reached: {self.status}")

    def engage(self, strategy: Strategy | None = None) -> None:
        request = engage(self.raw(), ANA, "S3 is down", strategy)
        assert request is not None
        self.sim.annotations[ANNOTATION_KILL] = json.dumps(request)


@pytest.mark.parametrize("strategy", [Strategy.RETRIGGER, Strategy.REHYDRATE, Strategy.IMMEDIATE])
def test_a_kill_does_what_its_dry_run_says(strategy: Strategy) -> None:
    followed = Followed()
    said = forecast(followed.sim.observe(), followed.sim.seen_now, strategy)
    followed.engage(strategy)
    assert state_of(followed.raw()) is KillState.NOT_BEGUN
    states = followed.go("Reverted")
    assert {KillState.GOING_ON, KillState.FINISHED} <= states
    kill = followed.sim.ledger.kill
    assert kill is not None
    assert kill.strategy is strategy
    rerun = {run.key for run in kill.runs if run.stage is RunStage.RECOVERED}
    assert rerun == {run.key for run in said.rerun}
    assert {run.key for run in kill.runs} - rerun == {run.key for run in said.copied}


def test_a_flip_after_a_finished_kill_is_seen_as_the_next_kill() -> None:
    """W1."""
    followed = Followed()
    followed.engage()
    followed.go("Reverted")
    assert state_of(followed.raw()) is KillState.FINISHED
    followed.sim._set_values(followed.offloads)
    for _ in range(3):
        followed.look()
    assert state_of(followed.raw()) is not KillState.FINISHED
    followed.go("Reverted")
    assert state_of(followed.raw()) is KillState.FINISHED
    assert followed.status["killSwitch"]["attempt"] == 2


def test_a_kill_follows_a_changed_strategy() -> None:
    followed = Followed()
    followed.engage(Strategy.DRAIN)
    for _ in range(40):
        followed.look()
    assert followed.status["killSwitch"]["runs"]["draining"] == 2
    changed = forecast(followed.sim.observe(), followed.sim.seen_now, Strategy.REHYDRATE)
    assert len(changed.copied) == 2
    followed.engage(Strategy.REHYDRATE)
    followed.go("Reverted")
    assert followed.status["killSwitch"]["strategy"] == "Rehydrate"
