"""What is said of a set of readings, whatever they are."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from xcom_rollout.decide.build_verdict import (
    COMMIT,
    Reading,
    reading,
    same_build,
    verdict,
)
from xcom_rollout.decide.ledger import BuildSource, Freshness

OLD, NEW = "0" * 40, "1" * 40
COMMITS = (OLD, NEW, OLD[:7], NEW[:7], NEW[:12], "2" * 64)
commits = st.sampled_from(COMMITS)
sources = st.sampled_from(BuildSource)
readings = st.lists(
    st.builds(
        lambda source, build: Reading(source, "pod", build, "" if build else "is not told"),
        sources,
        st.none() | commits,
    ),
    max_size=8,
)
judged = st.sets(sources, min_size=1)
expectations = st.none() | commits


@given(readings, expectations, judged)
def test_fresh_means_that_every_leg_was_seen_and_all_is_what_was_expected(
    seen: list[Reading], expected: str | None, on: set[BuildSource]
) -> None:
    counted = [item for item in seen if item.source in on]
    fresh = (
        expected is not None
        and {item.source for item in counted} == on
        and all(item.build and same_build(item.build, expected) for item in counted)
    )
    assert (verdict(seen, expected, on).kind is Freshness.FRESH) == fresh


@given(readings, commits, judged)
def test_anything_known_to_be_of_another_commit_is_stale_or_mixed_and_named(
    seen: list[Reading], expected: str, on: set[BuildSource]
) -> None:
    other = [
        item
        for item in seen
        if item.source in on and item.build and not same_build(item.build, expected)
    ]
    found = verdict(seen, expected, on)
    assert (found.kind in (Freshness.STALE, Freshness.MIXED)) == bool(other)
    assert list(found.other) == other


@given(readings, commits, judged)
def test_stale_means_that_all_that_is_known_is_one_other_build(
    seen: list[Reading], expected: str, on: set[BuildSource]
) -> None:
    if verdict(seen, expected, on).kind is Freshness.STALE:
        builds = [item.build for item in seen if item.source in on and item.build]
        assert builds
        assert all(same_build(one, two) for one in builds for two in builds)
        assert not any(same_build(build, expected) for build in builds)


@given(readings, expectations, judged)
def test_an_answer_of_unknown_hides_no_difference(
    seen: list[Reading], expected: str | None, on: set[BuildSource]
) -> None:
    if verdict(seen, expected, on).kind is Freshness.UNKNOWN:
        builds = [item.build for item in seen if item.source in on and item.build]
        builds += [expected] if expected else []
        assert all(same_build(one, two) for one in builds for two in builds)


@given(readings, judged)
def test_without_a_commit_to_expect_nothing_is_fresh_or_stale(
    seen: list[Reading], on: set[BuildSource]
) -> None:
    assert verdict(seen, None, on).kind in (Freshness.MIXED, Freshness.UNKNOWN)


@given(readings, expectations, judged, st.randoms())
def test_the_order_of_looking_does_not_matter(
    seen: list[Reading], expected: str | None, on: set[BuildSource], random: Random
) -> None:
    shuffled = list(seen)
    random.shuffle(shuffled)
    assert verdict(shuffled, expected, on).kind is verdict(seen, expected, on).kind


@given(readings, expectations, judged)
def test_legs_that_are_not_judged_change_nothing(
    seen: list[Reading], expected: str | None, on: set[BuildSource]
) -> None:
    only = [item for item in seen if item.source in on]
    assert verdict(seen, expected, on) == verdict(only, expected, on)


@given(st.text(max_size=70))
def test_only_a_commit_is_taken_for_one(text: str) -> None:
    known = reading(BuildSource.IMAGE, "pod", text, "is not told").build is not None
    assert known == bool(COMMIT.fullmatch(text))


def test_the_reason_names_the_place_and_what_is_there() -> None:
    seen = [
        Reading(BuildSource.STAMP, "the pod scheduler-0", NEW),
        Reading(BuildSource.IMAGE, "the pod scheduler-0", OLD),
        Reading(BuildSource.TAGS, "the DAG orders", NEW[:7]),
    ]
    found = verdict(seen, NEW)
    assert found.kind is Freshness.MIXED
    assert found.reason == "1 of 3 are not 1111111: image of the pod scheduler-0 is 0000000"


def test_a_leg_that_shows_nowhere_is_unknown() -> None:
    found = verdict([Reading(BuildSource.STAMP, "the pod scheduler-0", NEW)], NEW)
    assert found.kind is Freshness.UNKNOWN
    assert [item.source for item in found.unknown] == [BuildSource.IMAGE, BuildSource.TAGS]
