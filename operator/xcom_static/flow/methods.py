"""What methods give, by the kind that they are called on."""

from __future__ import annotations

import ast

from xcom_static.flow import signatures
from xcom_static.flow.arguments import Call
from xcom_static.flow.containers import context_item, extended, updated
from xcom_static.flow.method_results import RESULTS
from xcom_static.flow.values import (
    MEDIUM,
    UNKNOWN,
    Value,
    Values,
    elements,
    made,
    only,
    shape,
    union,
)
from xcom_static.source.tasks import method

_MUTATORS = frozenset({"append", "add", "insert", "extend", "update", "appendleft"})
# Of classes that Airflow can write: what makes a dict, or a string, of an instance.
_AS_DICT = frozenset({"model_dump", "dict"})
_AS_JSON = frozenset({"model_dump_json", "json"})


def method_call(call: Call, function: ast.Attribute) -> Values:
    """What a call of `value.method` gives; notes what it pushes, or puts into the value."""
    name, owner = function.attr, function.value
    if name == "xcom_push":
        call.push()
        return UNKNOWN
    if isinstance(owner, ast.Name) and owner.id == "self":
        return _own(call, name)
    held = call.frame.value(owner)
    if name in _MUTATORS and isinstance(owner, ast.Name):
        _mutate(call, name, owner.id, held)
        return UNKNOWN
    if not held and name == "join" and isinstance(owner, ast.Constant):
        return only("str")
    if not held and name in signatures.METHODS_OF_ANY:
        return call.gives(signatures.METHODS_OF_ANY[name], f".{name}()", MEDIUM)
    return union(*(_method_of(value, name, call) for value in held))


def _own(call: Call, name: str) -> Values:
    """What `self.NAME()` gives, if the class around the function has such a method itself."""
    owner = call.frame.scope.parent
    if owner is None or not isinstance(owner.node, ast.ClassDef):
        return UNKNOWN
    function = method(owner.node, name)
    return UNKNOWN if function is None else call.frame.called(function)


def _method_of(value: Value, name: str, call: Call) -> Values:
    what = f".{name}() of {value.description}"
    result = RESULTS.get((value.kind, name))
    if result is not None:
        return result(call, value)
    if value.kind in ("pydantic", "dataclass", "attrs"):
        if name in _AS_DICT:
            return call.gives("dict", what, value.sure)
        if name in _AS_JSON:
            return call.gives("json-str", what, value.sure)
    if value.kind == "context" and name == "get" and call.node.args:
        key = call.positional(0)
        return context_item((key[0].text or "") if key else "", call.node, "the task's context")
    # `cursor(DictCursor)`, `get_conn(cursor_factory=...)`
    if name == "cursor" and call.node.args:
        return UNKNOWN
    if name in ("cursor", "get_conn") and call.names_any(signatures.ROW_ARGUMENTS):
        return UNKNOWN
    spec = signatures.METHODS.get(value.kind, {}).get(name)
    return made(shape(spec), call.node, what, value.sure) if spec else UNKNOWN


def _mutate(call: Call, method_name: str, target: str, held: Values) -> None:
    """A list, set or dict that gets more elements is bound again, with them."""
    if not call.node.args or not held:
        return
    given = call.frame.value(call.node.args[-1])
    if method_name == "update":
        call.frame.env[target] = updated(held, given)
    else:
        items = elements(given) if method_name == "extend" else given
        call.frame.env[target] = extended(held, items)
