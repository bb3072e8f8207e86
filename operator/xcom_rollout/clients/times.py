"""Times in the formats of Kubernetes, Helm and Airflow."""

import re
from datetime import UTC, datetime

_FRACTION = re.compile(r"\.(\d{1,6})\d*")


def parse_time(text: str) -> datetime:
    """Return the RFC 3339 time `text`, which has a zone, to the microsecond.

    Raises:
        ValueError: `text` is not such a time.
    """
    # Go writes nanoseconds.
    moment = datetime.fromisoformat(_FRACTION.sub(lambda found: f".{found[1]:<06}", text))
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)


def time_or_none(text: str | None) -> datetime | None:
    """Return the time `text`, None where it is absent."""
    return parse_time(text) if text else None
