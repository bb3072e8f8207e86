"""What the provenance gate guarantees, and how it is passed."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation import BUILD, SimRun, Simulation, spec
from xcom_rollout.decide.actions import InspectBuilds, SetValues
from xcom_rollout.decide.decision import Progress
from xcom_rollout.decide.ledger import BuildSource, RunKey
from xcom_rollout.decide.summarize import summarize

OTHER = "fedcba9876543210fedcba9876543210fedcba98"


def world(runs: list[SimRun] | None = None, **gate: Any) -> Simulation:
    declared = {"expectedBuild": BUILD, **gate}
    return Simulation(runs or [], the_spec=spec(gates={"provenance": declared}))


def held(sim: Simulation, seconds: int = 30) -> str:
    """Go on until a step is held; its reason and message."""
    finding = sim.go(seconds).current.finding
    assert finding.progress is Progress.HELD, finding
    return f"{finding.reason}: {finding.message}"


def deliveries(sim: Simulation) -> list[str | None]:
    return [a.settings.threshold for a in sim.actions if isinstance(a, SetValues)]


def looks(sim: Simulation) -> list[InspectBuilds]:
    return [a for a in sim.actions if isinstance(a, InspectBuilds)]


@settings(max_examples=150, deadline=None)
@given(
    gate=st.sampled_from([{}, {"interval": "5s"}, {"maxAge": "1m", "sources": ["stamp", "image"]}]),
    events=st.lists(
        st.one_of(
            st.none(),
            st.sampled_from([BUILD, OTHER, "untold", "restart", "change", "minutes", "stopped"]),
        ),
        max_size=60,
    ),
    roll_seconds=st.integers(1, 8),
)
def test_nothing_is_delivered_before_a_look_saw_the_expected_build_in_these_very_pods(
    gate: dict[str, Any], events: list[str | None], roll_seconds: int
) -> None:
    """Another build, an untold one, other pods, an old look: whatever happens meanwhile."""
    sim = world([SimRun(RunKey("dag", "run"), [(5, 10), (5, 5000)])], **gate)
    sim.roll_seconds = roll_seconds
    for event in events:
        match event:
            case None:
                sim.tick()
            case "untold":
                sim.build = None
            case "restart":
                sim.fleet[0] = sim._pod(sim.fleet[0].component)
            case "change":
                sim.content += "."
            case "minutes":
                sim.now += timedelta(minutes=5)
            case "stopped":
                sim.step(stop_before=True)
            case build:
                sim.build = build
        sim.step()
    assert sim.unconfirmed == []
    sim.build = BUILD
    sim.run_until("Live")
    assert sim.unconfirmed == []
    assert sim.blind_offloads == []


def test_without_the_gate_no_pod_is_looked_into_for_its_build() -> None:
    sim = Simulation([])
    sim.build = None
    sim.run_until("Live")
    assert looks(sim) == []
    status = summarize(sim.observe(), sim.peek(), sim.now, {})
    assert "provenance" not in status
    assert "BuildConfirmed" not in {entry["type"] for entry in status["conditions"]}


def test_the_pods_are_looked_into_before_each_of_the_two_deliveries() -> None:
    sim = world()
    sim.run_until("Live")
    kinds = [
        type(action).__name__
        for action in sim.actions
        if isinstance(action, (InspectBuilds, SetValues))
    ]
    assert kinds == ["InspectBuilds", "SetValues", "InspectBuilds", "SetValues"]
    first, second = (look.question.pods for look in looks(sim))
    assert not set(first) & set(second), "the pods of the second look are those that were made"


def test_the_question_is_what_the_spec_says() -> None:
    sim = world(sources=["image", "tags"], imageEnv=["SHA"], imageLabels=[], dags=["etl"])
    sim.run_until("Live")
    asked = looks(sim)[0].question
    assert asked.expected == BUILD
    assert asked.sources == (BuildSource.IMAGE, BuildSource.TAGS)
    assert (asked.variables, asked.labels, asked.dags) == (("SHA",), (), ("etl",))


def test_another_build_holds_with_what_was_seen_and_what_to_do() -> None:
    sim = world()
    sim.build = OTHER
    said = held(sim)
    assert deliveries(sim) == []
    for part in (
        f"BuildDiffers: stale: the pods are {OTHER}. ",
        "Let git-sync pull the DAGs of that commit",
        "spec.gates.provenance.expectedBuild",
        "checked every 30s",
    ):
        assert part in said


def test_what_does_not_tell_its_build_holds_and_the_leg_is_named() -> None:
    sim = world()
    sim.build = None
    said = held(sim)
    assert deliveries(sim) == []
    assert said.startswith("BuildUnknown: unknown: the pods are None. Have the DAGs stamped")
    assert "leave stamp out of spec.gates.provenance.sources" in said
    only = world(sources=["stamp"])
    only.build = None
    assert "leave stamp out" not in held(only), "nothing would be left to judge"


def test_a_build_that_catches_up_is_noticed_without_a_person_and_the_wait_makes_no_news() -> None:
    sim = world(interval="20s")
    sim.build = OTHER
    held(sim)
    before = len(looks(sim))
    status = summarize(sim.observe(), sim.peek(), sim.now, {})
    for _ in range(200):
        sim.tick()
        decision = sim.step()
        assert decision.current.finding.progress is Progress.HELD
        status = summarize(sim.observe(), decision, sim.now, status)
    assert len(looks(sim)) - before == 10, "every 20 s"
    assert len(status["history"]) == 1
    sim.build = BUILD
    sim.run_until("Live", seconds=120)


def test_the_next_look_is_asked_for_when_it_is_due() -> None:
    sim = world(interval="10m")
    sim.build = OTHER
    held(sim)
    at = sim.looks[-1][0]
    assert sim.peek().requeue_after == at + timedelta(minutes=10) - sim.now


@pytest.mark.parametrize("change", ["expectation", "pod", "digest"])
def test_what_was_seen_counts_for_nothing_else(change: str) -> None:
    """Neither for another commit, nor for other pods, nor for what the digest is made of: images,
    templates, configuration, a person's request."""
    sim = world(interval="10m")
    sim.build = OTHER
    held(sim)
    before = len(looks(sim))
    match change:
        case "expectation":
            sim.spec = spec(gates={"provenance": {"expectedBuild": OTHER}})
        case "pod":
            sim.fleet[0] = sim._pod(sim.fleet[0].component)
        case _:
            sim.content += "."
    sim.go(10)
    assert len(looks(sim)) > before
    if change == "expectation":
        sim.run_until("Live")


def test_a_fresh_look_counts_for_a_while_only() -> None:
    sim = world()
    while not isinstance(sim.step(stop_before=True).action, InspectBuilds):
        assert looks(sim) == [], "nobody is asked before it can matter"
        sim.step()
        sim.tick()
    assert isinstance(sim.step().action, InspectBuilds)
    sim.now += timedelta(minutes=5)
    assert isinstance(sim.step().action, InspectBuilds)
    while not isinstance(sim.step().action, SetValues):
        assert len(looks(sim)) == 2, "a fresh look counts"
        sim.tick()


def test_the_build_may_not_change_between_the_readers_and_the_cut_over() -> None:
    sim = world()
    while deliveries(sim) != ["-1"]:
        sim.step()
        sim.tick()
    sim.build = OTHER
    said = held(sim, 60)
    assert said.startswith("BuildDiffers")
    assert deliveries(sim) == ["-1"]
    sim.build = BUILD
    sim.run_until("Live")
    assert deliveries(sim) == ["-1", "1000"]


def test_what_is_live_is_not_held_by_a_newer_build() -> None:
    sim = world()
    sim.run_until("Live")
    done = len(looks(sim))
    sim.build = OTHER
    assert sim.go(600).phase == "Live"
    assert len(looks(sim)) == done


@pytest.mark.parametrize("when", ["before", "between", "live"])
def test_a_kill_asks_for_no_build(when: str) -> None:
    sim = world([SimRun(RunKey("dag", "run"), [(5, 10), (40, 5000)])])
    if when == "before":
        sim.build = OTHER
        held(sim)
    elif when == "between":
        while deliveries(sim) != ["-1"]:
            sim.step()
            sim.tick()
        sim.build = None
        held(sim, 120)
    else:
        sim.run_until("Live")
        sim.build = None
    done = len(looks(sim))
    sim.kill()
    sim.run_until("Reverted", seconds=1200)
    assert len(looks(sim)) == done
    assert sim.settings.is_database


def test_after_a_kill_the_build_is_looked_for_again() -> None:
    sim = world()
    sim.run_until("Live")
    sim.kill()
    sim.run_until("Reverted")
    del sim.annotations["xcomrollout.dev/kill"]
    sim.build = OTHER
    assert held(sim).startswith("BuildDiffers")
    assert deliveries(sim)[-1] is None


def test_the_status_of_the_gate_is_of_its_schema() -> None:
    sim = world()
    sim.build = OTHER
    status = sim.summarized(passes=60)
    shown = status["provenance"]
    assert shown["verdict"] == "stale"
    assert shown["expectedBuild"] == BUILD
    assert shown["pods"] == 3
    assert shown["readings"] == [f"stamp of the pod scheduler is {OTHER}"]
    kinds = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert kinds["BuildConfirmed"] == ("False", "BuildDiffers")
    assert kinds["Stalled"] == ("True", "BuildDiffers")
    assert kinds["ReadersConfirmed"] == ("False", "NotReached")
