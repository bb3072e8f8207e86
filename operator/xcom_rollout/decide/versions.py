"""Which versions of Airflow the operator knows."""

import re
from typing import Final

OLDEST: Final = (2, 9)
"""Major and minor number of the oldest Airflow that is known here."""
NEWEST_MAJOR: Final = 3
KNOWN: Final = f"Airflow {OLDEST[0]}.{OLDEST[1]} to {NEWEST_MAJOR}.x"
_VERSION: Final = re.compile(r"([0-9]+)\.([0-9]+)")

Version = tuple[int, int]


def read_version(text: str) -> Version | None:
    """Return major and minor version that a text such as `2.11.2` begins with; else None."""
    found = _VERSION.match(text)
    return (int(found[1]), int(found[2])) if found else None


def is_known(version: Version) -> bool:
    return OLDEST <= version < (NEWEST_MAJOR + 1, 0)
