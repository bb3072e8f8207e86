"""A large value that every task can compute, and the check of what arrived.

The consumer does not trust what the producer says about the value: it makes the value again from
the run's id and compares both type and content.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from airflow.exceptions import AirflowFailException

DEFAULT_BYTES = 2 * 1024 * 1024
"""Size of a large value: twice the threshold of the demo (1 MiB)."""

_LINE = 1024


def make_value(seed: str, size: int) -> list[str]:
    """Return lines of hexadecimal text that follow from ``seed``; as JSON at least ``size`` bytes.

    The text hardly compresses below half, so an object in the bucket has a size that is plain to
    see, and no line is itself valid JSON of another type.
    """
    lines: list[str] = []
    digest = hashlib.sha256(seed.encode())
    for _ in range(-(-size // _LINE)):
        blocks: list[str] = ["x"]
        for _ in range(_LINE // 64):
            digest.update(b".")
            blocks.append(digest.hexdigest())
        lines.append("".join(blocks))
    return lines


def describe(value: Any) -> dict[str, str]:
    """Return ``type``, ``sha256`` of the JSON form and ``starts`` (80 characters of it)."""
    text = json.dumps(value)
    return {
        "type": type(value).__name__,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "starts": text[:80],
    }


def check_received(context: Any, value: Any, expected: Any) -> None:
    """Push what arrived as XCom ``received``; fail the task if it is not ``expected``.

    The description is pushed first, so that it can be read whatever the verdict.

    Raises:
        AirflowFailException: type or content differ; says what arrived.
    """
    received = describe(value)
    print(f"received {received}")
    context["ti"].xcom_push(key="received", value=received)
    if type(value) is not type(expected) or value != expected:
        raise AirflowFailException(
            f"upstream returned {describe(expected)}, this task was handed {received}"
        )


def seconds_for_try(context: Any) -> int:
    """Return ``seconds`` of the run's parameters for a first try, ``rerun_seconds`` for later ones.

    A run that is cleared should show its outcome soon, however long its first attempt was meant to
    stay in flight.
    """
    name = "seconds" if context["ti"].try_number <= 1 else "rerun_seconds"
    return int(context["params"][name])
