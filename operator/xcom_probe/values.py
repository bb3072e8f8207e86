"""The values of the round trip, and their comparison by value and type. No Airflow here."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from typing import Any, NamedTuple

EQUAL = "equal"
DRIFT = "drift"
FAILURE = "failure"

JSON_STRINGS = "json-strings"
BELOW = "below-threshold"
AT = "at-threshold"
ABOVE = "above-threshold"

# Larger values would need several times their size in memory, in a pod with a limit.
LARGEST = 32 * 1024 * 1024
_LARGE_WHEN_NEVER_OFFLOADED = 64 * 1024
_SHOWN = 80


class Sample(NamedTuple):
    """One value to write and read.

    Attributes:
        name: unique; the XCom key.
        kind: the class of values that it stands for; one check per kind.
        value: what is written and must come back.
    """

    name: str
    kind: str
    value: Any


def control_flow() -> list[Sample]:
    """Values of the shapes that decide what a DAG does next."""
    moment = datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=timezone.utc)
    shapes: dict[str, dict[str, Any]] = {
        "scalars": {
            "none": None,
            "true": True,
            "false": False,
            "zero": 0,
            "int": -42,
            "int-beyond-64-bit": 2**70,
            "float": 1.5,
            "float-whole": 2.0,
            "float-tiny": 5e-324,
        },
        "text": {
            "empty": "",
            "word": "branch_a",
            "unicode": "naïve Ωμέγα 日本語 🚀",
            "quotes-and-lines": 'a "quoted" \\ line\nand\ttab\u2028',
            "path-like": "s3://some-bucket/some/key",
        },
        "collections": {
            "list-empty": [],
            "list": [1, "two", 3.0, None, True],
            "dict-empty": {},
            "dict": {"rows": 3, "ok": True, "ratio": 0.25, "note": None},
            "nested": {"a": [{"b": {"c": [1, [2, [3]]]}}], "d": {"e": []}},
        },
        "datetimes": {
            # A fixed offset other than UTC cannot be read back on Airflow 2.11 with BaseXCom either
            # (`ValueError: ZoneInfo keys must be normalized`), so it says nothing of the backend.
            "utc": moment,
            "date": date(2024, 2, 29),
            "in-dict": {"at": moment},
        },
        JSON_STRINGS: {
            "number": "123",
            "float": "1.0",
            "null": "null",
            "true": "true",
            "string": '"quoted"',
            "object": '{"a": 1}',
            "array": "[1, 2]",
        },
    }
    return [
        Sample(f"{kind}-{name}", kind, value)
        for kind, values in shapes.items()
        for name, value in values.items()
    ]


def sized(threshold: int) -> list[Sample]:
    """Values just below, at and above a threshold in bytes of their JSON.

    Empty for a threshold above `LARGEST`. With a negative threshold, one value that is large
    enough for anybody to want it offloaded.
    """
    if threshold < 0:
        return [Sample("large", BELOW, text_of(_LARGE_WHEN_NEVER_OFFLOADED))]
    if threshold > LARGEST:
        return []
    samples = []
    if threshold > 2:
        samples.append(Sample("below", BELOW, text_of(threshold - 1)))
    if threshold >= 2:
        samples.append(Sample("at", AT, text_of(threshold)))
    samples.append(Sample("above", ABOVE, {"payload": text_of(max(threshold, 1024)), "n": 1}))
    return samples


def text_of(size: int) -> str:
    """A text whose JSON has exactly `size` bytes (at least 2, the quotes)."""
    alphabet = "abcdefghijklmnopqrstuvwxyz-0123456789 "
    length = size - 2
    return (alphabet * (length // len(alphabet) + 1))[:length]


def encoded_size(value: Any) -> int | None:
    """Bytes of the value's plain JSON, None if only Airflow can encode it."""
    try:
        return len(json.dumps(value).encode("utf-8"))
    except TypeError:
        return None


def difference(written: Any, read: Any, where: str = "value") -> str:
    """How `read` differs from `written` in value or type; empty if it does not.

    A datetime may come back as a subclass (pendulum's): moment and offset have to be the same.
    """
    if isinstance(written, datetime):
        if not isinstance(read, datetime):
            return f"{where}: {_kind(written)} became {_kind(read)}"
        if read != written or read.utcoffset() != written.utcoffset():
            return f"{where}: {written.isoformat()} became {read.isoformat()}"
        return ""
    if type(written) is not type(read):
        return f"{where}: {_kind(written)} {shown(written)} became {_kind(read)} {shown(read)}"
    if isinstance(written, dict):
        if list(written) != list(read):
            return f"{where}: keys {shown(list(written))} became {shown(list(read))}"
        return _first(difference(written[key], read[key], f"{where}[{key!r}]") for key in written)
    if isinstance(written, list):
        if len(written) != len(read):
            return f"{where}: {len(written)} items became {len(read)}"
        return _first(
            difference(one, other, f"{where}[{index}]")
            for index, (one, other) in enumerate(zip(written, read))
        )
    if written != read:
        return f"{where}: {shown(written)} became {shown(read)}"
    return ""


def _first(differences: Any) -> str:
    return next((item for item in differences if item), "")


def _kind(value: Any) -> str:
    return type(value).__name__


def shown(value: Any) -> str:
    """A short text for a value."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"
