"""Whether what an object holds can be the value of its row."""

from __future__ import annotations

import json
from typing import Any, NoReturn


class Unfit(Exception):
    """It cannot; the message says why."""


def parsed(data: bytes, as_json: bool) -> Any:
    """The JSON of an object.

    Args:
        data: the decompressed content.
        as_json: whether the column is JSON for the database (Airflow 3).

    Raises:
        Unfit: it is not JSON, or JSON that such a column cannot hold.
    """
    if not data:
        raise Unfit("the object is empty")
    try:
        text = data.decode("utf-8")
        return json.loads(text, parse_constant=_refuse if as_json else None)
    except (ValueError, RecursionError) as problem:
        raise Unfit(f"the object is not JSON: {problem}") from problem


def _refuse(constant: str) -> NoReturn:
    raise Unfit(
        f"the value holds {constant}: a JSON column cannot, and Airflow's own class could not have "
        "written it either"
    )


def is_same(stored: bytes, data: bytes, as_json: bool) -> bool:
    """Whether a row gives back what the object holds: the same bytes, or equal JSON."""
    return json.loads(stored) == json.loads(data) if as_json else stored == data


def numbers_change(stored: bytes, data: bytes) -> bool:
    """Whether equal JSON has numbers in another form, which Python reads as another type.

    >>> numbers_change(b'{"b": 10000000000000000, "a": 1}', b'{"a": 1, "b": 1e+16}')
    True
    """
    return _canonical(stored) != _canonical(data)


def _canonical(text: bytes) -> str:
    return json.dumps(json.loads(text), sort_keys=True)
