"""Keeps secrets out of everything the probe prints.

Known secrets (connection passwords, keys, the database password) are registered as they are met
and replaced in messages of other libraries. The probe's own text holds none; there only
passwords in URLs are masked, because a weak password ("airflow") would blacken half of it.
"""

from __future__ import annotations

import re
from typing import Any

MASK = "***"
# A shorter string would mask innocent text ("" masks everything) and protects nothing.
_MIN_LENGTH = 4
_URL_PASSWORD = re.compile(r"(?P<head>[a-zA-Z][a-zA-Z0-9+.-]*://[^/@\s:]*:)[^/\s]*@")

_secrets: set[str] = set()


def secret(value: str | None) -> None:
    """Remember a value that must never be printed."""
    if value and len(value) >= _MIN_LENGTH:
        _secrets.add(value)


def text(value: object) -> str:
    """`value` as text without passwords in URLs."""
    return _URL_PASSWORD.sub(r"\g<head>" + MASK + "@", str(value))


def deep(value: Any) -> Any:
    """The same for every string, keys included, of a JSON-like value."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {text(key): deep(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [deep(item) for item in value]
    return value


def error(exception: BaseException) -> str:
    """One line for an exception: its type and message, shortened, without any known secret."""
    message = " ".join(text(exception).split())
    for known in sorted(_secrets, key=len, reverse=True):
        message = message.replace(known, MASK)
    name = type(exception).__name__
    return f"{name}: {message[:600]}" if message else name
