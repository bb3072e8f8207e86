"""Which values a function returns and pushes: its statements in order, branches joined.

A name holds a set of alternatives. A loop's body is read once, a call of a function of the same
file stands for what that function returns, whatever it is given. What is not understood is
unknown, and never guessed.
"""

from __future__ import annotations

import ast
from typing import Any, Callable, Dict, NamedTuple

from xcom_static.flow import calls, classes, signatures
from xcom_static.flow.values import (
    LOW,
    MEDIUM,
    UNKNOWN,
    Value,
    Values,
    at_most,
    elements,
    made,
    only,
    shape,
    union,
)
from xcom_static.source.modules import Module, Scope, single, subscript
from xcom_static.source.tasks import method

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEEPEST = 12
# Parameters that mean the same in every function of a DAG file.
_UNMISTAKABLE = frozenset({"ti", "task_instance", "dag_run", "ds_nodash"})
_CONTEXTS = frozenset({"context", "ctx"})
_STATE_KINDS = frozenset({"ndarray", "series", "dataframe", "tensor", "np-scalar", "np-float64"})
_NUMBERS = frozenset({"int", "float", "bool"})
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)

Env = Dict[str, Values]


class Produced(NamedTuple):
    """What goes into XCom at one place: alternatives, the statement, the key it is pushed under."""

    values: Values
    node: Any
    key: str


class Outcome(NamedTuple):
    """What a function gives.

    Attributes:
        returned: one item per `return` with an expression.
        pushed: one item per `xcom_push`.
        generator: whether it yields: a call of it gives a generator then.
    """

    returned: list[Produced]
    pushed: list[Produced]
    generator: bool

    def values(self) -> Values:
        """What a call may give."""
        if self.generator:
            return only("generator", what="a generator function")
        return union(*(item.values for item in self.returned))


_NOTHING = Outcome([], [], False)
RETURN = "return_value"


class Frame:
    """A function while it is read."""

    def __init__(self, scope: Scope, depth: int) -> None:
        self.scope = scope
        self.depth = depth
        self.env: Env = {}
        self.returned: list[Produced] = []
        self.pushed: list[Produced] = []
        self.generator = False


class Flow:
    """The data flow of one file; every function is read at most once."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self._outcomes: dict[Any, Outcome] = {}
        self._globals: dict[Any, Values] = {}
        self._lambda_scopes: dict[Any, Scope] = {}
        self._expressions: dict[type, Callable[[Any, Frame], Values]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.Call: self._call,
            ast.Subscript: self._subscript,
            ast.List: self._sequence,
            ast.Tuple: self._sequence,
            ast.Set: self._sequence,
            ast.Dict: self._dict,
            ast.ListComp: self._comprehension,
            ast.SetComp: self._comprehension,
            ast.GeneratorExp: self._comprehension,
            ast.DictComp: self._comprehension,
            ast.JoinedStr: self._joined,
            ast.BinOp: self._binary,
            ast.BoolOp: self._boolean,
            ast.Compare: self._compare,
            ast.UnaryOp: self._unary,
            ast.IfExp: self._either,
            ast.Lambda: self._lambda,
            ast.NamedExpr: self._walrus,
            ast.Await: self._await,
            ast.Yield: self._yield,
            ast.YieldFrom: self._yield,
        }

    # Functions

    def outcome(self, function: Any, scope: Scope | None = None, depth: int = 0) -> Outcome:
        """What a function or lambda of this file gives; nothing for a call of itself.

        Args:
            scope: where a lambda stands; functions know their own.
        """
        known = self._outcomes.get(function)
        if known is not None or depth > _DEEPEST:
            return known or _NOTHING
        self._outcomes[function] = _NOTHING
        inner = self.module.scopes.get(function) or Scope(function, scope or self.module.scope)
        frame = Frame(inner, depth)
        self._parameters(function, frame)
        if isinstance(function, ast.Lambda):
            frame.returned.append(Produced(self.value(function.body, frame), function.body, RETURN))
        else:
            self._block(function.body, frame)
        returned = frame.returned
        if returned and not frame.generator and not any(item.values for item in returned):
            hint = self._annotated(getattr(function, "returns", None), inner, MEDIUM)
            if hint:
                returned = [Produced(hint, returned[0].node, RETURN)]
        result = Outcome(returned, frame.pushed, frame.generator)
        self._outcomes[function] = result
        return result

    def _parameters(self, function: Any, frame: Frame) -> None:
        given = function.args
        for parameter in [*getattr(given, "posonlyargs", []), *given.args, *given.kwonlyargs]:
            name = parameter.arg
            if name in _UNMISTAKABLE:
                frame.env[name] = shape(signatures.CONTEXT[name])
            elif name in _CONTEXTS:
                frame.env[name] = only("context")
            else:
                frame.env[name] = self._annotated(parameter.annotation, frame.scope, LOW)
        if given.kwarg is not None:
            frame.env[given.kwarg.arg] = only("context")
        if given.vararg is not None:
            frame.env[given.vararg.arg] = UNKNOWN

    def _annotated(self, node: ast.AST | None, scope: Scope, sure: int, depth: int = 0) -> Values:
        """What an annotation says."""
        if node is None or depth > 4:
            return UNKNOWN
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                node = ast.parse(node.value, mode="eval").body
            except (SyntaxError, ValueError, RecursionError):
                return UNKNOWN
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return union(
                self._annotated(node.left, scope, sure, depth + 1),
                self._annotated(node.right, scope, sure, depth + 1),
            )
        dotted = self.module.dotted(node, scope)
        if dotted in signatures.ANNOTATIONS:
            what = f"annotated as {dotted}"
            return made(only(signatures.ANNOTATIONS[dotted]), node, what, sure)
        builtin = isinstance(node, ast.Name) and node.id in signatures.ANNOTATION_BUILTINS
        if isinstance(node, ast.Name) and builtin and dotted is None:
            return made(only(node.id), node, f"annotated as {node.id}", sure)
        if isinstance(node, ast.Subscript):
            return self._generic(node, scope, sure, depth)
        return UNKNOWN

    def _generic(self, node: ast.Subscript, scope: Scope, sure: int, depth: int) -> Values:
        name = str(self.module.dotted(node.value, scope) or getattr(node.value, "id", ""))
        inner = subscript(node)
        arguments = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        values = [self._annotated(item, scope, sure, depth + 1) for item in arguments]
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

    # Statements

    def _block(self, statements: list[ast.stmt], frame: Frame) -> bool:
        """Read statements; False if the end is never reached."""
        return all(self._statement(statement, frame) for statement in statements)

    def _statement(self, node: ast.stmt, frame: Frame) -> bool:
        if isinstance(node, ast.Assign):
            values = self.value(node.value, frame)
            for target in node.targets:
                self._bind(target, values, frame, node.value)
        elif isinstance(node, ast.Expr):
            self.value(node.value, frame)
        elif isinstance(node, ast.Return):
            if node.value is not None:
                self._return(node.value, frame)
            return False
        elif isinstance(node, ast.If):
            switch = self._switch(node.test, frame)
            if switch is not None:
                return self._block(node.body if switch else node.orelse, frame)
            return self._branches([node.body, node.orelse], frame, node.test)
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            self._bind(node.target, elements(self.value(node.iter, frame)), frame)
            self._branches([node.body, []], frame)
            return self._block(node.orelse, frame)
        elif isinstance(node, ast.While):
            self._branches([node.body, []], frame)
            return self._block(node.orelse, frame)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                values = self.value(item.context_expr, frame)
                if item.optional_vars is not None:
                    self._bind(item.optional_vars, calls.entered(values), frame)
            return self._block(node.body, frame)
        elif isinstance(node, ast.AnnAssign):
            values = UNKNOWN if node.value is None else self.value(node.value, frame)
            values = values or self._annotated(node.annotation, frame.scope, MEDIUM)
            self._bind(node.target, values, frame)
        elif isinstance(node, ast.AugAssign):
            self._augmented(node, frame)
        elif isinstance(node, (ast.Raise, ast.Continue, ast.Break)):
            return False
        elif isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            frame.env[node.name] = only(kind, ref=node, what=node.name, line=node.lineno)
        else:
            return self._rare(node, frame)
        return True

    def _switch(self, test: ast.expr, frame: Frame) -> bool | None:
        """The one way that a condition can go, None if both are possible."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self._switch(test.operand, frame)
            return None if inner is None else not inner
        kinds = [value.kind for value in self.value(test, frame)]
        return False if kinds == ["off"] else None

    def _rare(self, node: Any, frame: Frame) -> bool:
        """`try`, `match` and whatever a newer Python adds."""
        cases = getattr(node, "cases", None)
        if cases is not None:
            return self._branches([*(case.body for case in cases), []], frame)
        handlers = getattr(node, "handlers", None)
        if handlers is not None:
            start = dict(frame.env)
            ends = self._block(node.body, frame) and self._block(node.orelse, frame)
            after = [frame.env] if ends else []
            # A handler may run after any part of the body.
            begin = _joined_envs([start, frame.env])
            for handler in handlers:
                frame.env = dict(begin)
                if handler.name:
                    frame.env[handler.name] = only("exception", what="an exception")
                if self._block(handler.body, frame):
                    after.append(frame.env)
            frame.env = _joined_envs(after) if after else begin
            return self._block(node.finalbody, frame) and bool(after)
        return True

    def _branches(
        self, bodies: list[list[ast.stmt]], frame: Frame, test: ast.expr | None = None
    ) -> bool:
        start, ends = frame.env, []
        for position, body in enumerate(bodies):
            frame.env = dict(start)
            if test is not None:
                _narrow(test, position == 0, frame.env)
            if self._block(body, frame):
                ends.append(frame.env)
        frame.env = _joined_envs(ends) if ends else start
        return bool(ends)

    def _return(self, node: ast.expr, frame: Frame) -> None:
        if isinstance(node, ast.IfExp):
            before = frame.env
            for holds, part in ((True, node.body), (False, node.orelse)):
                frame.env = dict(before)
                _narrow(node.test, holds, frame.env)
                self._return(part, frame)
            frame.env = before
        else:
            frame.returned.append(Produced(self.value(node, frame), node, RETURN))

    def _bind(
        self, target: ast.AST, values: Values, frame: Frame, source: ast.AST | None = None
    ) -> None:
        if isinstance(target, ast.Name):
            frame.env[target.id] = values
        elif isinstance(target, (ast.Tuple, ast.List)):
            given = getattr(source, "elts", [])
            inner = elements(values)
            for position, item in enumerate(target.elts):
                if len(given) == len(target.elts):
                    self._bind(item, self.value(given[position], frame), frame)
                else:
                    self._bind(item, calls.unpacked(values, position, inner), frame)
        elif isinstance(target, ast.Starred):
            self._bind(target.value, only("list", items=values), frame)
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            key = self.value(subscript(target), frame)
            held = frame.env.get(target.value.id, UNKNOWN)
            frame.env[target.value.id] = calls.with_item(held, key, values)

    def _augmented(self, node: ast.AugAssign, frame: Frame) -> None:
        right = self.value(node.value, frame)
        if isinstance(node.target, ast.Name):
            left = frame.env.get(node.target.id, UNKNOWN)
            frame.env[node.target.id] = self._operated(left, node.op, right, node)

    # Expressions

    def value(self, node: ast.AST, frame: Frame) -> Values:
        """The alternatives that an expression may hold."""
        reader = self._expressions.get(type(node))
        return reader(node, frame) if reader is not None else UNKNOWN

    def _constant(self, node: Any, frame: Frame) -> Values:
        del frame
        value = node.value
        if isinstance(value, str):
            return (Value("str", text=value, line=node.lineno),)
        if value is None:
            return _NONE
        return (Value(type(value).__name__, what=type(value).__name__, line=node.lineno),)

    def _name(self, node: Any, frame: Frame) -> Values:
        name = node.id
        if name in frame.env:
            return frame.env[name]
        return self._outer(name, frame)

    def _outer(self, name: str, frame: Frame) -> Values:
        """A name bound outside of the function: in an enclosing one or in the module."""
        for level in frame.scope.outward():
            if name in level.functions:
                return only("function", ref=level.functions[name], what=name)
            if name in level.classes:
                return only("class", ref=level.classes[name], what=name)
            if name in level.imports:
                dotted = level.imports[name]
                if dotted in signatures.CONSTANTS:
                    return made(shape(signatures.CONSTANTS[dotted]), level.node, dotted)
                return UNKNOWN
            if name in level.values:
                if level is frame.scope:
                    # Assigned later, or in a part that was not read.
                    return UNKNOWN
                return self._global(name, level, frame)
        return UNKNOWN

    def _global(self, name: str, level: Scope, frame: Frame) -> Values:
        key = (level, name)
        if key not in self._globals:
            self._globals[key] = UNKNOWN
            expression = single(name, level)
            if expression is not None and frame.depth <= _DEEPEST:
                outer = Frame(level, frame.depth + 1)
                self._globals[key] = self.value(expression, outer)
        return self._globals[key]

    def _attribute(self, node: Any, frame: Frame) -> Values:
        dotted = self._imported(node, frame)
        if dotted is not None:
            spec = signatures.CONSTANTS.get(dotted)
            return made(shape(spec), node, dotted) if spec else UNKNOWN
        found: list[Values] = []
        for value in self.value(node.value, frame):
            if value.kind == "class" and isinstance(value.ref, ast.ClassDef):
                scope = self.module.scopes[value.ref].parent or frame.scope
                if [item.kind for item in classes.instance(self.module, value.ref, scope)] == [
                    "enum"
                ]:
                    found.append(made(only("enum"), node, f"{value.what}.{node.attr}"))
                continue
            spec = signatures.ATTRIBUTES.get(value.kind, {}).get(node.attr)
            if spec:
                found.append(
                    made(shape(spec), node, f".{node.attr} of {_named(value)}", value.sure)
                )
            elif value.kind == "binary-run" and node.attr == "stdout":
                found.append(made(only("bytes"), node, ".stdout"))
        return union(*found)

    def _imported(self, node: ast.AST, frame: Frame) -> str | None:
        """The dotted path of an expression, unless its first name is bound in the function."""
        first = node
        while isinstance(first, ast.Attribute):
            first = first.value
        if not isinstance(first, ast.Name) or first.id in frame.env:
            return None
        return self.module.dotted(node, frame.scope)

    def _call(self, node: Any, frame: Frame) -> Values:
        return calls.evaluate(self, node, frame)

    def imported(self, node: ast.AST, frame: Frame) -> str | None:
        """The imported thing that an expression names here."""
        return self._imported(node, frame)

    def called(self, function: Any, frame: Frame) -> Values:
        """What a call of a function of this file gives."""
        outcome = self.outcome(function, frame.scope, frame.depth + 1)
        return outcome.values()

    def own_method(self, name: str, frame: Frame) -> Values:
        """What `self.NAME()` gives, if the class around the function has such a method itself."""
        owner = frame.scope.parent
        if owner is None or not isinstance(owner.node, ast.ClassDef):
            return UNKNOWN
        function = method(owner.node, name)
        return UNKNOWN if function is None else self.called(function, frame)

    def instance(self, node: ast.ClassDef, frame: Frame) -> Values:
        """What a call of a class of this file gives."""
        scope = self.module.scopes[node].parent or frame.scope
        return classes.instance(self.module, node, scope)

    def _subscript(self, node: Any, frame: Frame) -> Values:
        index = subscript(node)
        dotted = self._imported(node.value, frame)
        if dotted is not None:
            return only("str", MEDIUM) if dotted == "os.environ" else UNKNOWN
        key = index.value if isinstance(index, ast.Constant) else None
        found = [
            self._item(value, index, key, node, frame) for value in self.value(node.value, frame)
        ]
        return union(*found)

    def _item(self, value: Value, index: ast.expr, key: Any, node: Any, frame: Frame) -> Values:
        if value.kind == "context":
            spec = signatures.CONTEXT.get(key, "") if isinstance(key, str) else ""
            return made(shape(spec), node, f'context["{key}"]', MEDIUM) if spec else UNKNOWN
        if value.kind == "dict":
            known = dict(value.fields)
            if isinstance(key, str) and known:
                return known.get(key, UNKNOWN)
            return at_most(value.items, MEDIUM)
        if isinstance(index, ast.Slice):
            if value.kind in ("list", "tuple", "ndarray", "dataframe", "series", "bytes"):
                return (value._replace(sure=min(value.sure, MEDIUM)),)
            return only("str") if value.kind in ("str", "json-str") else UNKNOWN
        if value.kind in ("list", "tuple"):
            return at_most(value.items, MEDIUM)
        return calls.table_item(self, value, index, key, node, frame)

    def _sequence(self, node: Any, frame: Frame) -> Values:
        items = []
        for item in node.elts:
            if isinstance(item, ast.Starred):
                items.append(elements(self.value(item.value, frame)))
            else:
                items.append(self.value(item, frame))
        kind = type(node).__name__.lower()
        return (Value(kind, what=f"a {kind}", items=union(*items), line=node.lineno),)

    def _dict(self, node: Any, frame: Frame) -> Values:
        fields: dict[str, Values] = {}
        items: list[Values] = []
        keys: list[Values] = []
        for key, item in zip(node.keys, node.values):
            values = self.value(item, frame)
            if key is None:
                for value in values:
                    items.append(value.items)
                    keys.append(value.keys)
                    fields.update(dict(value.fields))
                continue
            items.append(values)
            keys.append(tuple(one._replace(text=None) for one in self.value(key, frame)))
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                fields[key.value] = values
        return (
            Value(
                "dict",
                what="a dict",
                items=union(*items),
                keys=union(*keys),
                fields=tuple(fields.items()),
                line=node.lineno,
            ),
        )

    def _comprehension(self, node: Any, frame: Frame) -> Values:
        before = frame.env
        frame.env = dict(before)
        for generator in node.generators:
            inner = elements(self.value(generator.iter, frame))
            self._bind(generator.target, inner, frame)
        if isinstance(node, ast.DictComp):
            found: Values = (
                Value(
                    "dict",
                    what="a dict",
                    items=self.value(node.value, frame),
                    keys=tuple(one._replace(text=None) for one in self.value(node.key, frame)),
                    line=node.lineno,
                ),
            )
        else:
            kind = {"ListComp": "list", "SetComp": "set"}.get(type(node).__name__, "generator")
            inner = self.value(node.elt, frame)
            found = (Value(kind, what=f"a {kind}", items=inner, line=node.lineno),)
        frame.env = before
        return found

    def _joined(self, node: Any, frame: Frame) -> Values:
        return calls.joined(self, node, frame)

    def _binary(self, node: Any, frame: Frame) -> Values:
        left, right = self.value(node.left, frame), self.value(node.right, frame)
        return self._operated(left, node.op, right, node)

    def _operated(self, left: Values, operator: ast.operator, right: Values, node: Any) -> Values:
        return union(
            *(
                self._pair(one, operator, other, node)
                for one in left or _ANYTHING
                for other in right or _ANYTHING
            )
        )

    def _pair(self, one: Value, operator: ast.operator, other: Value, node: Any) -> Values:
        for value in (one, other):
            if value.kind in _STATE_KINDS:
                sure = min(value.sure, MEDIUM)
                return (value._replace(sure=sure, what=f"arithmetic with {_named(value)}"),)
        kinds = (one.kind, other.kind)
        if one.kind == "path" and isinstance(operator, ast.Div):
            return (one,)
        if one.kind in ("str", "json-str") and isinstance(operator, ast.Mod):
            return only("str")
        if kinds[0] == kinds[1] and one.kind in ("list", "tuple", "bytes", "dict"):
            return (
                one._replace(items=union(one.items, other.items), keys=union(one.keys, other.keys)),
            )
        if "str" in kinds and isinstance(operator, ast.Add):
            return only("str")
        if set(kinds) <= _NUMBERS and isinstance(operator, _ARITHMETIC):
            is_float = "float" in kinds or isinstance(operator, ast.Div)
            return only("float" if is_float else "int", line=node.lineno)
        if kinds == ("datetime", "datetime"):
            return only("timedelta")
        if "datetime" in kinds and "timedelta" in kinds:
            return (one if one.kind == "datetime" else other,)
        return UNKNOWN

    def _boolean(self, node: Any, frame: Frame) -> Values:
        return union(*(self.value(item, frame) for item in node.values))

    def _compare(self, node: Any, frame: Frame) -> Values:
        left = self.value(node.left, frame)
        if len(node.ops) == 1 and not isinstance(
            node.ops[0], (ast.Is, ast.IsNot, ast.In, ast.NotIn)
        ):
            for value in left:
                if value.kind in ("ndarray", "series", "dataframe"):
                    return (value._replace(sure=min(value.sure, MEDIUM), what="a comparison"),)
                if value.kind in ("np-scalar", "np-float64", "np-int64"):
                    sure = min(value.sure, MEDIUM)
                    what = f"a comparison of {_named(value)}"
                    return made(only("np-bool"), node, what, sure)
                if value.kind == "pl-series":
                    return (value,)
        return only("bool")

    def _unary(self, node: Any, frame: Frame) -> Values:
        if isinstance(node.op, ast.Not):
            return only("bool")
        return self.value(node.operand, frame)

    def _either(self, node: Any, frame: Frame) -> Values:
        before, found = frame.env, []
        for holds, part in ((True, node.body), (False, node.orelse)):
            frame.env = dict(before)
            _narrow(node.test, holds, frame.env)
            found.append(self.value(part, frame))
        frame.env = before
        return union(*found)

    def _lambda(self, node: Any, frame: Frame) -> Values:
        del frame
        return only("function", ref=node, what="a lambda", line=node.lineno)

    def _walrus(self, node: Any, frame: Frame) -> Values:
        values = self.value(node.value, frame)
        self._bind(node.target, values, frame)
        return values

    def _await(self, node: Any, frame: Frame) -> Values:
        return self.value(node.value, frame)

    def _yield(self, node: Any, frame: Frame) -> Values:
        del node
        frame.generator = True
        return UNKNOWN


_NONE = only("none", what="None")
_ANYTHING: Values = (Value("?", LOW),)


def _named(value: Value) -> str:
    return value.what or value.kind


def _narrow(test: ast.expr, holds: bool, env: Env) -> None:
    """What `isinstance(name, T)` and `name is None` say of the name, where they hold or not."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        _narrow(test.operand, not holds, env)
    elif isinstance(test, ast.Call) and len(test.args) == 2:
        name, asked = test.args
        if getattr(test.func, "id", "") == "isinstance" and isinstance(name, ast.Name):
            wanted = asked.elts if isinstance(asked, ast.Tuple) else [asked]
            kinds = {getattr(item, "id", getattr(item, "attr", "")).lower() for item in wanted}
            _keep(name.id, kinds, holds, env)
    elif isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.left, ast.Name):
        right = test.comparators[0]
        if isinstance(right, ast.Constant) and right.value is None:
            same = isinstance(test.ops[0], (ast.Is, ast.Eq))
            _keep(test.left.id, {"none"}, holds is same, env)


def _keep(name: str, kinds: set[str], holds: bool, env: Env) -> None:
    """A class that is no kind says nothing of what is left: the name is unknown then."""
    env[name] = tuple(value for value in env.get(name, UNKNOWN) if (value.kind in kinds) is holds)


def _joined_envs(envs: list[Env]) -> Env:
    """What names hold where several ways meet. A name that one way leaves unknown stays known."""
    if len(envs) == 1:
        return envs[0]
    found = dict(envs[0])
    for env in envs[1:]:
        for name, values in env.items():
            held = found.get(name)
            if held is None:
                found[name] = values
            elif held is not values:
                found[name] = union(held, values)
    return found
