"""What a rule is, and what it reports."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from xcom_lint.config import Settings
from xcom_lint.dagfile import DagFile


class Level(StrEnum):
    """What a finding does: nothing, warn, or end the run with exit code 1."""

    OFF = "off"
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True)
class Problem:
    """What a rule found, and where; `fix` is more specific than the rule's own, or empty."""

    node: ast.AST
    message: str
    fix: str = ""


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        code: stable: XCL and three digits.
        name: the same in words.
        level: unless the configuration says otherwise.
        why: what goes wrong in the end.
        fix: what to do.
        bad, good: a DAG file that it finds, and one that it is silent on.
        check: yields what it finds in a file.
    """

    code: str
    name: str
    level: Level
    why: str
    fix: str
    bad: str
    good: str
    check: Callable[[DagFile, Settings], Iterator[Problem]]


@dataclass(frozen=True, order=True)
class Finding:
    """A problem with its place; line and column count from 1.

    Attributes:
        end_line: the last line of what was found.
        text: the code of its first line, by which a baseline knows it again.
    """

    file: str
    line: int
    column: int
    code: str
    name: str
    level: Level
    message: str
    fix: str
    end_line: int
    text: str

    def as_json(self) -> dict[str, Any]:
        """For `--format json`."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "code": self.code,
            "name": self.name,
            "level": str(self.level),
            "message": self.message,
            "fix": self.fix,
        }
