"""Structured events: one line each, in logfmt, with a name from a closed catalogue.

A log line is an interface: alerts and runbooks look for it. So the names are fixed here, every
line has the same form, and no value can break it into two.
"""

from __future__ import annotations

import json
import logging
import math
import re
from datetime import datetime
from typing import Any, Mapping

# Event name (without a prefix) to the level it is logged at.
CATALOGUE: Mapping[str, int] = {
    "dag_loaded": logging.INFO,
    "acquire_outcome": logging.INFO,
    "pred_persist_failed": logging.ERROR,
    "pred_load_failed": logging.ERROR,
    "gate_persist_failed": logging.ERROR,
}
# Says which build runs, whichever family the DAG belongs to: it never has a prefix.
_WITHOUT_PREFIX = frozenset({"dag_loaded"})

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_PREFIX = re.compile(r"([a-z][a-z0-9]*_)?\Z")
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@+,;%~^*()\[\]<>!?#$&|-]+\Z")
_RESERVED = frozenset({"event", "severity"})


def log_event(logger: logging.Logger, event: str, /, *, prefix: str = "", **fields: Any) -> None:
    """Log one event as one line, such as `event=dag_loaded severity=info dag_id=etl`.

    Args:
        logger: where to; its level decides whether the line is written, as usual.
        event: a name of `CATALOGUE`.
        prefix: put before the name, as in `s43_`: lower case, with an underscore at its end.
        fields: what happened. Text is quoted where it has to be; other values are written as JSON.

    Raises:
        ValueError: the event is not in the catalogue, or the prefix or a field's name is not of
            the form above. It is a fault of the code that logs, and the same on every run.
    """
    line = event_line(event, prefix=prefix, **fields)
    logger.log(CATALOGUE[event], "%s", line)


def event_line(event: str, /, *, prefix: str = "", **fields: Any) -> str:
    """The line that `log_event` writes.

    >>> event_line("pred_load_failed", prefix="s43_", key="BTC/0", reason="not there")
    'event=s43_pred_load_failed severity=error key=BTC/0 reason="not there"'
    """
    if event not in CATALOGUE:
        raise ValueError(
            "event {!r} is not in the catalogue; use one of {}".format(
                event, ", ".join(sorted(CATALOGUE))
            )
        )
    if not _PREFIX.match(prefix):
        raise ValueError(
            f"event prefix {prefix!r}: write lower case letters and digits with an underscore at "
            "the end, as in 's43_'"
        )
    parts = [
        "event={}{}".format("" if event in _WITHOUT_PREFIX else prefix, event),
        f"severity={logging.getLevelName(CATALOGUE[event]).lower()}",
    ]
    for name, value in fields.items():
        if name in _RESERVED or not _NAME.match(name):
            raise ValueError(
                f"event {event}: field {name!r} is reserved or no plain name; write letters, "
                "digits and underscores"
            )
        parts.append(f"{name}={_text(value)}")
    return " ".join(parts)


def _text(value: Any) -> str:
    """One value of the line. Never raises: an event about a fault must not be one."""
    if isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, str):
        # ASCII with escapes: a line stays one line whatever is in it.
        return value if _PLAIN.match(value) else json.dumps(value)
    if value is None or isinstance(value, (bool, int)):
        return json.dumps(value)
    if isinstance(value, float):
        return json.dumps(value) if math.isfinite(value) else str(value)
    try:
        text = json.dumps(value, default=str)
    except (TypeError, ValueError):
        text = repr(value)
    return text if _PLAIN.match(text) else json.dumps(text)
