"""What expressions hold: literals, containers, comprehensions, and which part reads the others."""

from __future__ import annotations

import ast
from typing import Any, Callable, Mapping

from xcom_static.flow.arithmetic import binary, boolean, compare, unary
from xcom_static.flow.bindings import bind, narrow
from xcom_static.flow.calls import call
from xcom_static.flow.containers import as_keys, item
from xcom_static.flow.frame import Frame
from xcom_static.flow.names import attribute, name
from xcom_static.flow.texts import f_string
from xcom_static.flow.values import MEDIUM, UNKNOWN, Value, Values, elements, only, union
from xcom_static.source.modules import subscript

_NONE = only("none", what="None")


def _constant(node: ast.Constant, _: Frame) -> Values:
    value = node.value
    if isinstance(value, str):
        return (Value("str", text=value, line=node.lineno),)
    if value is None:
        return _NONE
    kind = type(value).__name__
    return (Value(kind, what=kind, line=node.lineno),)


def _sequence(kind: str) -> Callable[[Any, Frame], Values]:
    """A list, tuple or set that is written out."""
    what = f"a {kind}"

    def sequence(node: Any, frame: Frame) -> Values:
        items = union(
            *(
                elements(frame.value(element.value))
                if isinstance(element, ast.Starred)
                else frame.value(element)
                for element in node.elts
            )
        )
        return (Value(kind, what=what, items=items, line=node.lineno),)

    return sequence


def _dict(node: ast.Dict, frame: Frame) -> Values:
    fields: dict[str, Values] = {}
    items: list[Values] = []
    keys: list[Values] = []
    for key, written in zip(node.keys, node.values):
        values = frame.value(written)
        if key is None:
            # `{**other}`
            for value in values:
                items.append(value.items)
                keys.append(value.keys)
                fields.update(dict(value.fields))
            continue
        items.append(values)
        keys.append(as_keys(frame.value(key)))
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            fields[key.value] = values
    return (
        Value(
            "dict",
            what="a dict",
            items=union(*items),
            keys=union(*keys),
            fields=tuple(fields.items()),
            line=node.lineno,
        ),
    )


def _comprehended(kind: str) -> Callable[[Any, Frame], Values]:
    what = f"a {kind}"

    def comprehension(node: Any, frame: Frame) -> Values:
        items = _within(node, frame).value(node.elt)
        return (Value(kind, what=what, items=items, line=node.lineno),)

    return comprehension


def _dict_comprehension(node: ast.DictComp, frame: Frame) -> Values:
    inner = _within(node, frame)
    items = inner.value(node.value)
    keys = as_keys(inner.value(node.key))
    return (Value("dict", what="a dict", items=items, keys=keys, line=node.lineno),)


def _within(node: Any, frame: Frame) -> Frame:
    """A frame with the names that a comprehension binds."""
    inner = frame.fork()
    for generator in node.generators:
        bind(generator.target, elements(inner.value(generator.iter)), inner)
    return inner


def _subscript(node: ast.Subscript, frame: Frame) -> Values:
    index = subscript(node)
    dotted = frame.imported(node.value)
    if dotted is not None:
        return only("str", MEDIUM) if dotted == "os.environ" else UNKNOWN
    return union(*(item(value, index, node) for value in frame.value(node.value)))


def _either(node: ast.IfExp, frame: Frame) -> Values:
    """`a if test else b`, each with what the test says of a name."""
    found = []
    for holds, part in ((True, node.body), (False, node.orelse)):
        way = frame.fork()
        narrow(node.test, holds, way.env)
        found.append(way.value(part))
    return union(*found)


def _lambda(node: ast.Lambda, _: Frame) -> Values:
    return only("function", ref=node, what="a lambda", line=node.lineno)


def _walrus(node: ast.NamedExpr, frame: Frame) -> Values:
    values = frame.value(node.value)
    bind(node.target, values, frame)
    return values


def _await(node: ast.Await, frame: Frame) -> Values:
    return frame.value(node.value)


def _yield(_: ast.AST, frame: Frame) -> Values:
    frame.outcome.generator = True
    return UNKNOWN


EXPRESSIONS: Mapping[type, Callable[[Any, Frame], Values]] = {
    ast.Constant: _constant,
    ast.Name: name,
    ast.Attribute: attribute,
    ast.Call: call,
    ast.Subscript: _subscript,
    ast.List: _sequence("list"),
    ast.Tuple: _sequence("tuple"),
    ast.Set: _sequence("set"),
    ast.Dict: _dict,
    ast.ListComp: _comprehended("list"),
    ast.SetComp: _comprehended("set"),
    ast.GeneratorExp: _comprehended("generator"),
    ast.DictComp: _dict_comprehension,
    ast.JoinedStr: f_string,
    ast.BinOp: binary,
    ast.BoolOp: boolean,
    ast.Compare: compare,
    ast.UnaryOp: unary,
    ast.IfExp: _either,
    ast.Lambda: _lambda,
    ast.NamedExpr: _walrus,
    ast.Await: _await,
    ast.Yield: _yield,
    ast.YieldFrom: _yield,
}
"""What reads an expression, by the class of its node; every other one is unknown."""
