"""Which tasks of a DAG come first, as far as its text shows."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from xcom_lint.dagfile import DagFile
from xcom_static.source.modules import Scope, single
from xcom_static.source.tasks import Task

_CHAINS = frozenset({"chain", "chain_linear", "cross_downstream"})
_DEEPEST = 6


def first_tasks(file: DagFile, tasks: Sequence[Task]) -> list[Task]:
    """The tasks that no other of them comes before, in the order of the text; never empty.

    Order shows in arguments (`load(extract())`), in `a >> b` and `b << a`, in `set_upstream` and
    `set_downstream`, and in `chain(a, b)`. A loop of them leaves the first in the text.
    """
    edges = _edges(file)
    nodes = {task.function: task for task in tasks}
    later = {
        after
        for before in nodes
        for after in _reachable(before, edges)
        if after in nodes and after is not before
    }
    in_text = sorted(tasks, key=lambda task: task.function.lineno)
    return [task for task in in_text if task.function not in later] or in_text[:1]


@lru_cache(maxsize=1)
def _edges(file: DagFile) -> Mapping[Any, set[Any]]:
    """What comes directly after each; every DAG of a file asks, one file after the other."""
    order = _Order(file)
    edges: dict[Any, set[Any]] = defaultdict(set)
    for site in file.module.calls:
        for before, after in order.of_call(site.call, site.scope):
            edges[before].add(after)
    for scope, node in _shifts(file):
        for before, after in order.of_shift(node, scope):
            edges[before].add(after)
    return edges


class _Order:
    """Pairs of what comes before and after; a task is its function, an operator its call."""

    def __init__(self, file: DagFile) -> None:
        self._module = file.module
        # An operator's call stands for the function that it runs.
        self._stands_for = {task.call: task.function for task in file.tasks if task.call}

    def of_call(self, call: ast.Call, scope: Scope) -> Iterator[tuple[Any, Any]]:
        here = self._task(call, scope, 0)
        if here is not None:
            for value in [*call.args, *(keyword.value for keyword in call.keywords)]:
                for child in ast.walk(value):
                    before = self._task(child, scope, 0)
                    if before is not None:
                        yield before, here
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if name in ("set_downstream", "set_upstream") and isinstance(call.func, ast.Attribute):
            left = self._ends(call.func.value, scope)
            right = [end for given in call.args for end in self._ends(given, scope)]
            yield from _pairs(*((left, right) if name == "set_downstream" else (right, left)))
        dotted = self._module.dotted(call.func, scope) or ""
        if dotted.rpartition(".")[2] in _CHAINS:
            groups = [self._ends(given, scope) for given in call.args]
            for one, other in pairwise(groups):
                yield from _pairs(one, other)

    def of_shift(self, node: ast.BinOp, scope: Scope) -> Iterator[tuple[Any, Any]]:
        left, right = self._ends(node.left, scope, last=True), self._ends(node.right, scope)
        yield from _pairs(*((left, right) if isinstance(node.op, ast.RShift) else (right, left)))

    def _ends(self, node: ast.AST, scope: Scope, *, last: bool = False) -> list[Any]:
        """The tasks that an operand stands for; of `a >> b` the last, or else the first one."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.RShift, ast.LShift)):
            return self._ends(node.right if last else node.left, scope, last=last)
        if isinstance(node, (ast.List, ast.Tuple)):
            return [end for item in node.elts for end in self._ends(item, scope, last=last)]
        found = self._task(node, scope, 0)
        return [] if found is None else [found]

    def _task(self, node: ast.AST | None, scope: Scope, depth: int) -> Any:
        """The task that an expression stands for, None if it does not stand for one."""
        if depth > _DEEPEST:
            return None
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            bound = single(node.id, scope)
            return None if bound is None else self._task(bound, scope, depth + 1)
        if not isinstance(node, ast.Call):
            return None
        if node in self._stands_for:
            return self._stands_for[node] or node
        inner: ast.AST = node.func
        while isinstance(inner, (ast.Attribute, ast.Call)):
            inner = inner.value if isinstance(inner, ast.Attribute) else inner.func
        target = self._module.definition(inner, scope)
        if isinstance(target, (ast.FunctionDef, ast.AsyncFunctionDef)) and target.decorator_list:
            return target
        return None


def _pairs(before: list[Any], after: list[Any]) -> Iterator[tuple[Any, Any]]:
    for one in before:
        for other in after:
            yield one, other


def _shifts(file: DagFile) -> Iterator[tuple[Scope, ast.BinOp]]:
    for owner, scope in file.module.scopes.items():
        for node in file.nodes[owner]:
            if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.RShift, ast.LShift)):
                yield scope, node


def _reachable(start: Any, edges: Mapping[Any, set[Any]]) -> set[Any]:
    found: set[Any] = set()
    todo = [start]
    while todo:
        new = edges.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found
