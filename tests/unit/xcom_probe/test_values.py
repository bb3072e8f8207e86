"""Values of the round trip and their comparison."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_probe import values

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
MOMENT = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)


@given(JSON)
def test_a_value_is_equal_to_its_copy(value: Any) -> None:
    assert values.difference(value, copy.deepcopy(value)) == ""


@given(JSON, JSON)
def test_a_value_is_equal_to_nothing_else(one: Any, other: Any) -> None:
    same = json.dumps(one) == json.dumps(other)
    # JSON text tells 1 from 1.0 and True, as the comparison has to.
    assert (values.difference(one, other) == "") == same


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("123", 123),
        ("null", None),
        (1, True),
        (0, False),
        (2.0, 2),
        ({"a": 1}, {"a": 1.0}),
        ([1, [2]], [1, (2,)]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ([1], [1, 2]),
        (MOMENT, MOMENT.isoformat()),
        (MOMENT, MOMENT + timedelta(microseconds=1)),
        (MOMENT, MOMENT.astimezone(timezone(timedelta(hours=1)))),
    ],
)
def test_another_type_or_value_is_told(written: Any, read: Any) -> None:
    assert values.difference(written, read)


def test_the_difference_names_the_place() -> None:
    written, read = {"a": [{"b": "1"}]}, {"a": [{"b": 1}]}
    assert values.difference(written, read) == "value['a'][0]['b']: str '1' became int 1"


@given(st.integers(min_value=3, max_value=5000))
def test_sizes_are_just_below_at_and_above(threshold: int) -> None:
    sizes = {sample.kind: values.encoded_size(sample.value) for sample in values.sized(threshold)}
    assert sizes[values.BELOW] == threshold - 1
    assert sizes[values.AT] == threshold
    above = sizes[values.ABOVE]
    assert above is not None
    assert above > threshold


@pytest.mark.parametrize(
    ("threshold", "kinds"),
    [
        (-1, [values.BELOW]),
        (0, [values.ABOVE]),
        (1, [values.ABOVE]),
        (2, [values.AT, values.ABOVE]),
        (values.LARGEST + 1, []),
    ],
)
def test_sizes_at_the_edges(threshold: int, kinds: list[str]) -> None:
    assert [sample.kind for sample in values.sized(threshold)] == kinds


def test_names_are_unique() -> None:
    names = [sample.name for sample in values.control_flow() + values.sized(1048576)]
    assert len(names) == len(set(names))


def test_json_looking_strings_are_strings_that_parse() -> None:
    samples = [one for one in values.control_flow() if one.kind == values.JSON_STRINGS]
    assert len(samples) >= 5
    for sample in samples:
        assert isinstance(sample.value, str)
        assert json.loads(sample.value) != sample.value
