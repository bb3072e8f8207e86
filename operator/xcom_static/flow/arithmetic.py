"""What operators give: arithmetic, comparisons, `and`, `or`, `not`."""

from __future__ import annotations

import ast

from xcom_static.flow.frame import Frame
from xcom_static.flow.values import LOW, MEDIUM, UNKNOWN, Value, Values, made, only, union

# Any calculation with them gives the same kind.
_STICKY = frozenset({"ndarray", "series", "dataframe", "tensor", "np-scalar", "np-float64"})
_NUMBERS = frozenset({"int", "float", "bool"})
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
_PLAIN_COMPARISONS = (ast.Is, ast.IsNot, ast.In, ast.NotIn)
# Stands for an unknown operand beside a known one.
_ANYTHING: Values = (Value("?", LOW),)


def binary(node: ast.BinOp, frame: Frame) -> Values:
    """`left + right`."""
    return operated(frame.value(node.left), node.op, frame.value(node.right), node)


def operated(left: Values, operator: ast.operator, right: Values, node: ast.AST) -> Values:
    """Each alternative on the left with each on the right."""
    return union(
        *(
            _pair(one, operator, other, node)
            for one in left or _ANYTHING
            for other in right or _ANYTHING
        )
    )


def _pair(one: Value, operator: ast.operator, other: Value, node: ast.AST) -> Values:
    for value in (one, other):
        if value.kind in _STICKY:
            sure = min(value.sure, MEDIUM)
            return (value._replace(sure=sure, what=f"arithmetic with {value.description}"),)
    kinds = (one.kind, other.kind)
    if one.kind == "path" and isinstance(operator, ast.Div):
        return (one,)
    if one.kind in ("str", "json-str") and isinstance(operator, ast.Mod):
        return only("str")
    if kinds[0] == kinds[1] and one.kind in ("list", "tuple", "bytes", "dict"):
        return (
            one._replace(items=union(one.items, other.items), keys=union(one.keys, other.keys)),
        )
    if "str" in kinds and isinstance(operator, ast.Add):
        return only("str")
    if set(kinds) <= _NUMBERS and isinstance(operator, _ARITHMETIC):
        is_float = "float" in kinds or isinstance(operator, ast.Div)
        return only("float" if is_float else "int", line=getattr(node, "lineno", 0))
    if kinds == ("datetime", "datetime"):
        return only("timedelta")
    if "datetime" in kinds and "timedelta" in kinds:
        return (one if one.kind == "datetime" else other,)
    return UNKNOWN


def compare(node: ast.Compare, frame: Frame) -> Values:
    """`left < right`: a bool, except for arrays and their scalars."""
    left = frame.value(node.left)
    if len(node.ops) == 1 and not isinstance(node.ops[0], _PLAIN_COMPARISONS):
        for value in left:
            if value.kind in ("ndarray", "series", "dataframe"):
                return (value._replace(sure=min(value.sure, MEDIUM), what="a comparison"),)
            if value.kind in ("np-scalar", "np-float64", "np-int64"):
                sure = min(value.sure, MEDIUM)
                return made(only("np-bool"), node, f"a comparison of {value.description}", sure)
            if value.kind == "pl-series":
                return (value,)
    return only("bool")


def boolean(node: ast.BoolOp, frame: Frame) -> Values:
    """`a and b`, `a or b`: any of them."""
    return union(*(frame.value(item) for item in node.values))


def unary(node: ast.UnaryOp, frame: Frame) -> Values:
    """`not x` is a bool; `-x`, `+x` and `~x` are what x is."""
    return only("bool") if isinstance(node.op, ast.Not) else frame.value(node.operand)
