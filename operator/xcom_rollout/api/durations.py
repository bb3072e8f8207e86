"""Durations as Kubernetes writes them: `90s`, `1h30m`, `720h`."""

import re
from datetime import timedelta
from typing import Final

DURATION_PATTERN: Final = r"^([0-9]{1,5}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?$"
"""With so many digits it is shorter than a lifetime: a time plus or minus it is a valid date."""
_UNITS: Final = {"h": 3600, "m": 60, "s": 1}


def parse_duration(text: str) -> timedelta:
    """Return the duration written as `text` (hours, minutes, seconds, in that order).

    Raises:
        ValueError: `text` is not such a duration, or is zero.
    """
    if not text or not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(
            f"{text!r} is not a duration; use a form such as 90s, 30m, 1h30m or 720h, at most "
            "99999h"
        )
    seconds = sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"([0-9]+)([hms])", text))
    if seconds == 0:
        raise ValueError(f"{text!r} is zero; use a duration such as 30m")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """Return `duration` in the form that `parse_duration` reads, to whole seconds."""
    seconds = int(duration.total_seconds())
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if n]
    return "".join(parts) or "0s"
