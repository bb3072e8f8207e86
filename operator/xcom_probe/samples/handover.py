"""Values between two processes that do not trust each other: a description, and what it says.

The sandbox must not hand over a pickle, which would run its code in the process that holds the
credentials. A description is JSON, and is made into a value by the constructors below, and by
nothing else. Types that are not here cannot be handed over.
"""

from __future__ import annotations

import base64
import importlib
import math
import uuid
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Callable

from xcom_probe.values.compare import differences

_PLAIN = (type(None), bool, int, str)
# Kinds of dtypes whose items are bytes of a known size: booleans, numbers, times, text.
_PLAIN_DTYPES = "biufcmMSU"


class CannotHandOver(Exception):
    """The value, or something in it, is of a type that is not handed over; the message names it."""


def describe(value: Any) -> Any:
    """A description of `value`, as JSON.

    Raises:
        CannotHandOver: it is of another type, or the description would not give the same value.
    """
    try:
        description = _describe(value)
        found = differences(value, rebuild(description))
    except RecursionError as problem:
        raise CannotHandOver("it is nested too deeply, or contains itself") from problem
    if found:
        raise CannotHandOver(f"it cannot be transferred unchanged: {found[0].text}")
    return description


def rebuild(description: Any) -> Any:
    """The value of a description.

    Raises:
        ValueError: this is not a description, or not JSON.
    """
    if isinstance(description, float) or type(description) in _PLAIN:
        return description
    if not isinstance(description, list) or not description or description[0] not in _MAKE:
        raise ValueError("no description of a value")
    return _MAKE[description[0]](*description[1:])


def _describe(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN or (kind is float and not math.isnan(value)):
        return value
    if kind is float:
        return ["nan"]
    describe_one = _DESCRIBE.get(kind)
    if describe_one is not None:
        return describe_one(value)
    package = kind.__module__.split(".", 1)[0]
    if package == "numpy" and hasattr(value, "dtype"):
        return _describe_array(value)
    if package == "pandas":
        return _describe_pandas(value)
    raise CannotHandOver(f"the type {kind.__module__}.{kind.__qualname__} cannot be transferred")


def _listed(values: Any) -> list[Any]:
    return [_describe(one) for one in values]


def _rebuilt(descriptions: list[Any]) -> list[Any]:
    return [rebuild(one) for one in descriptions]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


def _describe_zone(zone: tzinfo | None) -> Any:
    if zone is None:
        return None
    if zone == timezone.utc:
        return "UTC"
    if type(zone) is timezone:
        offset = zone.utcoffset(None)
        return offset.total_seconds()
    key = getattr(zone, "key", None)
    if type(zone).__name__ == "ZoneInfo" and isinstance(key, str):
        return key
    raise CannotHandOver(f"the time zone {zone!r} cannot be transferred")


def _zone(description: Any) -> tzinfo | None:
    if description is None:
        return None
    if description == "UTC":
        return timezone.utc
    if isinstance(description, str):
        zone: tzinfo = importlib.import_module("zoneinfo").ZoneInfo(description)
        return zone
    return timezone(timedelta(seconds=description))


def _describe_datetime(value: datetime) -> Any:
    naive = value.replace(tzinfo=None, fold=0)
    return ["datetime", naive.isoformat(), value.fold, _describe_zone(value.tzinfo)]


def _datetime(text: str, fold: int, zone: Any) -> datetime:
    return datetime.fromisoformat(text).replace(fold=fold, tzinfo=_zone(zone))


def _describe_time(value: time) -> Any:
    naive = value.replace(tzinfo=None, fold=0)
    return ["time", naive.isoformat(), value.fold, _describe_zone(value.tzinfo)]


def _time(text: str, fold: int, zone: Any) -> time:
    return time.fromisoformat(text).replace(fold=fold, tzinfo=_zone(zone))


def _describe_array(value: Any) -> Any:
    """A numpy array, or a scalar, which is an array of no dimension."""
    np = importlib.import_module("numpy")
    scalar = isinstance(value, np.generic)
    if not scalar and type(value) is not np.ndarray:
        raise CannotHandOver(f"the type numpy {type(value).__name__} cannot be transferred")
    array = np.asarray(value)
    shape = list(array.shape)
    if array.dtype.kind == "O":
        return ["objects", shape, _listed(array.ravel().tolist())]
    if array.dtype.kind not in _PLAIN_DTYPES:
        raise CannotHandOver(f"the dtype {array.dtype} cannot be transferred")
    return ["array", array.dtype.str, shape, _text(array.tobytes()), scalar]


def _array(dtype: str, shape: list[int], data: str, scalar: bool) -> Any:
    np = importlib.import_module("numpy")
    array = np.frombuffer(_bytes(data), dtype=np.dtype(dtype)).reshape(shape).copy()
    return array[()] if scalar else array


def _objects(shape: list[int], items: list[Any]) -> Any:
    array = importlib.import_module("numpy").empty(len(items), dtype=object)
    for index, item in enumerate(_rebuilt(items)):
        array[index] = item
    return array.reshape(shape)


def _describe_pandas(value: Any) -> Any:
    pd = importlib.import_module("pandas")
    if type(value) is pd.Timestamp:
        return ["timestamp", value.isoformat(), None if value.tz is None else str(value.tz)]
    if type(value) is pd.Series:
        return ["series", *_describe_column(value), _describe(value.name), _index(value.index)]
    if type(value) is pd.DataFrame:
        columns = [_describe_column(value.iloc[:, number]) for number in range(value.shape[1])]
        return ["frame", columns, _index(value.columns), _index(value.index)]
    raise CannotHandOver(f"the type pandas {type(value).__name__} cannot be transferred")


def _describe_column(column: Any) -> list[Any]:
    """Values and dtype of a series or an index."""
    if getattr(column.dtype, "kind", "O") in _PLAIN_DTYPES and not hasattr(column.dtype, "tz"):
        values = column.to_numpy()
        if type(values.dtype) is type(column.dtype):
            return [_describe_array(values), str(column.dtype)]
    missing = column.isna().tolist()
    items = [None if gone else one for one, gone in zip(column.tolist(), missing)]
    return [["list", _listed(items)], str(column.dtype)]


def _index(index: Any) -> Any:
    pd = importlib.import_module("pandas")
    if type(index) is pd.RangeIndex:
        return ["range", index.start, index.stop, index.step, _describe(index.name)]
    if type(index) is pd.MultiIndex:
        raise CannotHandOver("a pandas MultiIndex cannot be transferred")
    return ["index", *_describe_column(index), _describe(index.name)]


def _timestamp(text: str, zone: str | None) -> Any:
    stamp = importlib.import_module("pandas").Timestamp(text)
    return stamp if zone is None else stamp.tz_convert(zone)


def _series(values: Any, dtype: str, name: Any, index: Any) -> Any:
    pd = importlib.import_module("pandas")
    return pd.Series(rebuild(values), dtype=dtype, name=rebuild(name), index=rebuild(index))


def _frame(columns: list[Any], names: Any, index: Any) -> Any:
    pd = importlib.import_module("pandas")
    rows = rebuild(index)
    made = {
        number: pd.Series(rebuild(values), dtype=dtype, index=rows)
        for number, (values, dtype) in enumerate(columns)
    }
    frame = pd.DataFrame(made, index=rows)
    frame.columns = rebuild(names)
    return frame


def _range(start: int, stop: int, step: int, name: Any) -> Any:
    return importlib.import_module("pandas").RangeIndex(start, stop, step, name=rebuild(name))


def _plain_index(values: Any, dtype: str, name: Any) -> Any:
    pd = importlib.import_module("pandas")
    return pd.Index(rebuild(values), dtype=dtype, name=rebuild(name))


_DESCRIBE: dict[type, Callable[[Any], Any]] = {
    list: lambda value: ["list", _listed(value)],
    tuple: lambda value: ["tuple", _listed(value)],
    set: lambda value: ["set", _listed(value)],
    frozenset: lambda value: ["frozenset", _listed(value)],
    dict: lambda value: ["dict", _listed(value), _listed(value.values())],
    bytes: lambda value: ["bytes", _text(value)],
    bytearray: lambda value: ["bytearray", _text(bytes(value))],
    datetime: _describe_datetime,
    date: lambda value: ["date", value.isoformat()],
    time: _describe_time,
    timedelta: lambda value: ["timedelta", value.days, value.seconds, value.microseconds],
    Decimal: lambda value: ["decimal", str(value)],
    uuid.UUID: lambda value: ["uuid", value.hex],
}

_MAKE: dict[str, Callable[..., Any]] = {
    "nan": lambda: math.nan,
    "list": _rebuilt,
    "tuple": lambda items: tuple(_rebuilt(items)),
    "set": lambda items: set(_rebuilt(items)),
    "frozenset": lambda items: frozenset(_rebuilt(items)),
    "dict": lambda keys, values: dict(zip(_rebuilt(keys), _rebuilt(values))),
    "bytes": _bytes,
    "bytearray": lambda text: bytearray(_bytes(text)),
    "datetime": _datetime,
    "date": date.fromisoformat,
    "time": _time,
    "timedelta": timedelta,
    "decimal": Decimal,
    "uuid": uuid.UUID,
    "array": _array,
    "objects": _objects,
    "timestamp": _timestamp,
    "series": _series,
    "frame": _frame,
    "range": _range,
    "index": _plain_index,
}
