"""What statements do: they bind names, return, and part and join the ways through a function.

Each reader of a statement says whether its end may be reached.
"""

from __future__ import annotations

import ast
from typing import Any, Callable, Iterable, Mapping

from xcom_static.flow.annotations import annotated
from xcom_static.flow.arithmetic import operated
from xcom_static.flow.bindings import bind, narrow
from xcom_static.flow.frame import RETURN, Frame, Produced, joined
from xcom_static.flow.values import MEDIUM, UNKNOWN, elements, only


def block(statements: Iterable[ast.stmt], frame: Frame) -> bool:
    """Read statements up to one whose end is never reached; False if there is one."""
    for statement in statements:
        read = _STATEMENTS.get(type(statement), _other)
        if not read(statement, frame):
            return False
    return True


def _assign(node: ast.Assign, frame: Frame) -> bool:
    values = frame.value(node.value)
    for target in node.targets:
        bind(target, values, frame, node.value)
    return True


def _annotated_assign(node: ast.AnnAssign, frame: Frame) -> bool:
    values = UNKNOWN if node.value is None else frame.value(node.value)
    bind(node.target, values or annotated(node.annotation, frame, MEDIUM), frame)
    return True


def _augmented_assign(node: ast.AugAssign, frame: Frame) -> bool:
    right = frame.value(node.value)
    if isinstance(node.target, ast.Name):
        left = frame.env.get(node.target.id, UNKNOWN)
        frame.env[node.target.id] = operated(left, node.op, right, node)
    return True


def _expression(node: ast.Expr, frame: Frame) -> bool:
    frame.value(node.value)
    return True


def _define(node: Any, frame: Frame) -> bool:
    kind = "class" if isinstance(node, ast.ClassDef) else "function"
    frame.env[node.name] = only(kind, ref=node, what=node.name, line=node.lineno)
    return True


def _return(node: ast.Return, frame: Frame) -> bool:
    if node.value is not None:
        _returned(node.value, frame)
    return False


def _returned(node: ast.expr, frame: Frame) -> None:
    """Note a result; `return a if test else b` is two, each at its own place."""
    if isinstance(node, ast.IfExp):
        for holds, part in ((True, node.body), (False, node.orelse)):
            way = frame.fork()
            narrow(node.test, holds, way.env)
            _returned(part, way)
    else:
        frame.outcome.returned.append(Produced(frame.value(node), node, RETURN))


def _leave(_: ast.stmt, __: Frame) -> bool:
    return False


def _if(node: ast.If, frame: Frame) -> bool:
    switch = _switch(node.test, frame)
    if switch is not None:
        return block(node.body if switch else node.orelse, frame)
    ways = []
    for holds, body in ((True, node.body), (False, node.orelse)):
        way = frame.fork()
        narrow(node.test, holds, way.env)
        if block(body, way):
            ways.append(way)
    return frame.join(ways)


def _switch(test: ast.expr, frame: Frame) -> bool | None:
    """The one way that a condition can go, None if both are possible."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _switch(test.operand, frame)
        return None if inner is None else not inner
    kinds = [value.kind for value in frame.value(test)]
    return False if kinds == ["off"] else None


def _for(node: Any, frame: Frame) -> bool:
    bind(node.target, elements(frame.value(node.iter)), frame)
    return _loop(node, frame)


def _loop(node: Any, frame: Frame) -> bool:
    """The body is read once, and may not be run."""
    _branch([node.body, []], frame)
    return block(node.orelse, frame)


def _branch(bodies: list[list[ast.stmt]], frame: Frame) -> bool:
    """One of these bodies is run."""
    ways = []
    for body in bodies:
        way = frame.fork()
        if block(body, way):
            ways.append(way)
    return frame.join(ways)


def _with(node: Any, frame: Frame) -> bool:
    """The name is bound to the context manager, as files, connections and sessions do it."""
    for item in node.items:
        values = frame.value(item.context_expr)
        if item.optional_vars is not None:
            bind(item.optional_vars, values, frame)
    return block(node.body, frame)


def _try(node: Any, frame: Frame) -> bool:
    body = frame.fork()
    ways = [body] if block(node.body, body) and block(node.orelse, body) else []
    # A handler may run after any part of the body.
    begin = joined([frame.env, body.env])
    for handler in node.handlers:
        way = frame.fork(begin)
        if handler.name:
            way.env[handler.name] = only("exception", what="an exception")
        if block(handler.body, way):
            ways.append(way)
    reached = frame.join(ways)
    if not reached:
        frame.env = begin
    return block(node.finalbody, frame) and reached


def _other(node: Any, frame: Frame) -> bool:
    """`match`, `try` with `except*`, and whatever a newer Python adds: by form."""
    cases = getattr(node, "cases", None)
    if cases is not None:
        return _branch([*(case.body for case in cases), []], frame)
    return _try(node, frame) if hasattr(node, "handlers") else True


_STATEMENTS: Mapping[type, Callable[[Any, Frame], bool]] = {
    ast.Assign: _assign,
    ast.AnnAssign: _annotated_assign,
    ast.AugAssign: _augmented_assign,
    ast.Expr: _expression,
    ast.Return: _return,
    ast.If: _if,
    ast.For: _for,
    ast.AsyncFor: _for,
    ast.While: _loop,
    ast.With: _with,
    ast.AsyncWith: _with,
    ast.Try: _try,
    ast.Raise: _leave,
    ast.Continue: _leave,
    ast.Break: _leave,
    ast.FunctionDef: _define,
    ast.AsyncFunctionDef: _define,
    ast.ClassDef: _define,
}
