"""Names and attributes: what is bound here, around the function, or in an imported module."""

from __future__ import annotations

import ast

from xcom_static.flow import classes, signatures
from xcom_static.flow.frame import Frame
from xcom_static.flow.values import UNKNOWN, Value, Values, made, only, shape, union


def name(node: ast.Name, frame: Frame) -> Values:
    """What a name holds."""
    if node.id in frame.env:
        return frame.env[node.id]
    return _outer(node.id, frame)


def _outer(wanted: str, frame: Frame) -> Values:
    """A name bound outside of the function: in an enclosing one or in the module."""
    for level in frame.scope.outward():
        if wanted in level.functions:
            return only("function", ref=level.functions[wanted], what=wanted)
        if wanted in level.classes:
            return only("class", ref=level.classes[wanted], what=wanted)
        if wanted in level.imports:
            dotted = level.imports[wanted]
            if dotted in signatures.CONSTANTS:
                return made(shape(signatures.CONSTANTS[dotted]), level.node, dotted)
            return UNKNOWN
        if wanted in level.values:
            # In its own scope it is assigned later, or in a part that was not read.
            own = level is frame.scope
            return UNKNOWN if own else frame.reader.assigned(wanted, level, frame.depth)
    return UNKNOWN


def attribute(node: ast.Attribute, frame: Frame) -> Values:
    """What `value.attr` gives."""
    dotted = frame.imported(node)
    if dotted is not None:
        spec = signatures.CONSTANTS.get(dotted)
        return made(shape(spec), node, dotted) if spec else UNKNOWN
    return union(*(_attribute_of(value, node, frame) for value in frame.value(node.value)))


def _attribute_of(value: Value, node: ast.Attribute, frame: Frame) -> Values:
    if value.kind == "class" and isinstance(value.ref, ast.ClassDef):
        kinds = [item.kind for item in classes.instance_of(value.ref, frame)]
        what = f"{value.what}.{node.attr}"
        return made(only("enum"), node, what) if kinds == ["enum"] else UNKNOWN
    spec = signatures.ATTRIBUTES.get(value.kind, {}).get(node.attr)
    if not spec:
        return UNKNOWN
    return made(shape(spec), node, f".{node.attr} of {value.description}", value.sure)
