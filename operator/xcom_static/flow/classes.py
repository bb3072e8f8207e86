"""What an instance of a class of the same file is, as far as Airflow's serialization goes."""

from __future__ import annotations

import ast

from xcom_static.flow.frame import Frame
from xcom_static.flow.values import UNKNOWN, Values, only
from xcom_static.source.modules import Module, Scope
from xcom_static.source.tasks import method

_DATACLASSES = frozenset({"dataclasses.dataclass", "pydantic.dataclasses.dataclass"})
_ATTRS = frozenset(
    {
        *("attr.s", "attr.attrs", "attr.define", "attr.frozen", "attr.dataclass"),
        *("attrs.define", "attrs.frozen", "attrs.mutable"),
    }
)
_PYDANTIC = frozenset({"pydantic.BaseModel", "pydantic.main.BaseModel"})
_BASES = {
    "typing.NamedTuple": "namedtuple",
    "typing_extensions.NamedTuple": "namedtuple",
    "typing.TypedDict": "dict",
    "typing_extensions.TypedDict": "dict",
    "enum.Enum": "enum",
    "enum.Flag": "enum",
    "enum.IntEnum": "int",
    "enum.StrEnum": "str",
}
# With one of these an enumeration's member is written as its value.
_PLAIN = frozenset({"str", "int", "float"})
_BUILTIN_BASES = {
    **dict.fromkeys(("Exception", "ValueError", "RuntimeError", "TypeError"), "exception"),
    "object": "object",
}
# Airflow asks for this method first.
_OWN = "serialize"


def instance_of(node: ast.ClassDef, frame: Frame) -> Values:
    """What a call of a class of this file gives."""
    return _instance(frame.module, node, frame.module.scopes[node].parent or frame.scope)


def _instance(module: Module, node: ast.ClassDef, scope: Scope, depth: int = 0) -> Values:
    """The kind of the class's instances; nothing where a base is not known."""
    if depth > 8 or method(node, _OWN) is not None:
        return UNKNOWN
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        dotted = module.dotted(called, scope)
        if dotted in _DATACLASSES:
            return only("dataclass", ref=node)
        if dotted in _ATTRS:
            return only("attrs", ref=node)
    found = only("object", ref=node)
    names = {base.id for base in node.bases if isinstance(base, ast.Name)}
    for base in node.bases:
        dotted = module.dotted(base, scope)
        local = module.definition(base, scope)
        if dotted in _PYDANTIC:
            return only("pydantic", ref=node)
        if dotted is not None and dotted in _BASES:
            kind = _BASES[dotted]
            return UNKNOWN if kind == "enum" and names & _PLAIN else only(kind, ref=node)
        if dotted is not None and dotted.endswith("Hook"):
            return only("hook", ref=node)
        if isinstance(local, ast.ClassDef) and local is not node:
            found = _instance(module, local, module.scopes[local].parent or scope, depth + 1)
        elif isinstance(base, ast.Name) and dotted is None and base.id in _BUILTIN_BASES:
            found = only(_BUILTIN_BASES[base.id], ref=node)
        else:
            return UNKNOWN
    return found
