"""One parsed file: its scopes and imports, and the calls in it with the DAG around them.

The tree is gone through once. Names are resolved afterwards, so that an import may stand behind
its use, as it may in a function.
"""

from __future__ import annotations

import ast
from typing import Any, Callable, ClassVar, Iterator, NamedTuple, Union

FunctionNode = Union[ast.FunctionDef, ast.AsyncFunctionDef]
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_WITH = (ast.With, ast.AsyncWith)
# Aliases of aliases: more than that are a loop.
_DEEPEST = 8
# What holds no other node, None (a key of `{**other}`) included.
LEAVES = frozenset(
    {type(None), str, int, ast.Name, ast.Constant}.union(
        *(
            base.__subclasses__()
            for base in (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
        )
    )
)

# Providers import through this module what Airflow 2 and 3 have in different places.
_REEXPORTS = {"airflow.providers.common.compat.sdk": "airflow.sdk"}

DAG_CLASSES = frozenset(
    {
        *("airflow.DAG", "airflow.models.DAG", "airflow.models.dag.DAG", "airflow.sdk.DAG"),
        "airflow.sdk.definitions.dag.DAG",
    }
)
DAG_DECORATORS = frozenset({"airflow.decorators.dag", "airflow.sdk.dag", "airflow.models.dag.dag"})
GROUP_CLASSES = frozenset(
    {
        *("airflow.utils.task_group.TaskGroup", "airflow.sdk.TaskGroup"),
        "airflow.sdk.definitions.taskgroup.TaskGroup",
    }
)
GROUP_DECORATORS = frozenset({"airflow.decorators.task_group", "airflow.sdk.task_group"})


class Scope:
    """A module, class or function with the names bound in it.

    Attributes:
        imports: name to dotted path; a relative one begins with dots.
        functions, classes: name to definition, the last one.
        values: name to the expressions assigned to it.
        stars: modules of which everything was imported.
    """

    __slots__ = ("classes", "functions", "imports", "node", "parent", "stars", "values")

    def __init__(self, node: ast.AST, parent: Scope | None) -> None:
        self.node = node
        self.parent = parent
        self.imports: dict[str, str] = {}
        self.functions: dict[str, FunctionNode] = {}
        self.classes: dict[str, ast.ClassDef] = {}
        self.values: dict[str, list[ast.expr]] = {}
        self.stars: list[str] = []

    def outward(self) -> Iterator[Scope]:
        """This scope and those whose names it sees; a class is seen from itself only."""
        yield self
        scope = self.parent
        while scope is not None:
            if not isinstance(scope.node, ast.ClassDef):
                yield scope
            scope = scope.parent


class DagContext(NamedTuple):
    """Where in the DAG's structure something stands.

    Attributes:
        dag: the DAG's call or decorated function around it, None outside of one.
        groups: the task groups around it, outermost first: the call or decorated function.
    """

    dag: ast.AST | None = None
    groups: tuple[ast.AST, ...] = ()


class CallSite(NamedTuple):
    """A call, the scope that it stands in, and its place."""

    call: ast.Call
    scope: Scope
    place: DagContext


class Definition(NamedTuple):
    """A function or class, the scope that it is bound in, and its place."""

    node: Any
    scope: Scope
    place: DagContext


class Module:
    """What one file defines and calls.

    Attributes:
        name: the file, as it is shown.
        tree: its syntax tree.
        scope: the names of the module itself.
        scopes: the scope of each function and class, by definition.
        functions, classes: everything defined, in the order of the text.
        calls: every call, statement by statement.
        parents: the scope each function is defined in, by definition.
    """

    def __init__(self, name: str, tree: ast.Module) -> None:
        self.name = name
        self.tree = tree
        self.scope = Scope(tree, None)
        self.scopes: dict[ast.AST, Scope] = {tree: self.scope}
        self.functions: list[Definition] = []
        self.classes: list[Definition] = []
        self.calls: list[CallSite] = []
        self._names: dict[tuple[Scope, str], str | None] = {}
        _Reader(self).block(tree.body, self.scope, DagContext())

    def dotted(self, node: ast.AST | None, scope: Scope) -> str | None:
        """The imported thing that an expression names: `numpy.zeros` for `np.zeros`."""
        first = node
        while isinstance(first, ast.Attribute):
            first = first.value
        if not isinstance(first, ast.Name):
            return None
        key = (scope, first.id)
        if key not in self._names:
            self._names[key] = _dotted(first, scope, 0)
        found = self._names[key]
        # Most names are not imported: the path is put together for those that are.
        if found is None or node is first:
            return found
        path = ""
        while isinstance(node, ast.Attribute):
            path = f".{node.attr}{path}"
            node = node.value
        return found + path

    def definition(self, node: ast.AST | None, scope: Scope) -> ast.AST | None:
        """The function or class of this file that an expression names."""
        return _definition(node, scope, 0)

    def text(self, node: ast.AST | None, scope: Scope) -> str | None:
        """The string that an expression is, also by a name that is bound once."""
        for _ in range(_DEEPEST):
            if isinstance(node, ast.Constant):
                return node.value if isinstance(node.value, str) else None
            if not isinstance(node, ast.Name):
                return None
            node = single(node.id, scope)
        return None


def parse(name: str, source: bytes) -> Module:
    """Parse a file.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: this interpreter cannot parse it.
    """
    return Module(name, ast.parse(source, filename=name))


def single(name: str, scope: Scope) -> ast.expr | None:
    """The one expression that is assigned to a name, None if there is none or several."""
    for level in scope.outward():
        if name in level.values:
            found = level.values[name]
            return found[0] if len(found) == 1 else None
        if name in level.imports or name in level.functions or name in level.classes:
            return None
    return None


def argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """The argument of a call by keyword, else by position; None if it is given in neither way."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if position is not None and position < len(call.args):
        given = call.args[position]
        return None if isinstance(given, ast.Starred) else given
    return None


def is_false(node: ast.AST | None) -> bool:
    """Whether an expression is the constant False."""
    return isinstance(node, ast.Constant) and node.value is False


def is_true(node: ast.AST | None) -> bool:
    """Whether an expression is the constant True."""
    return isinstance(node, ast.Constant) and node.value is True


def subscript(node: ast.Subscript) -> ast.expr:
    """The index of a subscript; Python 3.8 wraps it."""
    index: Any = node.slice
    return index.value if type(index).__name__ == "Index" else index  # type: ignore[no-any-return]


def _dotted(node: ast.AST | None, scope: Scope, depth: int) -> str | None:
    if depth > _DEEPEST:
        return None
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value, scope, depth + 1)
        return None if base is None else f"{base}.{node.attr}"
    if not isinstance(node, ast.Name):
        return None
    name = node.id
    stars: list[str] = []
    for level in scope.outward():
        if name in level.imports:
            return level.imports[name]
        if name in level.functions or name in level.classes:
            return None
        if name in level.values:
            found = level.values[name]
            if len(found) == 1 and isinstance(found[0], (ast.Name, ast.Attribute)):
                return _dotted(found[0], level, depth + 1)
            return None
        stars += level.stars
    return f"{stars[-1]}.{name}" if stars and stars[-1].startswith("airflow.") else None


def _definition(node: ast.AST | None, scope: Scope, depth: int) -> ast.AST | None:
    if not isinstance(node, ast.Name) or depth > _DEEPEST:
        return None
    for level in scope.outward():
        if node.id in level.functions:
            return level.functions[node.id]
        if node.id in level.classes:
            return level.classes[node.id]
        if node.id in level.imports:
            return None
        if node.id in level.values:
            found = level.values[node.id]
            return _definition(found[0], level, depth + 1) if len(found) == 1 else None
    return None


class _Reader:
    """Goes through a tree once and fills the module.

    Dispatched by the class of a node: this is the hottest part of the audit, and of the linter.
    """

    def __init__(self, module: Module) -> None:
        self._module = module

    def block(self, statements: list[ast.stmt], scope: Scope, place: DagContext) -> None:
        for statement in statements:
            self._statement(statement, scope, place)

    def _statement(self, node: ast.stmt, scope: Scope, place: DagContext) -> None:
        read = self._STATEMENTS.get(node.__class__)
        if read is not None:
            read(self, node, scope, place)
        else:
            # Branches, and whatever a newer Python adds: bodies and expressions by form.
            self._children(node, scope, place)

    def _expr(self, node: ast.Expr, scope: Scope, place: DagContext) -> None:
        self._expression(node.value, scope, place)

    def _assign(self, node: ast.Assign, scope: Scope, place: DagContext) -> None:
        self._expression(node.value, scope, place)
        for target in node.targets:
            if isinstance(target, ast.Name):
                scope.values.setdefault(target.id, []).append(node.value)
            else:
                self._expression(target, scope, place)

    def _assign_one(self, node: Any, scope: Scope, place: DagContext) -> None:
        """An assignment with an annotation, or with an operator."""
        if isinstance(node.target, ast.Name) and node.value is not None:
            scope.values.setdefault(node.target.id, []).append(node.value)
        self._children(node, scope, place)

    def _import(self, node: ast.Import, scope: Scope, _: DagContext) -> None:
        for alias in node.names:
            if alias.asname:
                scope.imports[alias.asname] = alias.name
            else:
                top = alias.name.partition(".")[0]
                scope.imports[top] = top

    def _import_from(self, node: ast.ImportFrom, scope: Scope, _: DagContext) -> None:
        origin = "." * node.level + (node.module or "")
        origin = _REEXPORTS.get(origin, origin)
        for alias in node.names:
            if alias.name == "*":
                scope.stars.append(origin)
            else:
                scope.imports[alias.asname or alias.name] = f"{origin}.{alias.name}"

    def _class(self, node: ast.ClassDef, scope: Scope, place: DagContext) -> None:
        scope.classes[node.name] = node
        self._module.classes.append(Definition(node, scope, place))
        inner = Scope(node, scope)
        self._module.scopes[node] = inner
        for expression in node.decorator_list:
            self._expression(expression, scope, place)
        self.block(node.body, inner, place)

    def _function(self, node: FunctionNode, scope: Scope, place: DagContext) -> None:
        scope.functions[node.name] = node
        self._module.functions.append(Definition(node, scope, place))
        inner = Scope(node, scope)
        self._module.scopes[node] = inner
        for expression in node.decorator_list:
            self._expression(expression, scope, place)
            word = _word(expression)
            if word == "dag":
                place = DagContext(node)
            elif word == "task_group":
                place = place._replace(groups=(*place.groups, node))
        self.block(node.body, inner, place)

    def _with(self, node: Any, scope: Scope, place: DagContext) -> None:
        for item in node.items:
            self._expression(item.context_expr, scope, place)
            if item.optional_vars is not None:
                self._expression(item.optional_vars, scope, place)
                if isinstance(item.optional_vars, ast.Name):
                    name = item.optional_vars.id
                    scope.values.setdefault(name, []).append(item.context_expr)
            made = item.context_expr
            if isinstance(made, ast.Name):
                made = single(made.id, scope) or made
            if isinstance(made, ast.Call):
                resolved = _dotted(made.func, scope, 0)
                if resolved in DAG_CLASSES:
                    place = DagContext(made)
                elif resolved in GROUP_CLASSES:
                    place = place._replace(groups=(*place.groups, made))
        self.block(node.body, scope, place)

    def _for(self, node: Any, scope: Scope, place: DagContext) -> None:
        self._rebound(node.target, scope)
        self._children(node, scope, place)

    def _children(self, node: ast.AST, scope: Scope, place: DagContext) -> None:
        """What a node holds, in the order of the text."""
        for child in node.__dict__.values():
            for item in child if child.__class__ is list else (child,):
                if isinstance(item, ast.stmt):
                    self._statement(item, scope, place)
                elif item.__class__ in LEAVES:
                    continue
                elif isinstance(item, ast.expr):
                    self._expression(item, scope, place)
                elif isinstance(item, ast.AST):
                    self._children(item, scope, place)

    @staticmethod
    def _rebound(target: ast.expr, scope: Scope) -> None:
        """A loop's names hold many things: two expressions mean that there is not just one."""
        for child in [target, *ast.iter_child_nodes(target)]:
            if isinstance(child, ast.Name):
                scope.values.setdefault(child.id, []).extend([target, target])

    def _expression(self, root: ast.AST, scope: Scope, place: DagContext) -> None:
        """Note the calls in an expression. The hottest loop, which explains its form."""
        leaves = LEAVES
        if root.__class__ in leaves:
            return
        calls = self._module.calls
        todo = [root]
        while todo:
            node: Any = todo.pop()
            kind = node.__class__
            if kind in leaves:
                continue
            if kind is ast.Call:
                calls.append(CallSite(node, scope, place))
                todo.append(node.func)
                todo += node.args
                for keyword in node.keywords:
                    todo.append(keyword.value)
            elif kind is ast.Attribute:
                todo.append(node.value)
            else:
                for child in node.__dict__.values():
                    if child.__class__ is list:
                        todo += child
                    elif isinstance(child, ast.AST):
                        todo.append(child)

    _STATEMENTS: ClassVar[dict[type, Callable[[Any, Any, Scope, DagContext], None]]] = {
        ast.Expr: _expr,
        ast.Assign: _assign,
        ast.AnnAssign: _assign_one,
        ast.AugAssign: _assign_one,
        ast.FunctionDef: _function,
        ast.AsyncFunctionDef: _function,
        ast.ClassDef: _class,
        ast.Import: _import,
        ast.ImportFrom: _import_from,
        ast.With: _with,
        ast.AsyncWith: _with,
        ast.For: _for,
        ast.AsyncFor: _for,
    }


def _word(decorator: ast.expr) -> str:
    """The last name of a decorator, called or not."""
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
