"""XCL008: large literals go through XCom."""

import ast
from collections.abc import Iterator

from xcom_lint.config import Settings
from xcom_lint.dagfile import DagFile
from xcom_lint.model import Level, Problem, Rule
from xcom_static.source.modules import single

_LITERALS = (ast.Constant, ast.Dict, ast.List, ast.Set, ast.Tuple, ast.JoinedStr)


def check(file: DagFile, settings: Settings) -> Iterator[Problem]:
    """Find literals from a size on that a task returns or pushes."""
    for task in file.python_tasks:
        scope = file.module.scopes[task.function]
        for value in [*file.returned(task.function), *file.pushed(task.function)]:
            literal = single(value.id, scope) if isinstance(value, ast.Name) else value
            if isinstance(literal, _LITERALS):
                size = file.size_of(literal)
                if size >= settings.large_literal_bytes:
                    yield Problem(
                        value,
                        f"{task.function.name} passes a literal of {size} bytes to XCom (limit "
                        f"{settings.large_literal_bytes})",
                    )


RULE = Rule(
    code="XCL008",
    name="large-literal",
    level=Level.WARN,
    why="It is already in the code, and is stored again with every run.",
    fix="Import it where it is needed; return a key or a name.",
    bad="""\
from airflow.decorators import dag, task


@dag()
def rates():
    @task
    def table():
        return {LITERAL}

    table()
""",
    good="""\
from airflow.decorators import dag, task


@dag()
def rates():
    @task
    def table():
        return "2026-05"

    table()
""",
    check=check,
)
