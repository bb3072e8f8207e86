"""How a value that was read differs from the one that was written."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, Iterator, NamedTuple

from xcom_probe.values import drift

_SHOWN = 80
_AT_MOST = 50


class Difference(NamedTuple):
    """One place where the two differ.

    Attributes:
        drift: one of `drift.CLASSES`.
        text: the place, and what became what.
    """

    drift: str
    text: str


def differences(written: Any, read: Any) -> list[Difference]:
    """Differences in value or type, at most 50; none if there are none.

    A datetime may come back as a subclass (pendulum's): moment and offset have to be the same.
    """
    return list(islice(_compare(written, read, "value"), _AT_MOST))


def shown(value: Any) -> str:
    """A short text for a value."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def _compare(written: Any, read: Any, where: str) -> Iterator[Difference]:
    if isinstance(written, datetime) and isinstance(read, datetime):
        yield from _moments(written, read, where)
    elif type(written) is not type(read):
        yield from _other_type(written, read, where)
    elif isinstance(written, dict):
        yield from _dicts(written, read, where)
    elif isinstance(written, (list, tuple)):
        yield from _items(written, read, where)
    elif dataclasses.is_dataclass(written):
        for field in dataclasses.fields(written):
            name = field.name
            yield from _compare(getattr(written, name), getattr(read, name), f"{where}.{name}")
    elif _package(written) in ("numpy", "pandas"):
        yield from _arrays(written, read, where)
    elif not _same(written, read):
        text = f"{where}: {shown(written)} became {shown(read)}"
        yield Difference(_class_of_value(written, read), text)


def _class_of_value(written: Any, read: Any) -> str:
    if isinstance(written, str) and _says(written, read):
        return drift.JSON_STRINGS
    if isinstance(written, Decimal) and written == read:
        return drift.PRECISION
    return drift.VALUE


def _same(written: Any, read: Any) -> bool:
    if isinstance(written, float):
        both_nan = math.isnan(written) and math.isnan(read)
        return both_nan or (written == read and math.copysign(1, written) == math.copysign(1, read))
    if isinstance(written, (set, frozenset)):
        # 1, 1.0 and True are equal members.
        return written == read and sorted(map(repr, written)) == sorted(map(repr, read))
    if isinstance(written, Decimal):
        return str(written) == str(read)
    return bool(written == read)


def _moments(written: datetime, read: datetime, where: str) -> Iterator[Difference]:
    text = f"{where}: {written.isoformat()} became {read.isoformat()}"
    if written.utcoffset() != read.utcoffset():
        yield Difference(drift.TIME_ZONE, text)
    if not _same_moment(written, read):
        yield Difference(drift.VALUE, text)
    if not isinstance(read, type(written)):
        yield Difference(drift.TIME_TYPE, f"{where}: {_change(written, read)}")


def _same_moment(written: datetime, read: datetime) -> bool:
    if (written.tzinfo is None) == (read.tzinfo is None):
        return written == read
    return written.replace(tzinfo=None) == read.replace(tzinfo=None)


def _dicts(written: dict[Any, Any], read: dict[Any, Any], where: str) -> Iterator[Difference]:
    keys, others = list(written), list(read)
    same = len(keys) == len(others) and all(
        type(one) is type(other) and one == other for one, other in zip(keys, others)
    )
    text = f"{where}: keys {shown(keys)} became {shown(others)}"
    if same:
        pairs = [(key, key) for key in keys]
    elif sorted(map(_typed, keys)) == sorted(map(_typed, others)):
        yield Difference(drift.KEY_ORDER, text)
        pairs = [(key, key) for key in keys]
    elif len(keys) == len(others) and all(isinstance(other, str) for other in others):
        changed = [one for one in keys if not isinstance(one, str)]
        yield Difference(drift.KEY_TO_STR if changed else drift.VALUE, text)
        pairs = list(zip(keys, others))
    else:
        yield Difference(drift.VALUE, text)
        pairs = []
    for key, other in pairs:
        yield from _compare(written[key], read[other], f"{where}[{key!r}]")


def _typed(key: Any) -> str:
    return f"{type(key).__name__} {key!r}"


def _items(written: Any, read: Any, where: str) -> Iterator[Difference]:
    if len(written) != len(read):
        yield Difference(drift.VALUE, f"{where}: {len(written)} items became {len(read)}")
        return
    for index, (one, other) in enumerate(zip(written, read)):
        yield from _compare(one, other, f"{where}[{index}]")


def _arrays(written: Any, read: Any, where: str) -> Iterator[Difference]:
    """Arrays of numpy, and series, frames and indexes of pandas, of the same type."""
    if _layout(written) != _layout(read):
        text = f"{where}: {shown(_layout(written))} became {shown(_layout(read))}"
        yield Difference(drift.DTYPE, text)
    elif not _same_array(written, read):
        yield Difference(drift.VALUE, f"{where}: {shown(written)} became {shown(read)}")


def _layout(value: Any) -> str:
    """Shape, dtypes, names and index of an array or a frame, as text."""
    parts = [str(getattr(value, "shape", ""))]
    for name in ("dtype", "dtypes", "name"):
        part = getattr(value, name, "")
        parts.append(str(part.to_dict() if hasattr(part, "to_dict") else part))
    for name in ("index", "columns"):
        axis: Any = getattr(value, name, None)
        if hasattr(axis, "tolist"):
            parts.append(f"{type(axis).__name__} {axis.dtype} {axis.tolist()}")
    return " ".join(part for part in parts if part)


def _same_array(written: Any, read: Any) -> bool:
    if hasattr(written, "equals"):
        return bool(written.equals(read))
    if hasattr(written, "tolist"):
        return not differences(written.tolist(), read.tolist())
    return bool(written == read)


def _other_type(written: Any, read: Any, where: str) -> Iterator[Difference]:
    text = f"{where}: {_change(written, read)}"
    yield Difference(_class_of_change(written, read), text)
    both_listed = isinstance(written, (list, tuple)) and isinstance(read, (list, tuple))
    if both_listed:
        yield from _items(written, read, where)


def _class_of_change(written: Any, read: Any) -> str:
    if isinstance(written, enum.Enum) and written.value == read:
        return drift.ENUM_TO_VALUE
    if _package(written) == "numpy" and _package(read) != "numpy":
        return drift.NUMPY_TO_PYTHON if _equal_plain(written, read) else drift.TYPE
    if _package(written) in ("numpy", "pandas") and _package(read) == _package(written):
        return drift.DTYPE
    if isinstance(written, str) and _says(written, read):
        return drift.JSON_STRINGS
    if hasattr(type(written), "_fields") or _is_object(written):
        return drift.OBJECT_TO_PLAIN if isinstance(read, (dict, list, tuple)) else drift.TYPE
    if isinstance(written, tuple) and isinstance(read, list):
        return drift.TUPLE_TO_LIST
    if isinstance(written, (set, frozenset)) and isinstance(read, (set, frozenset, list, tuple)):
        return drift.SET_TYPE
    if isinstance(written, (int, float, Decimal)) and isinstance(read, (int, float, Decimal)):
        return drift.NUMBER_TYPE if written == read else drift.TYPE
    if isinstance(written, (date, time, timedelta)):
        return drift.TIME_TYPE
    return drift.TYPE


def _equal_plain(written: Any, read: Any) -> bool:
    plain = written.tolist() if hasattr(written, "tolist") else written
    return type(plain) is type(read) and not differences(plain, read)


def _says(text: str, read: Any) -> bool:
    """Whether `read` is what `text` says as JSON."""
    try:
        return not differences(json.loads(text), read)
    except (ValueError, RecursionError):
        return False


def _is_object(value: Any) -> bool:
    return (
        dataclasses.is_dataclass(value)
        or hasattr(value, "__attrs_attrs__")
        or hasattr(value, "model_fields_set")
    )


def _package(value: Any) -> str:
    return type(value).__module__.split(".", 1)[0]


def _change(written: Any, read: Any) -> str:
    return f"{_kind(written)} {shown(written)} became {_kind(read)} {shown(read)}"


def _kind(value: Any) -> str:
    return type(value).__name__
