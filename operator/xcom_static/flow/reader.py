"""The flow of one file: it reads each function once, and remembers what it gives."""

from __future__ import annotations

import ast
from typing import Any

from xcom_static.flow.annotations import annotated
from xcom_static.flow.bindings import parameters
from xcom_static.flow.expressions import EXPRESSIONS
from xcom_static.flow.frame import RETURN, Frame, Outcome, Produced
from xcom_static.flow.statements import block
from xcom_static.flow.values import MEDIUM, UNKNOWN, Values, forget_all
from xcom_static.source.modules import Module, Scope, single

# Calls within calls are followed so far.
_DEEPEST = 12
_NOTHING = Outcome()


class Flow:
    """The data flow of one file; every function is read at most once."""

    def __init__(self, module: Module) -> None:
        forget_all()
        self.module = module
        self.expressions = EXPRESSIONS
        self._outcomes: dict[Any, Outcome] = {}
        self._assigned: dict[tuple[Scope, str], Values] = {}

    def outcome(self, function: Any, scope: Scope | None = None, depth: int = 0) -> Outcome:
        """What a function or lambda of this file gives; nothing while it is being read itself.

        Args:
            scope: where a lambda stands; functions know their own.
            depth: how many calls deep it is read.
        """
        known = self._outcomes.get(function)
        if known is not None or depth > _DEEPEST:
            return known or _NOTHING
        self._outcomes[function] = _NOTHING
        inner = self.module.scopes.get(function) or Scope(function, scope or self.module.scope)
        frame = Frame(self, inner, depth)
        outcome = frame.outcome
        parameters(function, frame)
        if isinstance(function, ast.Lambda):
            result = Produced(frame.value(function.body), function.body, RETURN)
            outcome.returned.append(result)
        else:
            block(function.body, frame)
            self._by_annotation(function, frame)
        self._outcomes[function] = outcome
        return outcome

    def assigned(self, name: str, level: Scope, depth: int) -> Values:
        """What a name of an enclosing scope holds that is assigned once."""
        key = (level, name)
        if key not in self._assigned:
            self._assigned[key] = UNKNOWN
            expression = single(name, level)
            if expression is not None and depth <= _DEEPEST:
                self._assigned[key] = Frame(self, level, depth + 1).value(expression)
        return self._assigned[key]

    @staticmethod
    def _by_annotation(function: Any, frame: Frame) -> None:
        """Where nothing is known of what a function returns, its annotation may say it."""
        outcome = frame.outcome
        if not outcome.returned or outcome.generator:
            return
        if any(item.values for item in outcome.returned):
            return
        hint = annotated(function.returns, frame, MEDIUM)
        if hint:
            outcome.returned = [Produced(hint, outcome.returned[0].node, RETURN)]
