"""Strings: which of them are JSON, and so become something else when they are decoded again."""

from __future__ import annotations

import ast
import json

from xcom_static.flow.frame import Frame
from xcom_static.flow.values import MEDIUM, Values, made, only, union

_NUMBERS = frozenset({"int", "float"})
# A sign, digit, bracket, quote, or the first letter of true, false, null, NaN, Infinity.
_BEGINNINGS = '{["-0123456789tfnNI'


def is_json(text: str) -> bool:
    """Whether a string decodes as JSON, and so to something else than itself."""
    # Quick, because nearly all texts are not JSON. White space may stand before it.
    if not text[:1].strip() or text[0] not in _BEGINNINGS:
        text = text.strip()
        if not text or text[0] not in _BEGINNINGS:
            return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def text_of(given: Values, node: ast.AST) -> Values:
    """`str(x)`: of a number, or a list of numbers, it is JSON."""
    found: list[Values] = []
    for value in given:
        if value.kind in _NUMBERS or value.kind == "json-str":
            found.append(made(only("json-str"), node, f"str() of {value.description}", value.sure))
        elif value.kind == "list" and value.items:
            numbers = {item.kind for item in value.items} <= _NUMBERS
            kind = "json-str" if numbers else "str"
            found.append(made(only(kind), node, "str() of a list", min(value.sure, MEDIUM)))
        else:
            found.append(made(only("str"), node, "str()"))
    return union(*found) or made(only("str"), node, "str()")


def f_string(node: ast.JoinedStr, frame: Frame) -> Values:
    """An f-string: of one number alone, or between braces, it is JSON."""
    parts = node.values
    texts = [part.value for part in parts if isinstance(part, ast.Constant)]
    alone = parts[0] if len(parts) == 1 else None
    if isinstance(alone, ast.FormattedValue) and alone.format_spec is None:
        return text_of(frame.value(alone.value), node)
    if texts and isinstance(parts[0], ast.Constant) and isinstance(parts[-1], ast.Constant):
        begin, end = str(texts[0]), str(texts[-1])
        if begin.startswith('{"') and end.endswith("}"):
            return made(only("json-str", MEDIUM), node, "an f-string")
    return made(only("str"), node, "an f-string")
