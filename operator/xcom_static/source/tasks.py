"""The tasks of a file: TaskFlow functions, operators, and operator classes defined in it."""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

from xcom_static.source.modules import (
    DAG_CLASSES,
    DAG_DECORATORS,
    GROUP_DECORATORS,
    CallSite,
    DagContext,
    Definition,
    Module,
    Scope,
    argument,
    is_false,
    is_true,
    single,
)

PYTHON = "python"
SENSOR = "sensor"
OPERATOR = "operator"
CLASS = "class"

_TASK_ROOTS = (
    *("airflow.decorators.task", "airflow.sdk.task"),
    *("airflow.sdk.definitions.decorators.task", "airflow.decorators.python.python_task"),
)
_ASSETS = frozenset({"airflow.sdk.asset", "airflow.sdk.definitions.asset.decorators.asset"})
_SETUPS = frozenset(
    {
        *("airflow.decorators.setup", "airflow.decorators.teardown"),
        *("airflow.sdk.setup", "airflow.sdk.teardown"),
    }
)
# `@task.NAME` functions whose result is what the task pushes. The others return something that the
# operator works with: `@task.bash` a command, `@task.llm` a prompt, `@task.kubernetes` a file.
_PUSHING = frozenset(
    {
        *("", "python", "virtualenv", "external_python", "branch", "branch_virtualenv"),
        *("branch_external_python", "short_circuit", "pyspark", "snowpark"),
        # astro-provider-snowflake
        *("snowpark_python", "snowpark_virtualenv", "snowpark_ext_python"),
    }
)
# Those do not make a task, but change one.
_MODIFIERS = frozenset({"run_if", "skip_if"})

PYTHON_OPERATORS = frozenset(
    {
        *("PythonOperator", "PythonVirtualenvOperator", "ExternalPythonOperator"),
        *("BranchPythonOperator", "ShortCircuitOperator", "BranchPythonVirtualenvOperator"),
        *("BranchExternalPythonOperator", "SnowparkOperator"),
    }
)
_OPERATOR_ENDS = ("Operator", "Sensor", "OperatorAsync", "SensorAsync")


class Task(NamedTuple):
    """One task, or one class of tasks, and what is known of it without running anything.

    Attributes:
        style: PYTHON (a function's result is pushed), SENSOR (its PokeReturnValue is), OPERATOR
            (whatever the operator returns) or CLASS (an operator class of this file: one item for
            each of its methods whose result is pushed).
        node: the function, call or class.
        scope: the scope that `node` stands in.
        dag_id, task_id: None where they are not constants; the groups' prefixes are included.
        function: the function or lambda whose result is pushed; for CLASS the method.
        operator: the operator's class: its dotted path, or its name if it is of this file.
        call: the operator's or decorator's call, None if there is none.
        pushes: False where `do_xcom_push` is off.
        multiple_outputs: each item of the dict is also pushed separately.
        mapped: there is one instance for each element (`expand`).
    """

    style: str
    node: Any
    scope: Scope
    dag_id: str | None
    task_id: str | None
    function: Any = None
    operator: str = ""
    call: ast.Call | None = None
    pushes: bool = True
    multiple_outputs: bool = False
    mapped: bool = False


class Dag(NamedTuple):
    """A DAG of a file.

    Attributes:
        node: the call of the class, or the decorated function.
        call: with the DAG's arguments; None for a bare `@dag`.
        scope: the scope that it stands in.
        dag_id: None where it is not a constant.
    """

    node: Any
    call: ast.Call | None
    scope: Scope
    dag_id: str | None

    def given(self, name: str) -> ast.expr | None:
        """An argument of the DAG."""
        return None if self.call is None else argument(self.call, name)


def discover(module: Module) -> list[Task]:
    """All tasks of a file, in the order of the text."""
    return Discovery(module).tasks()


def operator_base(module: Module, node: ast.ClassDef, scope: Scope) -> str | None:
    """The imported operator or sensor class that a class of this file is made from."""
    return _operator_base(module, node, scope, 0)


def method(node: ast.ClassDef, name: str) -> Any:
    """A class's own method, None if it has none of that name."""
    for statement in node.body:
        function = isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef))
        if function and getattr(statement, "name", "") == name:
            return statement
    return None


def _operator_base(module: Module, node: ast.ClassDef, scope: Scope, depth: int) -> str | None:
    if depth > 8:
        return None
    for written in node.bases:
        # `AwsBaseOperator[S3Hook]`
        base = written.value if isinstance(written, ast.Subscript) else written
        dotted = module.dotted(base, scope)
        if dotted is not None:
            if dotted.endswith(_OPERATOR_ENDS):
                return dotted
            continue
        local = module.definition(base, scope)
        if isinstance(local, ast.ClassDef) and local is not node:
            found = _operator_base(module, local, module.scopes[local].parent or scope, depth + 1)
            if found is not None:
                return found
    return None


class _Use(NamedTuple):
    """How a TaskFlow function is used: in which DAGs, mapped, and always without a push."""

    dags: set[Any]
    pushed: list[bool]
    mapped: list[bool]


class Discovery:
    """The DAGs and tasks of a file.

    Attributes:
        dags: made by the class, then by the decorator.
    """

    def __init__(self, module: Module) -> None:
        self._module = module
        self._silent: set[Any] = set()
        self._sites = [(site, _called(module, site)) for site in module.calls]
        self.dags: list[Dag] = []
        for site, dotted in self._sites:
            if dotted in DAG_CLASSES:
                self._dag(site.call, site.call, site.scope, None)
        for definition in module.functions:
            for decorator in definition.node.decorator_list:
                call = decorator if isinstance(decorator, ast.Call) else None
                dotted = module.dotted(call.func if call else decorator, definition.scope)
                if dotted in DAG_DECORATORS:
                    node = definition.node
                    self._dag(node, call, definition.scope, node.name)
        self._dag_ids = {dag.node: dag.dag_id for dag in self.dags}
        known = set(self._dag_ids.values())
        self._only_dag = known.pop() if len(known) == 1 else None

    def tasks(self) -> list[Task]:
        """All tasks, in the order of the text."""
        uses = self._uses()
        found = []
        for definition in self._module.functions:
            task = self._decorated(definition, uses.get(definition.node))
            if task is not None:
                found.append(task)
        for site, dotted in self._sites:
            if dotted is not None and dotted.endswith(_OPERATOR_ENDS):
                found.append(self._instance(site, dotted))
        for definition in self._module.classes:
            found += self._class(definition)
        return found

    def _dag(self, node: Any, call: ast.Call | None, scope: Scope, name: str | None) -> None:
        """Note a DAG; `name` is its ID where none is given."""
        given = argument(call, "dag_id", 0) if call else None
        dag_id = name if given is None else self._module.text(given, scope)
        dag = Dag(node, call, scope, dag_id)
        self.dags.append(dag)
        defaults = dag.given("default_args")
        if isinstance(defaults, ast.Name):
            defaults = single(defaults.id, scope)
        if isinstance(defaults, ast.Dict):
            for key, value in zip(defaults.keys, defaults.values):
                if self._module.text(key, scope) == "do_xcom_push" and is_false(value):
                    self._silent.add(node)

    def _uses(self) -> dict[Any, _Use]:
        """Each call of a function of this file, seen through `override`, `partial`, `expand`."""
        uses: dict[Any, _Use] = {}
        if not any(definition.node.decorator_list for definition in self._module.functions):
            return uses
        for site, dotted in self._sites:
            if dotted is not None:
                continue
            node: Any = site.call.func
            pushed, mapped = True, False
            if isinstance(node, ast.Attribute) and node.attr in ("override", "partial"):
                continue
            while True:
                if isinstance(node, ast.Attribute):
                    mapped = mapped or node.attr in ("expand", "expand_kwargs")
                    node = node.value
                elif isinstance(node, ast.Call):
                    pushed = pushed and not is_false(argument(node, "do_xcom_push"))
                    node = node.func
                else:
                    break
            if not isinstance(node, ast.Name):
                continue
            function = self._module.definition(node, site.scope)
            if function is not None:
                use = uses.setdefault(function, _Use(set(), [], []))
                use.dags.add(site.place.dag)
                use.pushed.append(pushed)
                use.mapped.append(mapped)
        return uses

    def _decorated(self, definition: Definition, use: _Use | None) -> Task | None:
        module, node = self._module, definition.node
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            dotted = module.dotted(call.func if call else decorator, definition.scope)
            style = _decorator_style(dotted)
            if style is None:
                continue
            options = call or ast.Call(func=decorator, args=[], keywords=[])
            dag = definition.place.dag
            if dag is None and use is not None and len(use.dags - {None}) == 1:
                dag = next(iter(use.dags - {None}))
            given = argument(options, "task_id")
            name = node.name if given is None else module.text(given, definition.scope)
            pushes = not is_false(argument(options, "do_xcom_push")) and dag not in self._silent
            if use is not None and use.pushed and not any(use.pushed):
                pushes = False
            return Task(
                style,
                node,
                definition.scope,
                self._dag_id(dag),
                self._task_id(name, definition.place, definition.scope),
                node,
                call=call,
                pushes=pushes,
                multiple_outputs=_multiple_outputs(module, options, node, definition.scope),
                mapped=use is not None and any(use.mapped),
            )
        return None

    def _instance(self, site: CallSite, dotted: str) -> Task:
        call, scope, place = site
        function = call.func
        mapped = isinstance(function, ast.Attribute) and function.attr == "partial"
        dag = place.dag
        given = argument(call, "dag")
        if dag is None and isinstance(given, ast.Name):
            dag = single(given.id, scope)
        task = Task(
            OPERATOR,
            call,
            scope,
            self._dag_id(dag),
            self._task_id(self._module.text(argument(call, "task_id"), scope), place, scope),
            operator=dotted,
            call=call,
            pushes=not is_false(argument(call, "do_xcom_push")) and dag not in self._silent,
            multiple_outputs=is_true(argument(call, "multiple_outputs")),
            mapped=mapped,
        )
        name = dotted.rpartition(".")[2]
        if name in PYTHON_OPERATORS or name == "PythonSensor":
            style = SENSOR if name == "PythonSensor" else PYTHON
            return task._replace(
                style=style, function=self._callable(argument(call, "python_callable"), scope)
            )
        return task

    def _callable(self, node: ast.expr | None, scope: Scope) -> Any:
        """The function behind a `python_callable`, as far as it is in this file."""
        if isinstance(node, ast.Lambda):
            return node
        if isinstance(node, ast.Call):
            if self._module.dotted(node.func, scope) == "functools.partial" and node.args:
                return self._callable(node.args[0], scope)
            return None
        if isinstance(node, ast.Name):
            assigned = single(node.id, scope)
            # `extract = PythonOperator(python_callable=extract)` does not make a function.
            if isinstance(assigned, (ast.Lambda, ast.Call)) and not self._is_operator(
                assigned, scope
            ):
                return self._callable(assigned, scope)
        found = self._module.definition(node, scope)
        return None if isinstance(found, ast.ClassDef) else found

    def _is_operator(self, node: ast.expr, scope: Scope) -> bool:
        if not isinstance(node, ast.Call):
            return False
        dotted = self._module.dotted(node.func, scope)
        return dotted is not None and dotted.endswith(_OPERATOR_ENDS)

    def _class(self, definition: Definition) -> list[Task]:
        """What an operator class of this file pushes, whichever way it ends."""
        node = definition.node
        base = operator_base(self._module, node, definition.scope)
        if base is None:
            return []
        sensor = "Sensor" in base.rpartition(".")[2]
        task = Task(CLASS, node, definition.scope, None, None, operator=node.name)
        ways = [("poke", SENSOR)] if sensor else []
        ways += [("execute", CLASS), ("execute_complete", CLASS)]
        found = [
            task._replace(style=style, function=method(node, name))
            for name, style in ways
            if method(node, name) is not None
        ]
        return found or [task]

    def _dag_id(self, dag: Any) -> str | None:
        return self._dag_ids.get(dag) if dag is not None else self._only_dag

    def _task_id(self, name: str | None, place: DagContext, scope: Scope) -> str | None:
        if name is None:
            return None
        prefixes = []
        for group in place.groups:
            given, prefixed = self._group(group, scope)
            if given is None:
                return None
            if prefixed:
                prefixes.append(given)
        return ".".join([*prefixes, name])

    def _group(self, group: Any, scope: Scope) -> tuple[str | None, bool]:
        """A task group's ID, None if not a constant, and whether it is put before tasks' IDs."""
        if isinstance(group, ast.Call):
            return (
                self._module.text(argument(group, "group_id", 0), scope),
                not is_false(argument(group, "prefix_group_id")),
            )
        for decorator in group.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            if self._module.dotted(call.func if call else decorator, scope) in GROUP_DECORATORS:
                given = argument(call, "group_id", 0) if call else None
                name = group.name if given is None else self._module.text(given, scope)
                prefixed = call is None or not is_false(argument(call, "prefix_group_id"))
                return name, prefixed
        return None, True


def _called(module: Module, site: CallSite) -> str | None:
    """What a call calls; `Operator.partial()` is a call of the operator."""
    dotted = module.dotted(site.call.func, site.scope)
    if dotted is not None and dotted.endswith(".partial"):
        return dotted[: -len(".partial")]
    return dotted


def _decorator_style(dotted: str | None) -> str | None:
    if dotted is None or not dotted.startswith("airflow."):
        return None
    if dotted in _ASSETS or dotted in _SETUPS:
        return PYTHON
    for root in _TASK_ROOTS:
        if dotted == root:
            return PYTHON
        if dotted.startswith(root + "."):
            kind = dotted[len(root) + 1 :]
            if kind in _MODIFIERS:
                return None
            if kind == "sensor":
                return SENSOR
            return PYTHON if kind in _PUSHING else None
    return None


def _multiple_outputs(module: Module, call: ast.Call, node: Any, scope: Scope) -> bool:
    """Given so, or, as Airflow infers it, by a return annotation that is a dict."""
    given = argument(call, "multiple_outputs")
    if given is not None:
        return is_true(given)
    annotation = node.returns
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value.startswith(("dict", "Dict", "typing.Dict"))
    if isinstance(annotation, ast.Subscript):
        annotation = annotation.value
    if isinstance(annotation, ast.Name) and annotation.id == "dict":
        return True
    return module.dotted(annotation, scope) in ("typing.Dict", "typing.Mapping")
