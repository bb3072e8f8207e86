"""Values of the round trip and their comparison."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.paths import REPO
from xcom_probe.values import addressed, classes, compare, drift, plain, sized, typed
from xcom_probe.values.sample import Sample

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
MOMENT = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
EVERY_SAMPLE = [
    *plain.samples(),
    *plain.path_strings("s3://conn@bucket/xcom", lambda: "s3://conn@bucket/xcom/object"),
    # Those of pendulum, which only an Airflow has, are made in tests/probe.
    *[sample for sample in typed.samples() if "pendulum" not in sample.name],
    *addressed.samples(),
]


def classes_of(written: Any, read: Any) -> set[str]:
    return {difference.drift for difference in compare.differences(written, read)}


@given(JSON)
def test_a_value_is_equal_to_its_copy(value: Any) -> None:
    assert compare.differences(value, copy.deepcopy(value)) == []


@given(JSON, JSON)
def test_a_value_is_equal_to_nothing_else(one: Any, other: Any) -> None:
    same = json.dumps(one) == json.dumps(other)
    # JSON text tells 1 from 1.0 and True, and the order of keys, as the comparison has to.
    assert (compare.differences(one, other) == []) == same


@given(JSON, JSON)
def test_every_drift_is_of_the_closed_list(one: Any, other: Any) -> None:
    assert classes_of(one, other) <= set(drift.CLASSES)


@given(JSON)
def test_text_that_is_decoded_once_more_is_told(value: Any) -> None:
    assert classes_of(json.dumps(value), value) == {drift.JSON_STRINGS}


@pytest.mark.parametrize("sample", EVERY_SAMPLE, ids=lambda sample: sample.name)
def test_every_sample_is_equal_to_itself_made_again(sample: Sample) -> None:
    assert compare.differences(sample.make(), copy.deepcopy(sample.make())) == []


@pytest.mark.parametrize(
    ("written", "read", "expected"),
    [
        ("123", 123, drift.JSON_STRINGS),
        ("null", None, drift.JSON_STRINGS),
        ('"quoted"', "quoted", drift.JSON_STRINGS),
        ("NaN", float("nan"), drift.JSON_STRINGS),
        ("123", 124, drift.TYPE),
        ("word", "other", drift.VALUE),
        (1, True, drift.NUMBER_TYPE),
        (2.0, 2, drift.NUMBER_TYPE),
        (1, "1", drift.TYPE),
        (-0.0, 0.0, drift.VALUE),
        (float("nan"), None, drift.TYPE),
        ({"a": 1}, {"a": 1.0}, drift.NUMBER_TYPE),
        ([1, [2]], [1, (2,)], drift.TYPE),
        ([1, (2, 3)], [1, [2, 3]], drift.TUPLE_TO_LIST),
        ({1, 2}, [1, 2], drift.SET_TYPE),
        (frozenset({1}), {1}, drift.SET_TYPE),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, drift.KEY_ORDER),
        ({1: "a"}, {"1": "a"}, drift.KEY_TO_STR),
        ({"a": 1}, {"b": 1}, drift.VALUE),
        ({"a": 1}, {}, drift.VALUE),
        ([1], [1, 2], drift.VALUE),
        (Decimal("1.10"), Decimal("1.1"), drift.PRECISION),
        (Decimal("1.1"), Decimal("1.2"), drift.VALUE),
        (Decimal("1.5"), 1.5, drift.NUMBER_TYPE),
        (uuid.UUID(int=1), str(uuid.UUID(int=1)), drift.TYPE),
        (classes.Colour.RED, "red", drift.ENUM_TO_VALUE),
        (classes.Size.LARGE, 3, drift.ENUM_TO_VALUE),
        (classes.Point(1, 2), (1, 2), drift.OBJECT_TO_PLAIN),
        (classes.Table("a", 1), {"name": "a", "rows": 1}, drift.OBJECT_TO_PLAIN),
        (classes.Extract(classes.Table("a", 1), 2), classes.Extract({}, 2), drift.OBJECT_TO_PLAIN),  # type: ignore[arg-type]
        (MOMENT, MOMENT.isoformat(), drift.TIME_TYPE),
        (MOMENT, MOMENT + timedelta(microseconds=1), drift.VALUE),
        (MOMENT, MOMENT.astimezone(timezone(timedelta(hours=1))), drift.TIME_ZONE),
        (MOMENT, MOMENT.replace(tzinfo=None), drift.TIME_ZONE),
        (date(2024, 2, 29), MOMENT, drift.TIME_TYPE),
        (np.int64(7), 7, drift.NUMPY_TO_PYTHON),
        (np.float64(1.5), 1.5, drift.NUMPY_TO_PYTHON),
        (np.int64(7), 8, drift.TYPE),
        (np.float64(1.5), np.float32(1.5), drift.DTYPE),
        (np.arange(3, dtype="int64"), np.arange(3, dtype="int32"), drift.DTYPE),
        (np.arange(3), np.arange(3).reshape(3, 1), drift.DTYPE),
        (np.arange(3), np.arange(1, 4), drift.VALUE),
        (np.arange(3), [0, 1, 2], drift.NUMPY_TO_PYTHON),
    ],
)
def test_a_change_is_told_with_its_class(written: Any, read: Any, expected: str) -> None:
    assert classes_of(written, read) == {expected}


def test_arrays_with_nan_are_equal_to_themselves() -> None:
    array = np.array([1.0, float("nan")])
    assert compare.differences(array, array.copy()) == []


def test_the_difference_names_the_place() -> None:
    written, read = {"a": [{"b": "1"}]}, {"a": [{"b": 1}]}
    (difference,) = compare.differences(written, read)
    assert difference.text == "value['a'][0]['b']: str '1' became int 1"


def test_a_long_value_is_shown_in_part() -> None:
    (difference,) = compare.differences("a" * 10_000, "b" * 10_000)
    assert len(difference.text) < 400


@given(st.integers(min_value=3, max_value=5000))
def test_sizes_are_just_below_at_and_above(threshold: int) -> None:
    sizes = {
        sample.kind: len(json.dumps(sample.make()).encode()) for sample in sized.samples(threshold)
    }
    assert sizes[sized.BELOW] == threshold - 1
    assert sizes[sized.AT] == threshold
    assert sizes[sized.ABOVE] > threshold


@pytest.mark.parametrize(
    ("threshold", "kinds"),
    [
        (-1, [sized.BELOW]),
        (0, [sized.ABOVE]),
        (1, [sized.ABOVE]),
        (2, [sized.AT, sized.ABOVE]),
        (sized.LARGEST + 1, []),
    ],
)
def test_sizes_at_the_edges(threshold: int, kinds: list[str]) -> None:
    assert [sample.kind for sample in sized.samples(threshold)] == kinds


def test_names_are_unique() -> None:
    names = [sample.name for sample in [*EVERY_SAMPLE, *sized.samples(1048576)]]
    assert len(names) == len(set(names))


def test_places_are_unique() -> None:
    places = [(one.task_id, one.map_index, one.key or one.name) for one in EVERY_SAMPLE]
    assert len(places) == len(set(places))


def test_json_looking_strings_are_strings_that_parse() -> None:
    samples = [one.make() for one in plain.samples() if one.kind == drift.JSON_STRINGS]
    assert len(samples) >= 5
    for value in samples:
        assert isinstance(value, str)
        assert compare.differences(json.loads(value), value)


@pytest.mark.parametrize("make", [None, lambda: "s3://c@b/xcom/object"])
def test_only_strings_below_the_base_are_excused(make: Callable[[], str] | None) -> None:
    base = "s3://c@b/xcom"
    for sample in plain.path_strings(base, make):
        below = f"{sample.make()}/".startswith(f"{base}/")
        assert bool(sample.known) == below, sample.name


def test_the_schema_and_the_docs_list_the_classes_of_drift() -> None:
    schema = json.loads((REPO / "docs/reference/probe-result.schema.json").read_text())
    assert set(schema["$defs"]["drift"]["enum"]) == set(drift.CLASSES)
    docs = (REPO / "docs/probe.md").read_text()
    assert [name for name in drift.CLASSES if f"| `{name}` |" not in docs] == []
