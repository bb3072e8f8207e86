"""What the trips of a value say: the change by the backend, not the value's own troubles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_probe.model import FAIL, PASS, SKIP, WARN
from xcom_probe.roundtrip import findings, judge
from xcom_probe.roundtrip.judge import BASE, DRIFT, EQUAL, FAILURE, INLINE, OFFLOADED, Outcome, Trip
from xcom_probe.values import drift

FINE = Trip(EQUAL, (), "", False)
BROKEN = Trip(FAILURE, (), "TypeError: no", None)
UNREADABLE = Trip(FAILURE, (), "ValueError: no", True)
REFUSED = Trip(FAILURE, (), "TypeError: keys must be str", None)
TUPLE = Trip(DRIFT, (drift.TUPLE_TO_LIST,), "tuple became list", False)
SAME = TUPLE._replace(as_base=True)
KEYS = Trip(DRIFT, (drift.KEY_TO_STR,), "keys became text", False)
BOTH = Trip(DRIFT, (drift.KEY_TO_STR, drift.TUPLE_TO_LIST), "both", False)

TRIPS = st.sampled_from([FINE, BROKEN, UNREADABLE, TUPLE, SAME, KEYS, BOTH])
LENIENT = findings.Policy((), strict=False)


def outcome(base: Trip, inline: Trip, offloaded: Trip = FINE, known: str = "") -> Outcome:
    trips = {INLINE: inline, OFFLOADED: offloaded, BASE: base}
    return Outcome("name", "kind", 7, trips, INLINE, known)


@pytest.mark.parametrize(
    ("base", "other", "expected"),
    [
        (FINE, FINE, judge.NONE),
        (FINE, TUPLE, judge.WORSE),
        (FINE, BROKEN, judge.WORSE),
        (TUPLE, FINE, judge.BETTER),
        (TUPLE, SAME, judge.NONE),
        # Another change of the same class: the key 'None' became 'null'.
        (KEYS, KEYS, judge.WORSE),
        (TUPLE, KEYS, judge.WORSE),
        (TUPLE, BOTH, judge.WORSE),
        (BOTH, TUPLE, judge.BETTER),
        (TUPLE, BROKEN, judge.WORSE),
        (BROKEN, BROKEN, judge.NONE),
        (BROKEN, TUPLE, judge.BETTER),
    ],
)
def test_a_trip_is_compared_with_that_of_basexcom(base: Trip, other: Trip, expected: str) -> None:
    assert judge.change(base, other) == expected


@given(TRIPS, TRIPS)
def test_what_is_better_one_way_is_worse_the_other_way(one: Trip, other: Trip) -> None:
    if judge.change(one, other) == judge.BETTER:
        assert judge.change(other, one._replace(as_base=False)) == judge.WORSE


@given(TRIPS, TRIPS, TRIPS)
def test_one_way_that_is_worse_decides(base: Trip, inline: Trip, offloaded: Trip) -> None:
    changes = {judge.change(base, inline), judge.change(base, offloaded)}
    assert (outcome(base, inline, offloaded).change == judge.WORSE) == (judge.WORSE in changes)


@given(TRIPS, TRIPS, TRIPS)
def test_only_what_is_worse_is_no_pass(base: Trip, inline: Trip, offloaded: Trip) -> None:
    one = outcome(base, inline, offloaded)
    (finding,) = findings.findings([one], LENIENT)
    assert (finding.status == PASS) == (one.change != judge.WORSE)


@given(TRIPS, TRIPS, TRIPS)
def test_a_newly_failing_value_fails_whatever_is_accepted(
    base: Trip, inline: Trip, offloaded: Trip
) -> None:
    one = outcome(base, inline, offloaded)
    (finding,) = findings.findings([one], findings.Policy(drift.CLASSES, strict=False))
    fails = [trip for trip in (inline, offloaded) if trip.verdict == FAILURE]
    excused = base == KEYS and UNREADABLE not in fails
    assert (finding.status == FAIL) == (base.verdict != FAILURE and bool(fails) and not excused)


def test_new_drift_warns_fails_when_strict_and_passes_when_accepted() -> None:
    one = outcome(FINE, FINE, TUPLE)
    statuses = [
        findings.findings([one], policy)[0].status
        for policy in (
            LENIENT,
            findings.Policy((), strict=True),
            findings.Policy([drift.TUPLE_TO_LIST], strict=True),
            findings.Policy([drift.KEY_TO_STR], strict=True),
        )
    ]
    assert statuses == [WARN, FAIL, PASS, FAIL]


def test_a_refusal_of_keys_that_basexcom_made_strings_of_is_a_drift_to_accept() -> None:
    one = outcome(KEYS, REFUSED, REFUSED)
    assert one.new_drift == [drift.KEYS_REFUSED]
    assert findings.findings([one], LENIENT)[0].status == WARN
    accepting = findings.Policy([drift.KEYS_REFUSED], strict=True)
    assert findings.findings([one], accepting)[0].status == PASS
    # A value that Airflow's own class keeps as it is must not be refused.
    assert findings.findings([outcome(FINE, REFUSED)], accepting)[0].status == FAIL


def test_drift_that_basexcom_has_too_is_told_and_passes_even_when_strict() -> None:
    one = outcome(TUPLE, SAME, SAME)
    (finding,) = findings.findings([one], findings.Policy((), strict=True))
    assert finding.status == PASS
    assert "the same with BaseXCom: name (drift tuple-to-list)" in finding.observed


def test_a_known_case_is_told_and_passes() -> None:
    one = outcome(FINE, BROKEN, known="the backend takes it for a path")
    (finding,) = findings.findings([one], findings.Policy((), strict=True))
    assert finding.status == PASS
    assert "the same in every version: name (failure)" in finding.observed


def test_a_bad_kind_names_value_way_and_class_and_how_to_accept() -> None:
    (finding,) = findings.findings([outcome(FINE, FINE, TUPLE)], LENIENT)
    assert finding.name == "roundtrip-kind"
    assert finding.observed == "name (offloaded, drift tuple-to-list): tuple became list"
    assert "--accept-drift tuple-to-list" in finding.remedy


def test_values_that_cannot_be_made_are_skipped_with_the_reason() -> None:
    one = Outcome("name", "kind", None, {}, "", "", "cannot be created here: no pydantic")
    (finding,) = findings.findings([one], LENIENT)
    assert finding.status == SKIP
    assert "no pydantic" in finding.observed
    assert one.as_dict()["verdict"] == judge.SKIPPED


def test_new_drift_is_listed_by_class_without_what_basexcom_does_too() -> None:
    outcomes = [
        outcome(FINE, FINE, TUPLE),
        outcome(TUPLE, BOTH, BOTH)._replace(name="other"),
        outcome(TUPLE, SAME, SAME)._replace(name="same"),
        outcome(FINE, TUPLE, known="so it is")._replace(name="known"),
    ]
    found = judge.new_drift(outcomes)
    assert found == {"key-to-str": ["other"], "tuple-to-list": ["name"]}
    members = findings.drift_members(found, findings.Policy(["key-to-str"], strict=False))
    assert [(one["class"], one["accepted"]) for one in members] == [
        ("key-to-str", True),
        ("tuple-to-list", False),
    ]


def test_without_a_comparison_anything_but_equal_is_worse() -> None:
    assert Outcome("a", "k", 1, {OFFLOADED: TUPLE}, OFFLOADED).change == judge.WORSE
    assert Outcome("a", "k", 1, {OFFLOADED: FINE}, OFFLOADED).change == judge.NONE


def test_basexcom_alone_is_judged_by_nothing_else() -> None:
    one = Outcome("a", "k", 1, {BASE: TUPLE}, BASE)
    assert (one.change, one.worst.verdict) == (judge.NONE, DRIFT)
