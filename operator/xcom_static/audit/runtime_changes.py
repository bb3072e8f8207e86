"""Code that sets the backend or its options at run time, or changes the pod of a task.

Both bypass what the operator delivers and a proof has checked. Only literals are read: a name that
is put together from parts is not seen, nor what another program is given.
"""

from __future__ import annotations

import ast
import re
from typing import Any, Callable, ClassVar, Iterator, NamedTuple

from xcom_static.flow.values import HIGH, LOW, MEDIUM
from xcom_static.source.modules import LEAVES, Module, argument, single, subscript

OPTION = "backend-option"
CLASS = "xcom-class"
ENV_FILE = "env-file"
POD = "pod-override"
HOOK = "pod-mutation-hook"

# The options that the operator delivers, by section and name, and the variables that set them.
OPTIONS = frozenset(
    {
        *(("core", "xcom_backend"), ("common.io", "xcom_objectstorage_path")),
        *(("common.io", "xcom_objectstorage_threshold"),),
        *(("common.io", "xcom_objectstorage_compression"),),
    }
)
VARIABLES = frozenset(
    {
        *("AIRFLOW__CORE__XCOM_BACKEND", "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"),
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION",
    }
)
_WITHIN = re.compile(r"(?<!\w)({})=".format("|".join(sorted(VARIABLES))))
# A file without any of these words holds nothing of this kind.
_WORDS = (
    *(b"AIRFLOW__CORE__XCOM", b"AIRFLOW__COMMON_IO__XCOM", b"xcom_backend", b"xcom_objectstorage"),
    *(b"load_dotenv", b"executor_config", b"pod_override", b"pod_mutation_hook"),
)
# The XCom class as an attribute or a text: the bare name is in every docstring on XCom.
_CLASS_NAMED = re.compile(rb"\.[\s\\]*(Base)?XCom\b|[\"'](Base)?XCom[\"']")
_READ_CALLS = frozenset({"os.getenv", "os.environ.get", "os.environ.__contains__"})
_SET_CALLS = frozenset(
    {
        *("os.environ.update", "os.environ.setdefault", "os.environ.pop", "os.environ.__setitem__"),
        *("os.putenv", "os.unsetenv", "unittest.mock.patch.dict", "mock.patch.dict"),
    }
)
# By their last name: methods of something that cannot be resolved.
_SET_METHODS = frozenset({"setenv", "delenv", "V1EnvVar"})
_CONF_METHODS = frozenset({"set", "remove_option"})
_CLASSES = frozenset({"XCom", "BaseXCom"})
_POD_FIELDS = frozenset(
    {
        *("image", "namespace", "env", "envs", "env_from", "envFrom", "command", "args"),
        *("service_account_name", "serviceAccountName", "service_account"),
        "pod_template_file",
    }
)
_EXECUTOR_CONFIG = "executor_config"
_POD_OVERRIDE = "pod_override"
_CONTAINER = "V1Container"
_BASE = "base"


class Found(NamedTuple):
    """One place in the code.

    Attributes:
        kind: as in `rules`.
        node: where it stands.
        sure: HIGH, MEDIUM or LOW.
        what: in words, without any value.
    """

    kind: str
    node: Any
    sure: int
    what: str


def found_in(module: Module, source: bytes) -> list[Found]:
    """What of this kind a parsed file holds, each place once, in no order."""
    if not any(word in source for word in _WORDS) and not _names_the_class(module, source):
        return []
    looker = _Looker(module)
    looker.visit(module.tree)
    places: dict[Any, Found] = {}
    for item in looker.found:
        key = (item.kind, item.node.lineno, item.what if item.kind == OPTION else "")
        if key not in places or places[key].sure < item.sure:
            places[key] = item
    return list(places.values())


def _names_the_class(module: Module, source: bytes) -> bool:
    """Whether code (and not only a comment or docstring) may get at the XCom class."""
    if b"XCom" not in source:
        return False
    if _CLASS_NAMED.search(source):
        return True
    scopes = module.scopes.values()
    imported = (path for scope in scopes for path in scope.imports.values())
    return any(scope.stars for scope in scopes) or any(
        not _CLASSES.isdisjoint(path.split(".")) for path in imported
    )


class _Looker:
    """Goes through a tree as `ast.NodeVisitor` does, in a third of its time."""

    def __init__(self, module: Module) -> None:
        self.found: list[Found] = []
        self._module = module
        self._scope = module.scope
        self._sure = MEDIUM

    def visit(self, node: ast.AST) -> None:
        visitor = self._VISITORS.get(node.__class__)
        if visitor is not None:
            visitor(self, node)
        elif node.__class__ not in LEAVES:
            self._children(node)

    def _children(self, node: ast.AST) -> None:
        for child in node.__dict__.values():
            if child.__class__ is list:
                for item in child:
                    if isinstance(item, ast.AST):
                        self.visit(item)
            elif isinstance(child, ast.AST):
                self.visit(child)

    def _scoped(self, node: ast.AST) -> None:
        outer, self._scope = self._scope, self._module.scopes[node]
        self._children(node)
        self._scope = outer

    def _expr(self, node: ast.Expr) -> None:
        # A text on its own is a docstring.
        if not isinstance(node.value, ast.Constant):
            self.visit(node.value)

    def _constant(self, node: ast.Constant) -> None:
        if not isinstance(node.value, str):
            return
        if node.value in VARIABLES:
            self._option(node, node.value, self._sure)
        else:
            for name in _WITHIN.findall(node.value):
                self._option(node, name, LOW)

    def _function(self, node: ast.FunctionDef) -> None:
        if node.name == "pod_mutation_hook":
            self.found.append(Found(HOOK, node, LOW, "pod_mutation_hook"))
        self._scoped(node)

    def _assign(self, node: ast.Assign) -> None:
        named = all(isinstance(target, ast.Name) for target in node.targets)
        for target in node.targets:
            self._assigned(target)
            if isinstance(target, ast.Attribute) and target.attr == _EXECUTOR_CONFIG:
                self._pod(node.value)
        # A name for a variable's name: what is done with it counts.
        self._visit_as(LOW if named and isinstance(node.value, ast.Constant) else None, node.value)

    def _augmented(self, node: ast.AugAssign) -> None:
        self._assigned(node.target)
        whole = self._dotted(node.target) == "os.environ"
        self._visit_as(HIGH if whole else None, node.value)

    def _subscript(self, node: ast.Subscript) -> None:
        index = subscript(node)
        if self._dotted(node.value) == "os.environ":
            name = self._text(index)
            if name in VARIABLES and not isinstance(node.ctx, ast.Load):
                self._option(node, str(name), HIGH)
            if name is not None:
                return
        self._children(node)

    def _compare(self, node: ast.Compare) -> None:
        if not any(self._dotted(item) == "os.environ" for item in node.comparators):
            self._children(node)

    def _call(self, node: ast.Call) -> None:
        called = self._dotted(node.func) or ""
        last = _last_name(node.func)
        if called in _READ_CALLS:
            for argument in node.args[1:]:
                self.visit(argument)
            return
        if last in _CONF_METHODS and len(node.args) > 1:
            option = (self._text(node.args[0]) or "", self._text(node.args[1]) or "")
            if option in OPTIONS:
                airflows = called.startswith("airflow.")
                where = f"[{option[0]}] {option[1]}"
                self._option(node, where, HIGH if airflows else MEDIUM)
        elif called == "setattr" or (isinstance(node.func, ast.Name) and last == "setattr"):
            if len(node.args) > 1:
                thing = self._dotted(node.args[0])
                self._replaced(node, f"{thing}.{self._text(node.args[1])}" if thing else "")
        elif last == "load_dotenv" and called.startswith("dotenv."):
            self.found.append(Found(ENV_FILE, node, LOW, "load_dotenv(), whose file is not read"))
        sets = called in _SET_CALLS or last in _SET_METHODS
        outer, self._sure = self._sure, HIGH if sets else self._sure
        for keyword in node.keywords:
            if keyword.arg in VARIABLES:
                self._option(keyword.value, str(keyword.arg), self._sure)
            if keyword.arg == _EXECUTOR_CONFIG:
                self._pod(keyword.value)
        self._children(node)
        self._sure = outer

    def _dict(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values):
            name = key.value if isinstance(key, ast.Constant) else None
            if name == _EXECUTOR_CONFIG:
                self._pod(value)
            elif name == _POD_OVERRIDE:
                self._pod(node)
        self._children(node)

    def _visit_as(self, sure: int | None, node: ast.AST) -> None:
        outer, self._sure = self._sure, self._sure if sure is None else sure
        self.visit(node)
        self._sure = outer

    def _assigned(self, target: ast.expr) -> None:
        if isinstance(target, ast.Attribute):
            self._replaced(target, self._dotted(target) or "")
        self.visit(target)

    def _option(self, node: ast.AST, name: str, sure: int) -> None:
        self.found.append(Found(OPTION, node, sure, name))

    def _replaced(self, node: ast.AST, dotted: str) -> None:
        parts = dotted.split(".")
        if parts[0] == "airflow" and _CLASSES.intersection(parts[1:]):
            self.found.append(Found(CLASS, node, HIGH, dotted))

    def _pod(self, value: ast.expr) -> None:
        """Note an executor_config, or a dict with a pod_override, that changes what was proven."""
        node = self._resolved(value)
        if isinstance(node, ast.Constant):
            return
        if not isinstance(node, ast.Dict):
            self.found.append(Found(POD, value, LOW, f"an {_EXECUTOR_CONFIG} created elsewhere"))
            return
        fields = sorted(set(self._fields(node, 0)))
        if fields:
            self.found.append(Found(POD, node, LOW, f"a pod with its own {', '.join(fields)}"))

    def _fields(self, value: ast.expr, depth: int) -> Iterator[str]:
        """The fields that a pod's definition sets."""
        node = self._resolved(value)
        if depth > 12:
            return
        if isinstance(node, ast.Dict):
            pairs = [
                (key.value if isinstance(key, ast.Constant) else None, item)
                for key, item in zip(node.keys, node.values)
            ]
        elif isinstance(node, ast.Call):
            pairs = [(keyword.arg, keyword.value) for keyword in node.keywords]
            if _last_name(node.func) == _CONTAINER and self._text(argument(node, "name")) != _BASE:
                # One beside the task's own.
                return
        elif isinstance(node, (ast.List, ast.Tuple)):
            pairs = [(None, item) for item in node.elts]
        else:
            return
        for name, item in pairs:
            if name in _POD_FIELDS:
                yield str(name)
            else:
                yield from self._fields(item, depth + 1)

    def _resolved(self, node: ast.expr) -> ast.expr:
        for _ in range(4):
            if not isinstance(node, ast.Name):
                break
            found = single(node.id, self._scope)
            if found is None:
                break
            node = found
        return node

    def _dotted(self, node: ast.AST | None) -> str | None:
        return self._module.dotted(node, self._scope)

    def _text(self, node: ast.AST | None) -> str | None:
        return self._module.text(node, self._scope)

    # Of the class: bound methods would be a circle, which keeps the tree until it is collected.
    _VISITORS: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        ast.Expr: _expr,
        ast.Constant: _constant,
        ast.FunctionDef: _function,
        ast.AsyncFunctionDef: _scoped,
        ast.ClassDef: _scoped,
        ast.Assign: _assign,
        ast.AugAssign: _augmented,
        ast.Subscript: _subscript,
        ast.Compare: _compare,
        ast.Call: _call,
        ast.Dict: _dict,
    }


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
