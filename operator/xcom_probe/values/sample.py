"""What a value of the round trip is, before it is made."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

TASK_ID = "roundtrip"
SIZED_TASK_ID = "sized"


class Sample(NamedTuple):
    """One value to write and read.

    Attributes:
        name: unique.
        kind: the class of values that it stands for; one check per kind.
        make: makes the value, when its turn comes: large ones are never there together.
        key: the XCom key; the name if empty.
        task_id: the task that pushes it.
        map_index: of that task.
        sized: only its size matters, so it is tried at the configured threshold only.
        known: why no version of the backend can give it back; such a value fails no check.
    """

    name: str
    kind: str
    make: Callable[[], Any]
    key: str = ""
    task_id: str = TASK_ID
    map_index: int = -1
    sized: bool = False
    known: str = ""


class NotHere(Exception):
    """Values of this kind cannot be made in this pod; the message says why."""


def of(kind: str, **values: Any) -> list[Sample]:
    """Samples of one kind; underscores of the names become hyphens.

    >>> [sample.name for sample in of("scalars", minus_zero=-0.0)]
    ['scalars-minus-zero']
    """
    return [
        Sample("{}-{}".format(kind, name.replace("_", "-")), kind, _giving(value))
        for name, value in values.items()
    ]


def _giving(value: Any) -> Callable[[], Any]:
    return lambda: value
