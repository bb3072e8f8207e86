"""The values that the data flow distinguishes: a kind, what it holds, and how sure that is."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import Any, Iterable, NamedTuple, Tuple

HIGH = 3
MEDIUM = 2
LOW = 1
CONFIDENCE = {HIGH: "high", MEDIUM: "medium", LOW: "low"}

# More alternatives than that are not kept apart.
_MOST = 8
_MARKS = {"~": MEDIUM, "?": LOW}


class Value(NamedTuple):
    """One thing that an expression may hold.

    Attributes:
        kind: `str`, `list`, `ndarray`, ... as in `effects` and `rules`.
        sure: HIGH, MEDIUM or LOW.
        what: how it was made, in words: `np.zeros()`.
        items: alternatives for the elements of a container, for the values of a dict.
        keys: alternatives for the keys of a dict.
        fields: the values of a dict whose keys are known, by key.
        text: the characters of a known string.
        ref: the function or class behind it.
        line: where it was made, 0 if unknown.
        big: why it may be large; empty if there is no reason to think so.
    """

    kind: str
    sure: int = HIGH
    what: str = ""
    items: tuple[Value, ...] = ()
    keys: tuple[Value, ...] = ()
    fields: tuple[tuple[str, tuple[Value, ...]], ...] = ()
    text: str | None = None
    ref: Any = None
    line: int = 0
    big: str = ""

    @property
    def description(self) -> str:
        """How it was made, else what it is."""
        return self.what or self.kind


# Alternatives; if there are none, nothing is known.
Values = Tuple[Value, ...]
UNKNOWN: Values = ()


# Each value that `union` has returned for the file that is being read, by its parts. A value may
# hold the same one many times, and that others: to compare or hash it as a whole would walk through
# it along every way, which takes hours for a dozen nested containers.
_INTERNED: dict[tuple[Any, ...], Value] = {}


def union(*groups: Iterable[Value]) -> Values:
    """The alternatives of all, each once."""
    values = [_interned(value) for group in groups for value in group]
    if len(values) < 2:
        return tuple(values)
    return tuple({id(value): value for value in values}.values())[:_MOST]


def _interned(value: Value) -> Value:
    """Return the one value that has these parts; parts are compared by identity."""
    if not (value.items or value.keys or value.fields):
        return _INTERNED.setdefault(value, value)
    parts = (
        *(value.kind, value.sure, value.what, value.text, id(value.ref), value.line, value.big),
        tuple(map(id, value.items)),
        tuple(map(id, value.keys)),
        tuple((name, tuple(map(id, values))) for name, values in value.fields),
    )
    # The table keeps the value, and so its parts: no identity is given to another one meanwhile.
    return _INTERNED.setdefault(parts, value)


def forget_all() -> None:
    """Forget the values of the file that was read before."""
    _INTERNED.clear()


def only(kind: str, sure: int = HIGH, **more: Any) -> Values:
    """The one alternative `kind`."""
    return (Value(kind, sure, **more),)


@lru_cache(maxsize=None)
def shape(spec: str) -> Values:
    """Read `~list[tuple]`, `dict[str]`, `str|none`: `~` medium, `?` low confidence.

    >>> [value.kind for value in shape("str|none")]
    ['str', 'none']
    """
    return tuple(_shape(part) for part in spec.split("|"))


def _shape(spec: str) -> Value:
    sure = _MARKS.get(spec[0], HIGH)
    name, _, inner = spec.lstrip("~?").partition("[")
    items = (_shape(inner[:-1])._replace(sure=sure),) if inner else ()
    return Value(name, sure, items=items)


def made(values: Values, node: ast.AST, what: str, sure: int = HIGH) -> Values:
    """The same, made at `node` in the way `what`, and at most that `sure`."""
    line = getattr(node, "lineno", 0)
    return tuple(
        value._replace(what=what, line=line, sure=min(value.sure, sure)) for value in values
    )


def at_most(values: Values, sure: int) -> Values:
    """The same with less confidence."""
    return tuple(value._replace(sure=min(value.sure, sure)) for value in values)


def elements(values: Values) -> Values:
    """What one gets by going through any of `values`."""
    found: list[Value] = []
    for value in values:
        if value.kind in ("dict", "view-keys"):
            found += value.keys
        elif value.kind == "series" or value.kind == "ndarray":
            continue
        else:
            found += value.items
    return union(found)
