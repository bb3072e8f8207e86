"""Values that plain JSON does not know, of the standard library and of what Airflow brings."""

from __future__ import annotations

import importlib
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Callable

from xcom_probe.values import classes
from xcom_probe.values.sample import Sample, of

_MOMENT = datetime(2024, 2, 29, 12, 30, 15, 123456)  # noqa: DTZ001 - the zone is the subject
_UTC = _MOMENT.replace(tzinfo=timezone.utc)
_ZONE = "Europe/Amsterdam"


def samples() -> list[Sample]:
    """All of them."""
    return [
        *of(
            "tuples",
            top=(1, "two", None),
            empty=(),
            in_list=[(1, 2)],
            in_dict={"pair": (1, 2)},
            in_tuple=((1, 2), (3, 4)),
            named=classes.Point(1, 2),
        ),
        *of(
            "sets",
            set={1, 2, 3},
            set_empty=set(),
            frozenset=frozenset({"a", "b"}),
            in_dict={"seen": {1, 2}},
            of_tuples={(1, 2), (3, 4)},
        ),
        *of(
            "datetimes",
            utc=_UTC,
            in_dict={"at": _UTC},
            naive=_MOMENT,
            fixed_offset=_MOMENT.replace(tzinfo=timezone(timedelta(hours=2))),
            fixed_offset_odd=_MOMENT.replace(tzinfo=timezone(timedelta(hours=-5, minutes=-45))),
            date=date(2024, 2, 29),
            time=time(12, 30, 15),
            timedelta=timedelta(days=-1, seconds=5, microseconds=7),
        ),
        _made("datetimes", "zoneinfo", lambda: _MOMENT.replace(tzinfo=_zone())),
        _made("datetimes", "pendulum", lambda: _pendulum().datetime(2024, 2, 29, 12, 30)),
        _made(
            "datetimes",
            "pendulum-zone",
            lambda: _pendulum().datetime(2024, 2, 29, 12, 30, tz=_ZONE),
        ),
        _made("datetimes", "pendulum-duration", lambda: _pendulum().duration(hours=5)),
        *of(
            "objects",
            decimal=Decimal("1.10"),
            decimal_long=Decimal("12345678901234567890.123456789012345678901"),
            uuid=uuid.UUID(int=0x1234567890ABCDEF1234567890ABCDEF),
            enum=classes.Colour.RED,
            enum_str=classes.Level.HIGH,
            enum_int=classes.Size.LARGE,
            dataclass=classes.Table("orders", 3),
            dataclass_nested=classes.Extract(classes.Table("orders", 3), [1, 2]),
        ),
        _made("objects", "pydantic", lambda: _class("with_pydantic")(name="orders", rows=3)),
        _made("objects", "attrs", lambda: _class("with_attrs")(name="orders", rows=3)),
        *of(
            "bytes",
            bytes=b"\x00\xffdata",
            empty=b"",
            bytearray=bytearray(b"data"),
            in_dict={"payload": b"data"},
        ),
    ]


def _made(kind: str, name: str, make: Callable[[], Any]) -> Sample:
    return Sample(f"{kind}-{name}", kind, make)


def _zone() -> Any:
    return importlib.import_module("zoneinfo").ZoneInfo(_ZONE)


def _pendulum() -> Any:
    return importlib.import_module("pendulum")


def _class(module: str) -> Any:
    return importlib.import_module(f"xcom_probe.values.{module}").Table
