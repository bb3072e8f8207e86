"""Values whose size decides where they are kept."""

from __future__ import annotations

from functools import partial
from typing import Any

from xcom_probe.values.sample import SIZED_TASK_ID, Sample

BELOW = "below-threshold"
AT = "at-threshold"
ABOVE = "above-threshold"

LARGEST = 32 * 1024 * 1024
"""Bytes. Larger values would need several times their size in memory, in a pod with a limit."""
_LARGE_WHEN_NEVER_OFFLOADED = 64 * 1024


def samples(threshold: int) -> list[Sample]:
    """Values just below, at and above a threshold in bytes of their JSON.

    Empty for a threshold above `LARGEST`. With a negative threshold, one value that is large
    enough for anybody to want it offloaded.
    """
    if threshold < 0:
        return [_text("large", BELOW, _LARGE_WHEN_NEVER_OFFLOADED)]
    if threshold > LARGEST:
        return []
    found = []
    if threshold > 2:
        found.append(_text("below", BELOW, threshold - 1))
    if threshold >= 2:
        found.append(_text("at", AT, threshold))
    make = partial(_payload, max(threshold, 1024))
    found.append(Sample("above", ABOVE, make, task_id=SIZED_TASK_ID, sized=True))
    return found


def text_of(size: int) -> str:
    """A text whose JSON has exactly `size` bytes (at least 2, the quotes)."""
    alphabet = "abcdefghijklmnopqrstuvwxyz-0123456789 "
    length = size - 2
    return (alphabet * (length // len(alphabet) + 1))[:length]


def _text(name: str, kind: str, size: int) -> Sample:
    return Sample(name, kind, partial(text_of, size), task_id=SIZED_TASK_ID, sized=True)


def _payload(size: int) -> dict[str, Any]:
    return {"n": 1, "payload": text_of(size)}
