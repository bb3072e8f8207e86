"""XCL006: values that the object storage backend cannot encode; as `xbr audit` finds them."""

import ast
from collections.abc import Iterator

from xcom_lint.config import Settings
from xcom_lint.dagfile import DagFile
from xcom_lint.model import Level, Problem, Rule
from xcom_static.audit.effects import FAILS, Target
from xcom_static.audit.engine import module_findings


def check(file: DagFile, _: Settings) -> Iterator[Problem]:
    """Find values that fail for certain, or nearly so."""
    for found in module_findings(file.module, file.tasks, Target(None)):
        if found.effect == FAILS and found.counts("medium"):
            message = found.message.rstrip(".")
            yield Problem(_At(found.line, found.column), f"{message} ({found.rule})", found.fix)


class _At(ast.AST):
    """A place that the audit names."""

    def __init__(self, line: int, column: int) -> None:
        super().__init__()
        self.lineno = self.end_lineno = line
        self.col_offset = column - 1


RULE = Rule(
    code="XCL006",
    name="not-serializable",
    level=Level.BLOCK,
    why="The task fails when it pushes the value, at any size.",
    fix="See docs/audit.md for each kind of value.",
    bad="""\
import numpy as np
from airflow.decorators import dag, task


@dag()
def predictions():
    @task
    def predict():
        return np.zeros(3)

    predict()
""",
    good="""\
import numpy as np
from airflow.decorators import dag, task


@dag()
def predictions():
    @task
    def predict():
        return np.zeros(3).tolist()

    predict()
""",
    check=check,
)
