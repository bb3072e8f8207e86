"""The audit: from files to findings."""

from __future__ import annotations

import ast
import time
from typing import Any, Iterable, Iterator, NamedTuple

from xcom_static.audit.effects import DRIFTS, FAILS, NONE, Target, effect
from xcom_static.audit.rules import BY_ID, RULE_OF, Problem, problems
from xcom_static.audit.runtime_changes import Found, found_in
from xcom_static.flow import operators
from xcom_static.flow.frame import RETURN, Produced
from xcom_static.flow.reader import Flow
from xcom_static.flow.values import CONFIDENCE, Value, Values, only
from xcom_static.source.files import Source
from xcom_static.source.modules import CallSite, Module, parse
from xcom_static.source.tasks import CLASS, OPERATOR, SENSOR, Task, discover

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# A file without any of them names nothing of Airflow's and pushes nothing: it is not parsed.
_WORDS = (b"airflow", b"xcom_push", b"AIRFLOW__", b"pod_mutation_hook")
_VERBS = {FAILS: "fails on it", DRIFTS: "changes it"}
_VALUES = {name: number for number, name in CONFIDENCE.items()}


class Finding(NamedTuple):
    """One value that may get into XCom, and what becomes of it.

    Attributes:
        rule: the rule's ID.
        file, line, column: where it is returned or pushed; line and column from 1.
        dag_id, task_id: None where they are not known. One function used by two tasks is two
            findings.
        key: the XCom key; empty where it is not a constant.
        kind: the kind of value.
        effect: `fails`, `drifts`, `offloads` or `unknown`, with the object storage backend.
        today: the same with BaseXCom; `none` if it comes back as it was.
        where: for which versions or sizes that holds, empty for all.
        confidence: `high`, `medium` or `low`.
        evidence: how the value is made, with its line.
        message: all of it in a sentence.
        fix: what to write instead.
    """

    rule: str
    file: str
    line: int
    column: int
    dag_id: str | None
    task_id: str | None
    key: str
    kind: str
    effect: str
    today: str
    where: str
    confidence: str
    evidence: str
    message: str
    fix: str

    @property
    def new(self) -> bool:
        """Whether the change of backend causes it."""
        return self.effect in (FAILS, DRIFTS) and self.today == NONE

    def counts(self, confidence: str) -> bool:
        """Whether it fails or drifts, with at least this confidence."""
        sure = _VALUES[self.confidence] >= _VALUES[confidence]
        return sure and self.effect in (FAILS, DRIFTS)

    def as_json(self) -> dict[str, Any]:
        """With the names of the result document."""
        return {
            "rule": self.rule,
            "name": BY_ID[self.rule].name,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "dagId": self.dag_id,
            "taskId": self.task_id,
            "key": self.key,
            "kind": self.kind,
            "effect": self.effect,
            "today": self.today,
            "new": self.new,
            "where": self.where,
            "confidence": self.confidence,
            "evidence": self.evidence,
            "message": self.message,
            "fix": self.fix,
        }


class Unreadable(NamedTuple):
    """A file that could not be looked at, the line where it ended (None if there is none), why."""

    file: str
    line: int | None
    why: str


class Result(NamedTuple):
    """What an audit found.

    Attributes:
        files: how many Python files there are.
        parsed: how many of them name Airflow.
        tasks: how many tasks and operator classes they hold.
        seconds: wall time.
        findings: sorted by file, line and rule.
        unreadable: files that were not looked at.
    """

    files: int
    parsed: int
    tasks: int
    seconds: float
    findings: list[Finding]
    unreadable: list[Unreadable]

    def as_json(self) -> dict[str, Any]:
        """The member `static` of the result document."""
        return {
            "files": self.files,
            "parsed": self.parsed,
            "tasks": self.tasks,
            "seconds": round(self.seconds, 3),
            "findings": [finding.as_json() for finding in self.findings],
            "unreadable": [item._asdict() for item in self.unreadable],
        }


def audit(sources: Iterable[Source], target: Target) -> Result:
    """Look at every file. A file that cannot be parsed is named, and the others are looked at."""
    started = time.monotonic()
    findings: list[Finding] = []
    unreadable: list[Unreadable] = []
    files = parsed = tasks = 0
    for source in sources:
        if source.problem:
            unreadable.append(Unreadable(source.name, None, source.problem))
            continue
        files += 1
        if not any(word in source.data for word in _WORDS):
            continue
        parsed += 1
        try:
            module = parse(source.name, source.data)
            found = discover(module)
            findings += module_findings(module, found, target)
            findings += (_of_code(module, item, target) for item in found_in(module, source.data))
        except Exception as problem:  # noqa: BLE001 - one odd file must not hide the others
            line = problem.lineno if isinstance(problem, SyntaxError) else None
            unreadable.append(Unreadable(source.name, line, _in_words(problem)))
            continue
        tasks += len(found)
    findings.sort(key=lambda item: (item.file, item.line, item.column, item.rule))
    return Result(files, parsed, tasks, time.monotonic() - started, findings, unreadable)


def module_findings(module: Module, tasks: list[Task], target: Target) -> list[Finding]:
    """The findings of one file that is parsed already, in no order."""
    return _Audit(module, target).findings(tasks)


def _of_code(module: Module, found: Found, target: Target) -> Finding:
    rule = RULE_OF[found.kind]
    known = effect(found.kind, target)
    does = rule.title.partition("code that ")[2]
    return Finding(
        rule=rule.id,
        file=module.name,
        line=found.node.lineno,
        column=found.node.col_offset + 1,
        dag_id=None,
        task_id=None,
        key="",
        kind=found.kind,
        effect=known.effect,
        today=known.today,
        where="",
        confidence=CONFIDENCE[found.sure],
        evidence=found.what,
        message=f"{does}: {found.what}. The operator does not deliver it, and no proof covers it.",
        fix=rule.fix,
    )


def _in_words(problem: BaseException) -> str:
    if isinstance(problem, SyntaxError):
        return problem.msg
    if isinstance(problem, (RecursionError, MemoryError)):
        return "nested too deeply"
    return f"{type(problem).__name__}: {problem}"


class _Audit:
    """The findings of one file; the same one for several tasks is one finding."""

    def __init__(self, module: Module, target: Target) -> None:
        self._module = module
        self._target = target
        self._flow = Flow(module)
        self._found: dict[Any, Finding] = {}

    def findings(self, tasks: list[Task]) -> list[Finding]:
        owners = set()
        for task in tasks:
            owners.add(task.function)
            for produced in self._produced(task):
                self._report(produced, task)
        for site in self._module.calls:
            owner = site.scope.node
            if owner in owners or not isinstance(owner, _FUNCTIONS):
                continue
            if self._pushes(site):
                owners.add(owner)
                for produced in self._flow.outcome(owner, site.scope).pushed:
                    self._report(produced, None)
        return list(self._found.values())

    def _pushes(self, site: CallSite) -> bool:
        function = site.call.func
        if not isinstance(function, ast.Attribute):
            return False
        if function.attr == "set":
            return (self._module.dotted(function, site.scope) or "").endswith(".XCom.set")
        return function.attr == "xcom_push"

    def _produced(self, task: Task) -> Iterator[Produced]:
        if task.style == OPERATOR:
            if task.pushes:
                values = operators.returned(task, self._flow)
                yield Produced(values, task.call or task.node, RETURN)
            return
        if task.function is None:
            return
        outcome = self._flow.outcome(task.function, task.scope)
        yield from outcome.pushed
        if not task.pushes:
            return
        if outcome.generator:
            # From 2.10 on Airflow runs it itself, and pushes what it returns in the end.
            values = only("generator-function", what="a function that yields")
            yield Produced(values, task.function, RETURN)
        for produced in outcome.returned:
            if task.style == SENSOR:
                produced = produced._replace(
                    values=tuple(
                        item
                        for value in produced.values
                        if value.kind == "poke"
                        for item in value.items
                    )
                )
            yield produced
            if task.multiple_outputs:
                yield from _each_output(produced)

    def _report(self, produced: Produced, task: Task | None) -> None:
        for value in produced.values:
            for problem in problems(value, self._target):
                if task is not None and task.multiple_outputs and problem.kind == "int-keys":
                    problem = problem._replace(rule=BY_ID["XCA023"], kind="multiple-outputs-keys")
                self._add(problem, produced, task)

    def _add(self, problem: Problem, produced: Produced, task: Task | None) -> None:
        node = produced.node
        dag_id = task.dag_id if task else None
        task_id = task.task_id if task else None
        key = (node.lineno, node.col_offset, problem.rule.id, produced.key, dag_id, task_id)
        known = self._found.get(key)
        if known is not None and _VALUES[known.confidence] >= problem.sure:
            return
        evidence = _evidence(problem.value, node)
        self._found[key] = Finding(
            rule=problem.rule.id,
            file=self._module.name,
            line=node.lineno,
            column=node.col_offset + 1,
            dag_id=dag_id,
            task_id=task_id,
            key=produced.key,
            kind=problem.kind,
            effect=problem.effect.effect,
            today=problem.effect.today,
            where=problem.effect.where,
            confidence=CONFIDENCE[problem.sure],
            evidence=evidence,
            message=_message(problem, produced, task, evidence),
            fix=problem.rule.fix,
        )


def _each_output(produced: Produced) -> Iterator[Produced]:
    """Under multiple_outputs each item is a value of its own: strings matter again."""
    for value in produced.values:
        for name, values in value.fields:
            strings: Values = tuple(item for item in values if item.kind in ("str", "json-str"))
            if strings:
                yield Produced(strings, produced.node, name)


def _evidence(value: Value, node: Any) -> str:
    made = value.what or value.kind
    return f"{made}, line {value.line}" if value.line and value.line != node.lineno else made


def _message(problem: Problem, produced: Produced, task: Task | None, evidence: str) -> str:
    if produced.key == RETURN:
        verb = "gives" if task is not None and task.style in (OPERATOR, CLASS) else "returns"
    else:
        verb = f'pushes under "{produced.key}"' if produced.key else "pushes"
    part = f" ({problem.where})" if problem.where else ""
    effect = problem.effect
    text = f"{verb} {problem.rule.title}{part}: {evidence}."
    if effect.effect in _VERBS:
        text += f" The object storage backend {_VERBS[effect.effect]}"
        text += f" {effect.where}" if effect.where else ""
        if effect.today == NONE:
            text += "; BaseXCom does not"
        text += "."
    elif effect.where:
        text += f" Reading it fails {effect.where}."
    return text
