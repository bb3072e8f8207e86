"""Values handed over from the sandbox come out as they went in, and nothing else comes out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_probe.samples.handover import CannotHandOver, describe, rebuild
from xcom_probe.values import classes
from xcom_probe.values.compare import differences

ZONES = st.none() | st.just(UTC) | st.just(timezone(timedelta(hours=-5, minutes=-45)))
HASHABLE = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.binary() | st.dates() | st.uuids() | st.timedeltas()
    | st.datetimes(timezones=ZONES) | st.times() | st.decimals(allow_nan=False)
)  # fmt: skip
VALUES = st.recursive(
    HASHABLE | st.floats() | st.binary().map(bytearray),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(HASHABLE, inner, max_size=4)
        | st.sets(st.integers(), max_size=4)
        | st.frozensets(st.text(), max_size=4)
    ),
    max_leaves=12,
)


def handed(value: Any) -> Any:
    """What comes out at the other end of the pipe."""
    return rebuild(json.loads(json.dumps(describe(value))))


@given(VALUES)
def test_what_goes_in_comes_out(value: Any) -> None:
    assert differences(value, handed(value)) == []


@pytest.mark.parametrize(
    "value",
    [
        datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Amsterdam")),
        np.float32(1.5),
        np.bool_(True),
        np.datetime64("2024-02-29T12:30", "s"),
        np.arange(6).reshape(2, 3),
        np.zeros((0, 3)),
        np.array(["a", "bc"]),
        np.array([1.0, np.nan]),
        np.array([None, (1, 2), "text"], dtype=object),
        {"arrays": [np.ones(2), np.array(3)]},
    ],
    ids=repr,
)
def test_arrays_and_zones_come_out(value: Any) -> None:
    assert differences(value, handed(value)) == []


class Money(float):
    """A subclass of a type that is handed over."""


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (object(), "builtins.object"),
        (Money(1.5), "Money"),
        ([{"deep": classes.Table("a", 1)}], "xcom_probe.values.classes.Table"),
        (classes.Colour.RED, "Colour"),
        (classes.Point(1, 2), "Point"),
        (lambda: None, "builtins.function"),
        (np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]), "dtype"),
        (np.array([object()], dtype=object), "builtins.object"),
    ],
)
def test_another_type_is_refused_by_its_name(value: Any, named: str) -> None:
    with pytest.raises(CannotHandOver, match=named):
        describe(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(CannotHandOver, match="nested too deeply"):
        describe(endless)


@pytest.mark.parametrize("wrong", [{}, [], ["eval", "1"], [1], ["__import__", "os"], {"a": 1}])
def test_what_is_no_description_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="no description"):
        rebuild(wrong)
