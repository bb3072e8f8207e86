"""Ordinary values at places that are less so: keys, task names, mapped task instances."""

from __future__ import annotations

from functools import partial
from typing import Any

from xcom_probe.values.sample import TASK_ID, Sample

_LONGEST_KEY = 512


def samples() -> list[Sample]:
    """All of them; each value is another one, so that none passes for its neighbour."""
    return [
        *_at("mapped", {f"{index}": ("mapped", index, "return_value") for index in (0, 1, 1023)}),
        *_at(
            "xcom-keys",
            {
                # What a task with multiple_outputs pushes: each item, and the whole.
                "output-a": (TASK_ID, -1, "a"),
                "output-b": (TASK_ID, -1, "b"),
                "return-value": (TASK_ID, -1, "return_value"),
                "special": (TASK_ID, -1, "a key/with:odd +signs%20?and#more"),
                "unicode": (TASK_ID, -1, "schlüssel-鍵"),
                "dots": (TASK_ID, -1, "../../key"),
                "longest": (TASK_ID, -1, "k" * _LONGEST_KEY),
            },
        ),
        *_at(
            "task-ids",
            {
                "group": ("group.inner.task", -1, "return_value"),
                "unicode": ("tâche_αβγ", -1, "return_value"),
                "mapped-in-group": ("group.mapped", 0, "return_value"),
            },
        ),
    ]


def _at(kind: str, places: dict[str, tuple[str, int, str]]) -> list[Sample]:
    return [
        Sample(f"{kind}-{name}", kind, partial(_value, kind, number), key, task_id, map_index)
        for number, (name, (task_id, map_index, key)) in enumerate(places.items())
    ]


def _value(kind: str, number: int) -> dict[str, Any]:
    return {"n": number, "kind": kind}
