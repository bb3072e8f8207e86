"""Refusals and broken connections on the way: the operator comes to the same end.

Every connection of the operator is disturbed, to Kubernetes and to Airflow. What is lost may be the
request, or only its answer: then the write has taken effect, and the operator does not know. It
rests on what its cache shows; the oracle asked the API server each time.
"""

from __future__ import annotations

import pytest

from standin.story import Outcome, StoryResult, Tellers, tell
from standin.wire import Storm

STORMS = {
    "conflicts": Storm(seed=11, reads=0, writes=0.3, kinds=("409",)),
    "errors of the server": Storm(seed=12, reads=0.01, writes=0.25, kinds=("500", "500-late")),
    "dropped connections": Storm(seed=13, reads=0.01, writes=0.25, kinds=("drop", "drop-late")),
}


@pytest.mark.timeout(900)
def test_the_same_end_in_every_storm(
    undisturbed: StoryResult[Outcome], tellers: Tellers, subtests: pytest.Subtests
) -> None:
    stories = {
        name: tellers.tell(tell, f"storm-{number}", storm=storm, cached=True)
        for number, (name, storm) in enumerate(STORMS.items())
    }
    for name, story in stories.items():
        with subtests.test(msg=name):
            told = story.result()
            assert set(told.faults) == set(STORMS[name].kinds), "not every kind of fault was seen"
            account = "\n".join([*told.writes, "what passes ended with:", *told.errors])
            assert told.outcome == undisturbed.outcome, account
