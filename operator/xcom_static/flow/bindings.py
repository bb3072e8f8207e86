"""What names hold: parameters, assignments, and what a condition says of a name."""

from __future__ import annotations

import ast
from typing import Any

from xcom_static.flow import signatures
from xcom_static.flow.annotations import annotated
from xcom_static.flow.containers import with_item
from xcom_static.flow.frame import Env, Frame
from xcom_static.flow.values import (
    LOW,
    MEDIUM,
    UNKNOWN,
    Values,
    at_most,
    elements,
    only,
    shape,
)
from xcom_static.source.modules import subscript

# Parameters that mean the same in every function of a DAG file.
_UNMISTAKABLE = frozenset({"ti", "task_instance", "dag_run", "ds_nodash"})
_CONTEXTS = frozenset({"context", "ctx"})


def parameters(function: Any, frame: Frame) -> None:
    """Bind a function's parameters: by their names, else by their annotations."""
    given = function.args
    for parameter in [*getattr(given, "posonlyargs", []), *given.args, *given.kwonlyargs]:
        name = parameter.arg
        if name in _UNMISTAKABLE:
            frame.env[name] = shape(signatures.CONTEXT[name])
        elif name in _CONTEXTS:
            frame.env[name] = only("context")
        else:
            frame.env[name] = annotated(parameter.annotation, frame, LOW)
    if given.kwarg is not None:
        frame.env[given.kwarg.arg] = only("context")
    if given.vararg is not None:
        frame.env[given.vararg.arg] = UNKNOWN


def bind(target: ast.AST, values: Values, frame: Frame, source: ast.AST | None = None) -> None:
    """Assign to a name, to several, or to an item of a name.

    Args:
        source: the expression that `values` are of, where each name may have its own part of it.
    """
    if isinstance(target, ast.Name):
        frame.env[target.id] = values
    elif isinstance(target, (ast.Tuple, ast.List)):
        given = getattr(source, "elts", [])
        # The elements of a container are not distinguished.
        inner = at_most(elements(values), MEDIUM)
        for position, item in enumerate(target.elts):
            known = len(given) == len(target.elts)
            bind(item, frame.value(given[position]) if known else inner, frame)
    elif isinstance(target, ast.Starred):
        bind(target.value, only("list", items=values), frame)
    elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
        key = frame.value(subscript(target))
        held = frame.env.get(target.value.id, UNKNOWN)
        frame.env[target.value.id] = with_item(held, key, values)


def narrow(test: ast.expr, holds: bool, env: Env) -> None:
    """What `isinstance(name, T)` and `name is None` say of the name, where they hold or not."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        narrow(test.operand, not holds, env)
    elif isinstance(test, ast.Call) and len(test.args) == 2:
        name, asked = test.args
        if getattr(test.func, "id", "") == "isinstance" and isinstance(name, ast.Name):
            wanted = asked.elts if isinstance(asked, ast.Tuple) else [asked]
            kinds = {getattr(item, "id", getattr(item, "attr", "")).lower() for item in wanted}
            _keep(name.id, kinds, holds, env)
    elif isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.left, ast.Name):
        right = test.comparators[0]
        if isinstance(right, ast.Constant) and right.value is None:
            same = isinstance(test.ops[0], (ast.Is, ast.Eq))
            _keep(test.left.id, {"none"}, holds is same, env)


def _keep(name: str, kinds: set[str], holds: bool, env: Env) -> None:
    """A class that is not a kind says nothing about what is left: the name is then unknown."""
    env[name] = tuple(value for value in env.get(name, UNKNOWN) if (value.kind in kinds) is holds)
