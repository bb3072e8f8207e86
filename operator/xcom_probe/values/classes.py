"""Classes whose instances are values of the round trip. Airflow imports them by name to read."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, NamedTuple


class Point(NamedTuple):
    """A named tuple."""

    x: int
    y: int


class Colour(enum.Enum):
    """An enum of its own."""

    RED = "red"


class Level(str, enum.Enum):
    """An enum whose members are strings."""

    HIGH = "high"


class Size(enum.IntEnum):
    """An enum whose members are integers."""

    LARGE = 3


@dataclass
class Table:
    """A dataclass of plain fields."""

    name: str
    rows: int


@dataclass
class Extract:
    """A dataclass that holds another one."""

    table: Table
    parts: Any
