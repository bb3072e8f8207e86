"""Text and tables on the terminal."""

import json
import textwrap
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from shutil import get_terminal_size
from typing import Any, Final

import click

COLOURS: Final = {
    "Done": "green",
    "True": "green",
    "pass": "green",
    "Acting": "cyan",
    "Waiting": "yellow",
    "Held": "red",
    "fail": "red",
    "error": "red",
}


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def coloured(word: str) -> str:
    """Return the word in the colour of its meaning; click removes it where colours are not used."""
    colour = COLOURS.get(word)
    return click.style(word, fg=colour) if colour else word


def width() -> int:
    """Return the width of the output in columns; 100 where it is not a terminal."""
    return max(60, get_terminal_size((100, 24)).columns)


def table(rows: Sequence[Sequence[str]], *, indent: int = 2) -> list[str]:
    """Return rows as lines with aligned columns; the last column is wrapped to the width."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    offset = indent + sum(widths) + 2 * len(widths)
    lines = []
    for row in rows:
        cells = [
            coloured(cell) + " " * (size - len(cell))
            for cell, size in zip(row[:-1], widths, strict=True)
        ]
        first, *rest = wrapped(row[-1], width() - offset)
        lines.append((" " * indent + "  ".join([*cells, first])).rstrip())
        lines += [" " * offset + line for line in rest]
    return lines


def wrapped(text: str, columns: int) -> list[str]:
    """Return `text` in lines of at most `columns`, never broken within a word."""
    return textwrap.wrap(
        text, max(30, columns), break_long_words=False, break_on_hyphens=False
    ) or [""]


def read_time(text: str) -> datetime:
    """Return the time written in RFC 3339."""
    return datetime.fromisoformat(text)


def ago(text: str | None, now: datetime) -> str:
    """Return how long ago a time in a status was, such as `12 s ago`."""
    return "at an unknown time" if not text else f"{lasting(now - read_time(text))} ago"


def lasting(duration: timedelta) -> str:
    """Return a duration in words, to whole seconds below an hour."""
    seconds = max(0, round(duration.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h"


def utc_now() -> datetime:
    return datetime.now(UTC)


def echo_lines(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)
