"""What Python's own functions give, where it depends on what they are given."""

from __future__ import annotations

import ast
from typing import Callable

from xcom_static.flow import signatures
from xcom_static.flow.arguments import Call
from xcom_static.flow.texts import text_of
from xcom_static.flow.values import (
    LOW,
    MEDIUM,
    UNKNOWN,
    Value,
    Values,
    at_most,
    elements,
    made,
    only,
    shape,
    union,
)

_NUMBERS = frozenset({"int", "float"})
_SCALARS = frozenset({"series", "ndarray", "np-scalar", "np-float64", "dataframe"})
_NOT_FINITE = frozenset({"nan", "inf", "infinity"})


def builtin(call: Call, name: str) -> Values:
    """What a call of the builtin `name` gives."""
    first = call.positional(0)
    special = _SPECIAL.get(name)
    if special is not None:
        return special(call, first)
    spec = signatures.BUILTINS.get(name)
    return made(shape(spec), call.node, f"{name}()") if spec is not None else UNKNOWN


def _open(call: Call, _: Values) -> Values:
    mode = call.argument("mode", 1)
    text = mode.value if isinstance(mode, ast.Constant) else "r"
    return call.gives("binary-file" if isinstance(text, str) and "b" in text else "file", "open()")


def _str(call: Call, first: Values) -> Values:
    return text_of(first, call.node)


def _float(call: Call, first: Values) -> Values:
    text = first[0].text if len(first) == 1 else None
    if text is not None and text.strip().lstrip("+-").lower() in _NOT_FINITE:
        return call.gives("nan", f'float("{text}")')
    return call.gives("float", "float()")


def _collection(name: str, kind: str) -> Callable[[Call, Values], Values]:
    """A function that puts the elements of what it is given into a container of its own."""
    what = f"{name}()"

    def collected(call: Call, first: Values) -> Values:
        line = call.node.lineno
        if not first:
            return (Value(kind, what=what, line=line),)
        return tuple(
            Value(kind, value.sure, what, _inside(value), line=line, big=value.big)
            for value in first
        )

    return collected


def _inside(value: Value) -> Values:
    """What one gets by going through a value; of arrays and bytes it is known by their kind."""
    if value.kind == "dict":
        return value.keys
    if value.kind == "ndarray":
        return only("np-scalar", LOW, what="an element of an array")
    return only("int") if value.kind == "bytes" else value.items


def _pairs(name: str) -> Callable[[Call, Values], Values]:
    what = f"{name}()"

    def pairs(call: Call, _: Values) -> Values:
        line = call.node.lineno
        return (Value("iterator", what=what, items=only("tuple", what=what, line=line), line=line),)

    return pairs


def _lazy(call: Call, _: Values) -> Values:
    """`map(f, x)`, `iter(x)`: what their elements are is not followed."""
    call.positional(1)
    what = f"{getattr(call.node.func, 'id', '')}()"
    return (Value("iterator", what=what, line=call.node.lineno),)


def _filter(call: Call, _: Values) -> Values:
    items = elements(call.positional(1))
    return (Value("iterator", what="filter()", items=items, line=call.node.lineno),)


def _dict(call: Call, first: Values) -> Values:
    fields = {
        keyword.arg: call.frame.value(keyword.value)
        for keyword in call.node.keywords
        if keyword.arg
    }
    line = call.node.lineno
    if first:
        return tuple(
            value if value.kind == "dict" else Value("dict", value.sure, line=line)
            for value in first
        )
    return (
        Value(
            "dict",
            what="dict()",
            items=union(*fields.values()),
            keys=only("str") if fields else UNKNOWN,
            fields=tuple(fields.items()),
            line=line,
        ),
    )


def _reduction(name: str) -> Callable[[Call, Values], Values]:
    """A function that makes one thing of many, or a number of a number."""

    def reduced(call: Call, first: Values) -> Values:
        found: list[Values] = []
        for value in first:
            if value.kind in _SCALARS:
                found.append(call.gives("np-scalar", f"{name}() of {value.description}", LOW))
            elif value.kind in _NUMBERS:
                found.append(only(value.kind))
            elif value.kind in ("list", "set", "tuple") and name != "abs":
                found.append(value.items)
        return union(*found)

    return reduced


def _type(call: Call, _: Values) -> Values:
    return call.gives("class", "type()")


def _next(_: Call, first: Values) -> Values:
    return at_most(elements(first), MEDIUM)


_SPECIAL: dict[str, Callable[[Call, Values], Values]] = {
    "open": _open,
    "str": _str,
    "float": _float,
    "list": _collection("list", "list"),
    "tuple": _collection("tuple", "tuple"),
    "set": _collection("set", "set"),
    "frozenset": _collection("frozenset", "frozenset"),
    "sorted": _collection("sorted", "list"),
    "reversed": _collection("reversed", "iterator"),
    "zip": _pairs("zip"),
    "enumerate": _pairs("enumerate"),
    "map": _lazy,
    "iter": _lazy,
    "filter": _filter,
    "dict": _dict,
    **{name: _reduction(name) for name in ("sum", "min", "max", "abs", "round")},
    "type": _type,
    "next": _next,
}
