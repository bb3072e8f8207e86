"""A rollout as YAML for people: the fields in their order, with instructions above them."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

_WIDTH: Final = 96
_PLAIN: Final = re.compile(r"[A-Za-z/][A-Za-z0-9_./@:-]*[A-Za-z0-9]")
"""Strings that YAML reads as strings without quotes, except the words below."""
_WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})

Path = tuple[str, ...]


def to_yaml(value: Mapping[str, Any], comments: Mapping[Path, str], *, head: str = "") -> str:
    """Return maps and scalars as YAML.

    Args:
        comments: the comments above fields, by their paths.
        head: the comment at the top.
    """
    lines = [*_comment(head, 0), *_lines(value, comments, ())]
    return "\n".join(lines) + "\n"


def _lines(value: Mapping[str, Any], comments: Mapping[Path, str], path: Path) -> Iterator[str]:
    for key, inner in value.items():
        here, depth = (*path, key), len(path)
        yield from _comment(comments.get(here, ""), depth)
        if isinstance(inner, Mapping):
            yield f"{'  ' * depth}{key}:"
            yield from _lines(inner, comments, here)
        else:
            yield f"{'  ' * depth}{key}: {_scalar(inner)}"


def _comment(text: str, depth: int) -> Iterator[str]:
    start = "  " * depth + "# "
    for line in textwrap.wrap(text, _WIDTH - len(start), break_on_hyphens=False):
        yield start + line


def _scalar(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value)
