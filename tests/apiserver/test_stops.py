"""The operator, stopped hard after any write, comes to the same end as one that never was.

A write is a request that may change something: in Kubernetes (the status included, Events not), in
Airflow's REST API, or a `helm upgrade`. Right after it was sent the operator is gone, with all it
had in memory; a new one goes on. Counted are revisions, clears, failed runs and proofs, so that
whatever is done twice shows in the outcome.

Every write has its turn: the first story stops after each write that it makes, so no life of the
operator gets further than one, and the next begins at once. The others stop after every STRIDE-th,
each beginning at another one, and the world goes on while the operator is down. With
`STOPS=single` in the environment there is a story for each single write instead (a long time).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TypeVar

import pytest

from standin.driver import Stops
from standin.gate_story import Held, tell_gate
from standin.place import THRESHOLD, VALUES
from standin.story import Outcome, RunSeen, StoryResult, Tellers, tell

T = TypeVar("T")
SINGLE = os.environ.get("STOPS") == "single"
STRIDE = 2
DOWNTIME = 5
"""Ticks until the operator runs again: enough for a run that was cleared to come to its end."""
MOST_WRITES = 2000


def test_without_a_fault_all_is_as_promised(undisturbed: StoryResult[Outcome]) -> None:
    outcome = undisturbed.outcome
    assert outcome.hazards == []
    assert outcome.live.revision == 3, "one revision for the readers, one for the cut-over"
    assert outcome.live.conditions["Offloading"] == "True (Live)"
    assert outcome.end.revision == 5, "one more to stop the writers, one for the revert"
    assert outcome.end.values == VALUES, "the user's values are back as they were"
    assert outcome.end.conditions["Reverted"] == "True (Reverted)"
    assert outcome.end.conditions["Ready"] == "True (Reverted)"
    assert outcome.runs == {
        "has-offloaded": RunSeen("success", fails=1, clears=1, path_rows=0),
        "will-offload": RunSeen("success", fails=1, clears=1, path_rows=0),
        "never-offloads": RunSeen("success", fails=0, clears=0, path_rows=0),
        "paused-by-people": RunSeen("queued", fails=0, clears=0, path_rows=0),
    }
    assert outcome.paused == ["asleep"], "DAGs that people paused stay so, all others run"
    assert outcome.live.triggerer.offloads(THRESHOLD)
    assert not outcome.end.triggerer.reads_offloaded
    assert len(outcome.live.proofs) == 2
    assert outcome.live.listed
    assert outcome.end.listed
    assert undisturbed.errors == []


@pytest.mark.timeout(7200 if SINGLE else 900)
def test_stop_after_every_write(
    undisturbed: StoryResult[Outcome], tellers: Tellers, subtests: pytest.Subtests
) -> None:
    print(f"{len(undisturbed.writes)} writes without a stop")
    stories = _stories(len(undisturbed.writes))
    told = {
        name: tellers.tell(tell, f"stops-{number}", stops=stops)
        for number, (name, stops) in enumerate(stories.items())
    }
    stopped_after: set[str] = set()
    for name, story in told.items():
        with subtests.test(msg=name):
            seen = story.result()
            assert seen.stopped_after, "the operator was never stopped"
            stopped_after |= set(seen.stopped_after)
            _same(seen, undisturbed.outcome)
    with subtests.test(msg="no write was left out"):
        made = {_kind(write) for write in undisturbed.writes}
        assert not made - {_kind(write) for write in stopped_after}


STOPPED = RunSeen("success", fails=1, clears=1, path_rows=0)
LEFT_ALONE = RunSeen("success", fails=0, clears=0, path_rows=0)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("strategy", "healed", "delivered"),
    [("Drain", LEFT_ALONE, 2), ("Rehydrate", LEFT_ALONE, 2), ("Immediate", STOPPED, 1)],
)
def test_with_each_strategy_an_operator_stopped_after_every_write_comes_to_the_same_end(
    tellers: Tellers, strategy: str, healed: RunSeen, delivered: int
) -> None:
    stops = Stops(range(1, MOST_WRITES))
    name = strategy.lower()
    plain = tellers.tell(tell, f"{name}-plain", strategy=strategy)
    stopped = tellers.tell(tell, f"{name}-stops", strategy=strategy, stops=stops)
    outcome = plain.result().outcome
    assert outcome.runs == {
        "has-offloaded": healed,
        "will-offload": healed,
        "never-offloads": LEFT_ALONE,
        "paused-by-people": RunSeen("queued", fails=0, clears=0, path_rows=0),
    }
    assert outcome.paused == ["asleep"], "every DAG that the operator paused runs"
    assert outcome.hazards == []
    assert outcome.end.revision == outcome.live.revision + delivered
    assert outcome.end.values == VALUES
    assert outcome.end.conditions["Ready"] == "True (Reverted)"
    assert plain.result().errors == []
    seen = stopped.result()
    assert seen.stopped_after
    _same(seen, outcome)


@pytest.mark.timeout(900)
def test_a_gate_on_the_build_holds_an_operator_that_is_stopped_after_every_write(
    tellers: Tellers,
) -> None:
    plain = tellers.tell(tell_gate, "gate")
    stopped = tellers.tell(tell_gate, "gate-stops", stops=Stops(range(1, MOST_WRITES)))
    outcome = plain.result().outcome
    differs = "False (BuildDiffers)"
    assert outcome.held == (
        Held(differs, "stale", ("stamp", "tags"), revision=1, threshold=None),
        Held(differs, "mixed", ("stamp", "tags"), revision=1, threshold=None),
        Held(differs, "mixed", ("tags",), revision=1, threshold=None),
        Held(differs, "mixed", ("stamp",), revision=2, threshold="-1"),
    )
    assert (outcome.verdict, outcome.end.revision) == ("fresh", 3)
    assert outcome.end.conditions["Offloading"] == "True (Live)"
    seen = stopped.result()
    assert seen.stopped_after
    _same(seen, outcome)


def _stories(writes: int) -> Mapping[str, Stops]:
    if SINGLE:
        return {
            f"stopped after write {number}": Stops((number,), DOWNTIME)
            for number in range(1, writes + 1)
        }
    return {"stopped after every write": Stops(range(1, MOST_WRITES))} | {
        f"stopped after every {STRIDE}th write from {first} on": Stops(
            range(first, MOST_WRITES, STRIDE), DOWNTIME
        )
        for first in range(1, STRIDE + 1)
    }


def _kind(write: str) -> str:
    """Return the write without numbers: how many pods and Jobs there were before differs."""
    return re.sub(r"\d+", "#", write)


def _same(told: StoryResult[T], expected: T) -> None:
    account = "\n".join(f"{number:4} {write}" for number, write in enumerate(told.writes, 1))
    last = ", ".join(told.stopped_after[-3:])
    assert told.outcome == expected, f"stopped last after: {last}; all writes:\n{account}"
