"""A function while it is read, what it gives, and the reader as the parts of the flow see it.

Statements hold expressions, expressions hold calls, and a call reads another function's statements.
This circle is open in the code: the parts know a `Frame`, which reaches the whole by `Reader`.
"""

from __future__ import annotations

import ast
from typing import Any, Callable, Dict, Mapping, NamedTuple, Protocol

from xcom_static.flow.values import UNKNOWN, Values, only, union
from xcom_static.source.modules import Module, Scope

RETURN = "return_value"
"""The key that a function's result is pushed under."""

Env = Dict[str, Values]


class Produced(NamedTuple):
    """What goes into XCom at one place: alternatives, the statement, the key it is pushed under."""

    values: Values
    node: Any
    key: str


class Outcome:
    """What a function gives, as far as it is read.

    Attributes:
        returned: one item per `return` with an expression.
        pushed: one item per `xcom_push`.
        generator: whether it yields: a call of it gives a generator then.
    """

    __slots__ = ("generator", "pushed", "returned")

    def __init__(self) -> None:
        self.returned: list[Produced] = []
        self.pushed: list[Produced] = []
        self.generator = False

    def values(self) -> Values:
        """What a call may give."""
        if self.generator:
            return only("generator", what="a generator function")
        return union(*(item.values for item in self.returned))


class Reader(Protocol):
    """The reader of a file, as far as its parts need it.

    Attributes:
        module: the file.
        expressions: what reads an expression, by the class of its node.
    """

    module: Module
    expressions: Mapping[type, Callable[[Any, Frame], Values]]

    def outcome(self, function: Any, scope: Scope | None = None, depth: int = 0) -> Outcome:
        """What a function or lambda of this file gives; nothing while it is being read itself.

        Args:
            scope: where a lambda stands; functions know their own.
            depth: how many calls deep it is read.
        """

    def assigned(self, name: str, level: Scope, depth: int) -> Values:
        """What a name of an enclosing scope holds that is assigned once."""


class Frame:
    """One way through a function, up to the statement that is read.

    Attributes:
        scope: the names that it sees.
        depth: how many calls deep it is read.
        env: what its own names hold here.
        outcome: what the function gives; all ways through it share that.
    """

    __slots__ = ("depth", "env", "outcome", "reader", "scope")

    def __init__(self, reader: Reader, scope: Scope, depth: int) -> None:
        self.reader = reader
        self.scope = scope
        self.depth = depth
        self.env: Env = {}
        self.outcome = Outcome()

    @property
    def module(self) -> Module:
        """The file."""
        return self.reader.module

    def value(self, node: ast.AST) -> Values:
        """The alternatives that an expression may hold here."""
        read = self.reader.expressions.get(type(node))
        return UNKNOWN if read is None else read(node, self)

    def imported(self, node: ast.AST) -> str | None:
        """The dotted path of an expression, unless its first name is bound in the function."""
        first = node
        while isinstance(first, ast.Attribute):
            first = first.value
        if not isinstance(first, ast.Name) or first.id in self.env:
            return None
        return self.module.dotted(node, self.scope)

    def called(self, function: Any) -> Values:
        """What a call of a function of this file gives."""
        return self.reader.outcome(function, self.scope, self.depth + 1).values()

    def fork(self, env: Env | None = None) -> Frame:
        """A way that may be taken from here, with names of its own; from `env` if it is given."""
        way = Frame(self.reader, self.scope, self.depth)
        way.env = dict(self.env if env is None else env)
        way.outcome = self.outcome
        return way

    def join(self, ways: list[Frame]) -> bool:
        """Go on where these ways meet; False if there are none, so that nothing comes after."""
        if ways:
            self.env = joined([way.env for way in ways])
        return bool(ways)


def joined(envs: list[Env]) -> Env:
    """What names hold where several ways meet. A name that one way leaves unknown stays known."""
    if len(envs) == 1:
        return envs[0]
    found = dict(envs[0])
    for env in envs[1:]:
        for name, values in env.items():
            held = found.get(name)
            if held is None:
                found[name] = values
            elif held is not values:
                found[name] = union(held, values)
    return found
