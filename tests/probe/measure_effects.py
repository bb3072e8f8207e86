# mypy: ignore-errors
"""Writes and reads one value of each kind through both XCom backends of the Airflow around it.

Run by the interpreter of an environment with Airflow and common-io; prints one JSON object: kind to
[BaseXCom, object storage backend below its threshold, the same above it], each `ok`, `drifts: how`
or `fails: why`. No database: `serialize_value` and `deserialize_value` are what a task's push and
pull call, and the row's JSON between them is made as that version's API or table makes it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

FOLDER = tempfile.mkdtemp()
os.environ.update(
    {
        "AIRFLOW_HOME": FOLDER,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": f"file://{FOLDER}/xcom",
        # The classes of this file may be loaded again, as a deployment allows its own.
        "AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES": "airflow.* __main__.*",
    }
)
OUT = os.dup(1)
os.dup2(2, 1)

import collections  # noqa: E402
import dataclasses  # noqa: E402
import datetime  # noqa: E402
import decimal  # noqa: E402
import enum  # noqa: E402
import ipaddress  # noqa: E402
import math  # noqa: E402
import pathlib  # noqa: E402
import re  # noqa: E402
import types  # noqa: E402
import uuid  # noqa: E402
import zoneinfo  # noqa: E402
from typing import Any, Callable, NamedTuple  # noqa: E402, UP035

import airflow  # noqa: E402
from airflow.models.xcom import XCom  # noqa: E402, F401 - the order that Airflow 2 needs

VERSION = tuple(int(part) for part in airflow.__version__.split(".")[:2])
if VERSION >= (3, 0):
    from airflow.sdk.execution_time.xcom import BaseXCom
else:
    from airflow.models.xcom import BaseXCom
from airflow.configuration import conf  # noqa: E402
from airflow.providers.common.io.xcom import backend  # noqa: E402

COORDINATES = {"key": "k", "task_id": "t", "dag_id": "d", "run_id": "r", "map_index": -1}


class Colour(enum.Enum):
    RED = "red"


class Plain:
    pass


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Data:
    x: int


def values() -> dict[str, Callable[[], Any]]:
    utc = datetime.timezone.utc  # noqa: UP017 - Python 3.9
    fixed = datetime.timezone(datetime.timedelta(hours=2))
    made: dict[str, Callable[[], Any]] = {
        "str": lambda: "text",
        "json-str": lambda: '{"a": 1}',
        "digits-str": lambda: "123",
        "list-of-json-str": lambda: ["123"],
        "dict-of-json-str": lambda: {"a": "123"},
        "bytes": lambda: b"x",
        "bytearray": lambda: bytearray(b"x"),
        "tuple": lambda: (1, 2),
        "nested-tuple": lambda: [(1, 2)],
        "tuple-with-list-of-tuple": lambda: ([(1, 2)],),
        "dict-of-tuple": lambda: {"a": (1, 2)},
        "tuple-of-tuple": lambda: ((1, 2), (3, 4)),
        "set": lambda: {1, 2},
        "frozenset": lambda: frozenset({1}),
        "nested-set": lambda: {"a": {1, 2}},
        "set-of-tuple": lambda: {(1, 2)},
        "list-of-set-of-tuple": lambda: [{(1, 2)}],
        "int-keys": lambda: {1: "a"},
        "tuple-keys": lambda: {(1, 2): "a"},
        "none-keys": lambda: {None: 1},
        "bool-keys": lambda: {True: 1},
        "float-keys": lambda: {1.5: 1},
        "date-keys": lambda: {datetime.date(2024, 1, 2): 1},
        "uuid": lambda: uuid.UUID(int=5),
        "decimal": lambda: decimal.Decimal("1.5"),
        "nan": lambda: math.nan,
        "inf": lambda: math.inf,
        "complex": lambda: 1j,
        "path": lambda: pathlib.Path("/x"),
        "enum": lambda: Colour.RED,
        "range": lambda: range(3),
        "view": lambda: {"a": 1}.keys(),
        "generator": lambda: (n for n in ()),
        "iterator": lambda: zip([1], [2]),  # noqa: B905 - Python 3.9
        "function": lambda: len,
        "object": lambda: Plain(),
        "module": lambda: math,
        "class": lambda: Plain,
        "file": lambda: sys.stderr,
        "exception": lambda: ValueError("x"),
        "match": lambda: re.match("a", "a"),
        "pattern": lambda: re.compile("a"),
        "ip": lambda: ipaddress.ip_address("127.0.0.1"),
        "dataclass": lambda: Data(1),
        "namedtuple": lambda: Point(1, 2),
        "deque": lambda: collections.deque([1]),
        "defaultdict": lambda: collections.defaultdict(list, {"a": [1]}),
        "counter": lambda: collections.Counter("aab"),
        "ordereddict": lambda: collections.OrderedDict(a=1),
        "datetime-naive": lambda: datetime.datetime(2024, 2, 29, 12, 0),  # noqa: DTZ001
        "datetime-utc": lambda: datetime.datetime(2024, 2, 29, 12, 0, tzinfo=utc),
        "datetime-fixed": lambda: datetime.datetime(2024, 2, 29, 12, 0, tzinfo=fixed),
        "datetime-zone": lambda: datetime.datetime(
            2024, 2, 29, 12, 0, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")
        ),
        "date": lambda: datetime.date(2024, 2, 29),
        "time": lambda: datetime.time(12, 0),
        "timedelta": lambda: datetime.timedelta(hours=1),
    }

    def extra(name: str, make: Callable[[], Any]) -> None:
        try:
            make()
        except ImportError:
            return
        made[name] = make

    def with_numpy(name: str) -> Callable[[], Any]:
        def make() -> Any:
            import numpy as np

            return {
                "ndarray": lambda: np.zeros(3),
                "list-of-ndarray": lambda: [np.zeros(3)],
                "np-int64": lambda: np.int64(3),
                "np-float64": lambda: np.float64(3.5),
                "np-float32": lambda: np.float32(3.5),
                "np-bool": lambda: np.bool_(True),
                "np-datetime64": lambda: np.datetime64("2024-02-29"),
                "np-int-keys": lambda: {np.int64(1): 1},
                "np-list-float64": lambda: [np.float64(3.5)],
            }[name]()

        return make

    def with_pandas(name: str) -> Callable[[], Any]:
        def make() -> Any:
            import pandas as pd

            return {
                "dataframe": lambda: pd.DataFrame({"a": [1, 2]}),
                "nested-dataframe": lambda: {"d": pd.DataFrame({"a": [1, 2]})},
                "series": lambda: pd.Series([1, 2]),
                "pd-index": lambda: pd.Index([1, 2]),
                "pd-timestamp": lambda: pd.Timestamp("2024-02-29"),
                "pd-timedelta": lambda: pd.Timedelta("1h"),
                "pd-nat": lambda: pd.NaT,
                "pd-na": lambda: pd.NA,
                "groupby": lambda: pd.DataFrame({"a": [1]}).groupby("a"),
                "df-to-dict": lambda: pd.DataFrame({"a": [1]}).to_dict(),
                "df-to-dict-records": lambda: pd.DataFrame({"a": [1]}).to_dict("records"),
            }[name]()

        return make

    def with_polars(name: str) -> Callable[[], Any]:
        def make() -> Any:
            import polars as pl

            return {
                "pl-dataframe": lambda: pl.DataFrame({"a": [1]}),
                "pl-series": lambda: pl.Series([1]),
                "pl-lazyframe": lambda: pl.DataFrame({"a": [1]}).lazy(),
            }[name]()

        return make

    def arrow() -> Any:
        import pyarrow as pa

        return pa.table({"a": [1]})

    def model() -> Any:
        import pydantic

        global Model
        if "Model" not in globals():
            Model = pydantic.create_model("Model", __module__="__main__", x=(int, ...))  # type: ignore[name-defined]
        return globals()["Model"](x=1)

    def attrs() -> Any:
        import attr

        global Attrs
        if "Attrs" not in globals():
            Attrs = attr.make_class("Attrs", ["x"])  # type: ignore[name-defined]
            Attrs.__module__ = "__main__"  # type: ignore[name-defined]
        return globals()["Attrs"](1)

    def pendulum_now() -> Any:
        import pendulum

        return pendulum.datetime(2024, 2, 29, tz="Europe/Berlin")

    def pendulum_fixed() -> Any:
        import pendulum

        return pendulum.parse("2024-02-29T12:00:00+02:00")

    def dateutil() -> Any:
        from dateutil.tz import tzutc

        return datetime.datetime(2024, 2, 29, 12, 0, tzinfo=tzutc())

    def connection() -> Any:
        from airflow.models.connection import Connection

        return Connection(conn_id="x", conn_type="http")

    def asset_path() -> Any:
        try:
            from airflow.sdk import ObjectStoragePath
        except ImportError:
            from airflow.io.path import ObjectStoragePath
        return ObjectStoragePath(f"file://{FOLDER}/x")

    def params() -> Any:
        try:
            from airflow.sdk.definitions.param import ParamsDict
        except ImportError:
            from airflow.models.param import ParamsDict
        return ParamsDict({"a": 1})

    for name in (
        *("ndarray", "list-of-ndarray", "np-int64", "np-float64", "np-float32", "np-bool"),
        *("np-datetime64", "np-int-keys", "np-list-float64"),
    ):
        extra(name, with_numpy(name))
    for name in (
        *("dataframe", "nested-dataframe", "series", "pd-index", "pd-timestamp", "pd-timedelta"),
        *("pd-nat", "pd-na", "groupby", "df-to-dict", "df-to-dict-records"),
    ):
        extra(name, with_pandas(name))
    for name in ("pl-dataframe", "pl-series", "pl-lazyframe"):
        extra(name, with_polars(name))
    extra("arrow-table", arrow)
    extra("pydantic", model)
    extra("attrs", attrs)
    extra("pendulum-zone", pendulum_now)
    extra("pendulum-fixed", pendulum_fixed)
    extra("datetime-dateutil", dateutil)
    extra("airflow-connection", connection)
    extra("object-storage-path", asset_path)
    extra("params-dict", params)
    return made


def read(cls: Any, stored: Any) -> Any:
    if VERSION >= (3, 0):
        # The row's way: the task's HTTP request and the JSON column refuse NaN.
        return cls.deserialize_value(
            types.SimpleNamespace(value=json.loads(json.dumps(stored, allow_nan=False)), key="k")
        )
    return cls.deserialize_value(types.SimpleNamespace(value=stored, key="k"))


def equal(one: Any, other: Any) -> bool:
    if type(one).__module__.startswith(("numpy", "pandas")) and hasattr(one, "shape"):
        return repr(one) == repr(other)
    if isinstance(one, float) and one != one:
        return bool(other != other)
    return bool(one == other)


def shape(value: Any) -> Any:
    """Types all the way down, so that [1, (2,)] and [1, [2]] differ."""
    if isinstance(value, dict):
        return (type(value), [(shape(key), shape(item)) for key, item in value.items()])
    if isinstance(value, (list, tuple)):
        return (type(value), [shape(item) for item in value])
    return type(value)


def trip(cls: Any, make: Callable[[], Any]) -> str:
    value = make()
    try:
        back = read(cls, cls.serialize_value(value, **COORDINATES))
    except BaseException as problem:  # noqa: BLE001 - every failure is an answer here
        return f"fails: {type(problem).__name__}: {str(problem)[:90]}"
    if shape(value) != shape(back):
        named = type(value).__name__, type(back).__name__
        if isinstance(value, datetime.datetime) and isinstance(back, datetime.datetime):
            return "ok" if value == back and value.utcoffset() == back.utcoffset() else "drifts"
        return f"drifts: {named[0]} {value!r:.40} to {named[1]} {back!r:.40}"
    try:
        same = equal(value, back)
    except Exception:  # noqa: BLE001
        same = repr(value) == repr(back)
    return "ok" if same else f"drifts: {value!r:.40} to {back!r:.40}"


def main() -> None:
    answers: dict[str, list[str]] = {name: [] for name in values()}
    cls = backend.XComObjectStorageBackend
    for threshold, backend_class in (("-1", BaseXCom), ("-1", cls), ("0", cls)):
        os.environ["AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD"] = threshold
        for name in ("_get_threshold", "_get_compression", "_get_base_path"):
            getattr(backend, name).cache_clear()
        assert conf.get("common.io", "xcom_objectstorage_threshold") == threshold
        for name, make in values().items():
            answers[name].append(trip(backend_class, make))
    versions = {"airflow": airflow.__version__}
    for package in ("apache-airflow-providers-common-io", "numpy", "pandas", "pyarrow"):
        from importlib import metadata

        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = ""
    with os.fdopen(OUT, "w") as out:
        json.dump({"versions": versions, "effects": answers}, out)


main()
