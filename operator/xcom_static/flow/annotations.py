"""What annotations say: of parameters, results and names."""

from __future__ import annotations

import ast

from xcom_static.flow import signatures
from xcom_static.flow.frame import Frame
from xcom_static.flow.values import UNKNOWN, Values, made, only, union
from xcom_static.source.modules import subscript

# `list[list[list[...]]]` is read so far.
_DEEPEST = 4


def annotated(node: ast.AST | None, frame: Frame, sure: int, depth: int = 0) -> Values:
    """What an annotation says, with the confidence `sure`."""
    if node is None or depth > _DEEPEST:
        return UNKNOWN
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            node = ast.parse(node.value, mode="eval").body
        except (SyntaxError, ValueError, RecursionError):
            return UNKNOWN
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return union(
            annotated(node.left, frame, sure, depth + 1),
            annotated(node.right, frame, sure, depth + 1),
        )
    dotted = frame.module.dotted(node, frame.scope)
    if dotted in signatures.ANNOTATIONS:
        what = f"annotated as {dotted}"
        return made(only(signatures.ANNOTATIONS[dotted]), node, what, sure)
    builtin = isinstance(node, ast.Name) and node.id in signatures.ANNOTATION_BUILTINS
    if isinstance(node, ast.Name) and builtin and dotted is None:
        return made(only(node.id), node, f"annotated as {node.id}", sure)
    if isinstance(node, ast.Subscript):
        return _generic(node, frame, sure, depth)
    return UNKNOWN


def _generic(node: ast.Subscript, frame: Frame, sure: int, depth: int) -> Values:
    """`list[...]`, `Optional[...]`, ...: by the last part of the name, from any module."""
    name = str(frame.module.dotted(node.value, frame.scope) or getattr(node.value, "id", ""))
    inner = subscript(node)
    arguments = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    values = [annotated(item, frame, sure, depth + 1) for item in arguments]
    last = name.rpartition(".")[2].lower()
    if last in ("optional", "union"):
        return union(*values)
    if last in ("dict", "mapping") and len(values) == 2:
        return only("dict", sure, what="annotated", keys=values[0], items=values[1])
    if last in ("list", "sequence", "set", "frozenset") and values:
        kind = "list" if last == "sequence" else last
        return only(kind, sure, what="annotated", items=values[0])
    if last in ("generator", "iterator"):
        return made(only(last), node, f"annotated as {name}", sure)
    if name in signatures.ANNOTATIONS:
        return made(only(signatures.ANNOTATIONS[name]), node, f"annotated as {name}", sure)
    if last == "tuple":
        return only("tuple", sure, what="annotated", items=union(*values))
    return UNKNOWN
