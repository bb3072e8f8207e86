"""Parts of containers and tables, and containers that get more."""

from __future__ import annotations

import ast
from typing import Any

from xcom_static.flow import signatures
from xcom_static.flow.values import (
    MEDIUM,
    UNKNOWN,
    Value,
    Values,
    at_most,
    made,
    only,
    shape,
    union,
)

_SLICED = frozenset({"list", "tuple", "ndarray", "dataframe", "series", "bytes"})


def item(value: Value, index: ast.expr, node: ast.Subscript) -> Values:
    """What `value[index]` gives."""
    key = index.value if isinstance(index, ast.Constant) else None
    if value.kind == "context":
        name = key if isinstance(key, str) else ""
        return context_item(name, node, f'context["{name}"]')
    if value.kind == "dict":
        known = dict(value.fields)
        if isinstance(key, str) and known:
            return known.get(key, UNKNOWN)
        return at_most(value.items, MEDIUM)
    if isinstance(index, ast.Slice):
        if value.kind in _SLICED:
            return (value._replace(sure=min(value.sure, MEDIUM)),)
        return only("str") if value.kind in ("str", "json-str") else UNKNOWN
    if value.kind in ("list", "tuple"):
        return at_most(value.items, MEDIUM)
    return _table_item(value, index, key, node)


def context_item(name: str, node: ast.AST, what: str) -> Values:
    """What Airflow's context holds under a name."""
    spec = signatures.CONTEXT.get(name)
    return made(shape(spec), node, what, MEDIUM) if spec else UNKNOWN


def _table_item(value: Value, index: ast.expr, key: Any, node: ast.AST) -> Values:
    """A part of an array or table: `df["a"]`, `df[df.a > 1]`, `df.loc[...]`, `array[0]`."""
    what = f"a part of {value.description}"
    sure = min(value.sure, MEDIUM)
    if value.kind == "dataframe":
        if isinstance(key, str):
            return made(only("series"), node, f'column "{key}" of {value.description}', value.sure)
        if isinstance(index, (ast.List, ast.Compare, ast.BinOp, ast.UnaryOp)):
            return made(only("dataframe"), node, what, sure)
        return UNKNOWN
    if value.kind == "frame-indexer" and isinstance(index, (ast.Slice, ast.Compare, ast.List)):
        return made(only("dataframe"), node, what, sure)
    if value.kind == "frame-indexer" and isinstance(key, int):
        return made(only("series"), node, what, sure)
    if value.kind == "series" and isinstance(index, ast.Compare):
        return made(only("series"), node, what, sure)
    if value.kind == "groupby":
        return (value,)
    if value.kind == "ndarray" and _selects_several(index):
        return made(only("ndarray"), node, what, sure)
    if value.kind == "pl-dataframe" and isinstance(key, str):
        return made(only("pl-series"), node, what, sure)
    if value.kind == "environ":
        return only("str", MEDIUM)
    return UNKNOWN


def _selects_several(index: ast.expr) -> bool:
    """Whether an index of an array gives an array for certain: a mask, a list, slices."""
    if isinstance(index, ast.Tuple):
        return any(isinstance(part, ast.Slice) for part in index.elts)
    return isinstance(index, (ast.Compare, ast.List))


def with_item(held: Values, key: Values, values: Values) -> Values:
    """A container after `name[key] = values`."""
    changed = []
    for value in held:
        if value.kind == "dict":
            text = key[0].text if len(key) == 1 else None
            fields = dict(value.fields)
            if text is not None:
                fields[text] = values
            value = value._replace(
                items=union(value.items, values),
                keys=union(value.keys, as_keys(key)),
                fields=tuple(fields.items()),
            )
        elif value.kind == "list":
            value = value._replace(items=union(value.items, values))
        changed.append(value)
    return tuple(changed)


def as_keys(values: Values) -> Values:
    """Values as keys of a dict, where their texts are of no interest."""
    return tuple(value._replace(text=None) for value in values)


def updated(held: Values, given: Values) -> Values:
    """Dicts and sets after `.update(given)`."""
    return tuple(
        _merged(value, given) if value.kind in ("dict", "set") else value for value in held
    )


def extended(held: Values, items: Values) -> Values:
    """Lists, sets and deques that hold `items`, too."""
    return tuple(
        value._replace(items=union(value.items, items))
        if value.kind in ("list", "set", "deque")
        else value
        for value in held
    )


def _merged(value: Value, given: Values) -> Value:
    for other in given:
        value = value._replace(
            items=union(value.items, other.items),
            keys=union(value.keys, other.keys),
            fields=tuple({**dict(value.fields), **dict(other.fields)}.items()),
        )
    return value
