"""Whether the content of an object can be the value of its row."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_probe.table.contents import Unfit, is_same, numbers_change, parsed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
).filter(lambda value: "Infinity" not in json.dumps(value))


@given(VALUES, st.booleans())
def test_what_the_backend_writes_is_fit_and_the_same_as_itself(value: Any, as_json: bool) -> None:
    data = json.dumps(value).encode()
    assert parsed(data, as_json) == value
    assert is_same(data, data, as_json)
    assert not numbers_change(data, data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b'{"a": ', "not JSON"),
        (b"\x80\x04\x8c\x01a\x94.", "not JSON"),
        (b'"a" "b"', "not JSON"),
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_no_json_is_unfit(data: bytes, said: str, as_json: bool) -> None:
    with pytest.raises(Unfit, match=said):
        parsed(data, as_json)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_a_json_column_has_no_such_number(constant: str) -> None:
    data = f'{{"a": [{constant}]}}'.encode()
    with pytest.raises(Unfit, match=constant):
        parsed(data, as_json=True)
    parsed(data, as_json=False)


@pytest.mark.parametrize(
    ("stored", "data", "same", "numbers"),
    [
        (b'{"b": 1, "a": 2}', b'{"a": 2, "b": 1}', True, False),
        (b'"\xc3\xa9"', b'"\\u00e9"', True, False),
        (b"10000000000000000", b"1e+16", True, True),
        (b"0.0", b"-0.0", True, True),
        (b"1.1805916207174114e21", b"1180591620717411303425", False, True),
        (b'["a"]', b'["b"]', False, True),
    ],
)
def test_a_json_column_gives_back_equal_json(
    stored: bytes, data: bytes, same: bool, numbers: bool
) -> None:
    assert is_same(stored, data, as_json=True) is same
    assert numbers_change(stored, data) is numbers


def test_a_column_of_bytes_gives_back_the_same_bytes() -> None:
    assert is_same(b'{"a": 1}', b'{"a": 1}', as_json=False)
    assert not is_same(b'{"a": 1 }', b'{"a": 1}', as_json=False)
