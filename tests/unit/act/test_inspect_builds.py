"""What is put on record of a look into the pods."""

from datetime import UTC, datetime

from xcom_rollout.act.inspect_builds import MOST_READINGS, answer
from xcom_rollout.decide.build_verdict import Reading
from xcom_rollout.decide.ledger import BuildQuestion, BuildSource, Freshness
from xcom_rollout.probe.builds import BuildReport, PodSeen

OLD, NEW = "0" * 40, "1" * 40
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STAMP, IMAGE = (
    Reading(source, "the pod scheduler", NEW) for source in (BuildSource.STAMP, BuildSource.IMAGE)
)


def asked(*sources: BuildSource) -> BuildQuestion:
    return BuildQuestion(NEW, sources, ("label",), ("SHA",), (), "digest", (("uid", NOW),))


def sight(*readings: Reading, tags: tuple[Reading, ...] = ()) -> BuildReport:
    return BuildReport(
        (PodSeen("scheduler", "scheduler", "image", "sha256:1", readings),), (), tags
    )


def test_all_of_the_expected_build_is_fresh_and_bound_to_the_question() -> None:
    question = asked(BuildSource.STAMP, BuildSource.IMAGE)
    seen = answer(question, sight(STAMP, IMAGE), NOW)
    assert (seen.verdict, seen.question, seen.observed_at) == (Freshness.FRESH, question, NOW)
    assert (seen.differing, seen.unseen, seen.readings) == ((), (), ())


def test_what_differs_comes_first_and_what_is_unseen_is_kept_apart() -> None:
    untold = Reading(BuildSource.IMAGE, "the pod scheduler", None, "is not told")
    old = Reading(BuildSource.STAMP, "the pod triggerer", OLD)
    seen = answer(asked(BuildSource.STAMP, BuildSource.IMAGE), sight(STAMP, untold, old), NOW)
    assert seen.verdict is Freshness.MIXED
    assert (seen.differing, seen.unseen) == ((BuildSource.STAMP,), (BuildSource.IMAGE,))
    assert seen.readings == (
        "stamp of the pod triggerer is 0000000",
        "image of the pod scheduler is not told",
    )


def test_a_leg_that_is_not_judged_does_not_matter() -> None:
    old = Reading(BuildSource.TAGS, "the DAG etl", OLD)
    seen = answer(asked(BuildSource.STAMP), sight(STAMP, tags=(old,)), NOW)
    assert seen.verdict is Freshness.FRESH


def test_a_release_without_a_pod_is_unknown() -> None:
    seen = answer(asked(BuildSource.STAMP), BuildReport((), (), ()), NOW)
    assert seen.verdict is Freshness.UNKNOWN
    assert seen.readings == ("stamp of the release was not seen anywhere",)


def test_of_a_thousand_dags_as_many_are_kept_as_there_is_room_for() -> None:
    old = tuple(Reading(BuildSource.TAGS, f"the DAG {number}", OLD) for number in range(1000))
    seen = answer(asked(BuildSource.TAGS), sight(tags=old), NOW)
    assert seen.verdict is Freshness.STALE
    assert len(seen.readings) == MOST_READINGS
    assert seen.left_out == 1000 - MOST_READINGS
