"""One call, with what it is given."""

from __future__ import annotations

import ast
from typing import AbstractSet, NamedTuple

from xcom_static.flow.frame import Frame, Produced
from xcom_static.flow.values import HIGH, UNKNOWN, Values, made, only
from xcom_static.source.modules import argument


class Call(NamedTuple):
    """A call, and the frame that it is read in."""

    node: ast.Call
    frame: Frame

    def argument(self, name: str, position: int | None = None) -> ast.expr | None:
        """An argument by keyword, else by position; None if it is given in neither way."""
        return argument(self.node, name, position)

    def value(self, name: str, position: int | None = None) -> Values:
        """What that argument may hold; unknown if it is not given."""
        given = argument(self.node, name, position)
        return UNKNOWN if given is None else self.frame.value(given)

    def positional(self, position: int) -> Values:
        """What an argument that is given without its name may hold."""
        given = self.node.args
        return self.frame.value(given[position]) if position < len(given) else UNKNOWN

    def names_any(self, names: AbstractSet[str]) -> bool:
        """Whether one of these arguments is given by its name."""
        return any(keyword.arg in names for keyword in self.node.keywords)

    def gives(self, kind: str, what: str, sure: int = HIGH, *, big: str = "") -> Values:
        """A value of a kind, made by this call in the way `what`."""
        return made(only(kind, big=big), self.node, what, sure)

    def push(self) -> None:
        """Note what `xcom_push`, or `XCom.set`, puts into XCom."""
        value = self.argument("value", 1)
        if value is not None:
            key = self.frame.module.text(self.argument("key", 0), self.frame.scope)
            produced = Produced(self.frame.value(value), self.node, key or "")
            self.frame.outcome.pushed.append(produced)
