"""What a call gives: of a function or class of the same file, of an imported one, of a method."""

from __future__ import annotations

import ast

from xcom_static.flow import classes
from xcom_static.flow.arguments import Call
from xcom_static.flow.builtin_calls import builtin
from xcom_static.flow.frame import Frame
from xcom_static.flow.library_calls import library_call
from xcom_static.flow.methods import method_call
from xcom_static.flow.values import UNKNOWN, Value, Values, made, union


def call(node: ast.Call, frame: Frame) -> Values:
    """The alternatives that a call may give; notes an `xcom_push` on the way."""
    function = node.func
    dotted = frame.imported(function)
    if dotted is not None:
        return library_call(Call(node, frame), dotted)
    if isinstance(function, ast.Attribute):
        return method_call(Call(node, frame), function)
    known = frame.value(function)
    if isinstance(function, ast.Name) and not known:
        return builtin(Call(node, frame), function.id)
    return union(*(_of_value(value, node, frame) for value in known))


def _of_value(value: Value, node: ast.Call, frame: Frame) -> Values:
    """A call of something that the file defines."""
    if value.kind == "function" and value.ref is not None:
        return frame.called(value.ref)
    if value.kind == "class" and isinstance(value.ref, ast.ClassDef):
        return made(classes.instance_of(value.ref, frame), node, f"{value.ref.name}()")
    return UNKNOWN
