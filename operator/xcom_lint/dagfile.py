"""One file as the rules see it: the syntax tree with names resolved, its DAGs and its tasks."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

from xcom_static.source.modules import Module, Scope, argument, parse, single
from xcom_static.source.tasks import PYTHON, SENSOR, Dag, Discovery, Task


class DagFile:
    """A parsed file.

    Attributes:
        name: as it is shown.
        data: its bytes.
        module: the tree with scopes and calls.
    """

    def __init__(self, name: str, data: bytes) -> None:
        """Parse a file.

        Raises:
            SyntaxError, ValueError, RecursionError, MemoryError: it cannot be parsed.
        """
        self.name = name
        self.data = data
        self.module: Module = parse(name, data)

    @cached_property
    def lines(self) -> list[bytes]:
        """The lines of the file."""
        return self.data.splitlines(keepends=True)

    @cached_property
    def nodes(self) -> Mapping[ast.AST, Sequence[ast.AST]]:
        """Every node below the module, function, class or lambda whose body it stands in.

        In the order of the text. Decorators, defaults and annotations stand outside of the function
        that they belong to. The tree is gone through once, for all rules.
        """
        return _by_owner(self.module.tree)

    @property
    def all_nodes(self) -> Iterator[ast.AST]:
        """Every node of the file but the module's own."""
        return chain.from_iterable(self.nodes.values())

    def returned(self, function: Any) -> Iterator[ast.expr]:
        """What a function returns; functions within it are left out."""
        for node in self.nodes[function]:
            if isinstance(node, ast.Return) and node.value is not None:
                yield node.value

    def pushed(self, function: Any) -> Iterator[ast.expr]:
        """What a function gives to `xcom_push`."""
        for node in self.nodes[function]:
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "xcom_push"
            ):
                value = argument(node, "value", 1)
                if value is not None:
                    yield value

    @cached_property
    def tasks(self) -> list[Task]:
        """Every task of the file."""
        return self._discovery.tasks()

    @cached_property
    def python_tasks(self) -> list[Task]:
        """Tasks that run a function of this file."""
        return [
            task
            for task in self.tasks
            if task.style in (PYTHON, SENSOR) and isinstance(task.function, _FUNCTIONS)
        ]

    @property
    def dags(self) -> list[Dag]:
        """Every DAG of the file."""
        return self._discovery.dags

    @cached_property
    def _discovery(self) -> Discovery:
        return Discovery(self.module)

    def tasks_of(self, dag: Dag) -> list[Task]:
        """The Python tasks of a DAG; all of them where the file has one DAG."""
        if len(self.dags) == 1:
            return self.python_tasks
        return [task for task in self.python_tasks if task.dag_id == dag.dag_id is not None]

    def calls_helper(self, node: ast.AST | None, scope: Scope, helpers: tuple[str, ...]) -> bool:
        """Whether an expression or a function's body calls one of these helpers.

        Names, functions of this file and wrappers around helpers are followed.
        """
        return self._calls(node, scope, helpers, set())

    def is_helper(self, node: ast.AST, scope: Scope, helpers: tuple[str, ...]) -> bool:
        """Whether an expression names a helper, whatever it was imported from and as."""
        dotted = self.module.dotted(node, scope)
        if dotted is not None:
            return dotted.rpartition(".")[2] in helpers
        return isinstance(node, ast.Name) and node.id in helpers

    def _calls(
        self, node: ast.AST | None, scope: Scope, helpers: tuple[str, ...], seen: set[ast.AST]
    ) -> bool:
        if node is None or node in seen:
            return False
        seen.add(node)
        inner = self.module.scopes.get(node, scope)
        # Not the decorators of a function: they are not run by its call.
        roots = node.body if isinstance(node, _FUNCTIONS) else [node]
        for child in (item for root in roots for item in ast.walk(root)):
            if isinstance(child, ast.Call):
                if self.is_helper(child.func, inner, helpers):
                    return True
                target = self.module.definition(child.func, inner)
                if isinstance(target, _FUNCTIONS):
                    outer = self.module.scopes[target].parent or scope
                    if self._calls(target, outer, helpers, seen):
                        return True
            elif (
                isinstance(child, ast.Name)
                and isinstance(child.ctx, ast.Load)
                and self._calls(single(child.id, inner), inner, helpers, seen)
            ):
                return True
        return False

    def size_of(self, node: ast.AST) -> int:
        """Bytes of source that a node takes."""
        first, last = getattr(node, "lineno", 1) - 1, getattr(node, "end_lineno", 1) - 1
        start, end = getattr(node, "col_offset", 0), getattr(node, "end_col_offset", 0)
        if first == last:
            return int(end - start)
        between = sum(len(line) for line in self.lines[first + 1 : last])
        return len(self.lines[first]) - int(start) + between + int(end)


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


_OWNERS = (*_FUNCTIONS, ast.ClassDef, ast.Lambda)
# Most nodes of a file, and nothing is below them.
_LEAVES = frozenset({ast.Name, ast.Constant})
_NO_CODE = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)


def _by_owner(tree: ast.Module) -> dict[ast.AST, list[ast.AST]]:
    found: dict[ast.AST, list[ast.AST]] = {}
    owners: list[Any] = [tree]
    for owner in owners:
        own: list[ast.AST] = []
        found[owner] = own
        todo = owner.body[::-1] if isinstance(owner.body, list) else [owner.body]
        while todo:
            node = todo.pop()
            own.append(node)
            if node.__class__ in _LEAVES:
                continue
            fields = node._fields
            if isinstance(node, _OWNERS):
                owners.append(node)
                fields = tuple(name for name in fields if name != "body")
            for name in reversed(fields):
                value = getattr(node, name, None)
                if isinstance(value, list):
                    todo += [item for item in reversed(value) if isinstance(item, ast.AST)]
                elif isinstance(value, ast.AST) and not isinstance(value, _NO_CODE):
                    todo.append(value)
    return found


def bound_to(dag: Dag) -> str | None:
    """The name that a DAG is bound to, if it is."""
    for name, values in dag.scope.values.items():
        if any(value is dag.node for value in values):
            return name
    return None
