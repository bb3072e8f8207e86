"""From paths to findings."""

import fnmatch
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xcom_lint.config import ConfigError, Configuration, Settings
from xcom_lint.dagfile import DagFile
from xcom_lint.model import Finding, Level, Problem, Rule
from xcom_lint.rules import BY_CODE, RULES
from xcom_lint.suppress import Suppression, suppressions

WITHOUT_REASON = "XCL900"
UNUSED = "XCL901"
# A file with none of these words has neither DAG nor task.
_WORDS = (b"airflow", b"xcom_push")
_SKIPPED = frozenset({"__pycache__", "node_modules", ".git", ".venv", "venv", ".tox", ".eggs"})


@dataclass(frozen=True)
class Unreadable:
    """A file that was not looked at, and why."""

    file: str
    why: str

    def as_json(self) -> dict[str, str]:
        """For `--format json`."""
        return {"file": self.file, "why": self.why}


@dataclass(frozen=True)
class Result:
    """What a run found.

    Attributes:
        files: how many files were looked at.
        findings: in the order of files and lines.
        unreadable: files that could not be parsed or read.
    """

    files: int
    findings: Sequence[Finding]
    unreadable: Sequence[Unreadable]

    @property
    def blocks(self) -> bool:
        """Whether anything found ends a review."""
        return any(finding.level is Level.BLOCK for finding in self.findings)


def lint(paths: Iterable[Path], configuration: Configuration) -> Result:
    """Look at files, and at every Python file below folders.

    Raises:
        ConfigError: a level is given for a rule that does not exist.
    """
    levels = _levels(configuration.settings)
    found: list[Finding] = []
    unreadable: list[Unreadable] = []
    files = 0
    for path in _files(paths, configuration):
        name = _shown(path, configuration.folder)
        try:
            data = path.read_bytes()
            files += 1
            if any(word in data for word in _WORDS):
                found += lint_file(DagFile(name, data), configuration.settings, levels)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OSError) as problem:
            unreadable.append(Unreadable(name, _words(problem)))
    return Result(files, sorted(found), unreadable)


def lint_file(
    file: DagFile, settings: Settings, levels: dict[str, Level] | None = None
) -> list[Finding]:
    """The findings of one file, suppressions considered."""
    levels = _levels(settings) if levels is None else levels
    found = [
        _finding(file, rule, levels[rule.code], problem)
        for rule in RULES
        if levels[rule.code] is not Level.OFF
        for problem in rule.check(file, settings)
    ]
    return list(_suppressed(file, found))


def _suppressed(file: DagFile, found: list[Finding]) -> Iterator[Finding]:
    comments = suppressions(file.data)
    used: set[tuple[int, str]] = set()
    for finding in found:
        by = next((item for item in comments if _covers(item, finding)), None)
        if by is None or not by.reason:
            yield finding
        if by is not None:
            used.add((by.line, finding.code))
    for item in comments:
        text = file.lines[item.line - 1].decode("utf-8", "replace").strip()
        if not item.reason:
            yield _about(file, item, WITHOUT_REASON, "a suppression without a reason", text)
        for code in sorted(item.codes):
            if (item.line, code) not in used:
                yield _about(file, item, UNUSED, f"there is no {code} here to suppress", text)


def _covers(item: Suppression, finding: Finding) -> bool:
    return finding.code in item.codes and item.line in (finding.line, finding.end_line)


def _about(file: DagFile, item: Suppression, code: str, message: str, text: str) -> Finding:
    fix = (
        "Add the reason: # xcl: ignore[XCL004] the reason"
        if code == WITHOUT_REASON
        else "Remove it."
    )
    name = "suppression-without-reason" if code == WITHOUT_REASON else "unused-suppression"
    return Finding(file.name, item.line, 1, code, name, Level.WARN, message, fix, item.line, text)


def _finding(file: DagFile, rule: Rule, level: Level, problem: Problem) -> Finding:
    node = problem.node
    line = int(getattr(node, "lineno", 1))
    return Finding(
        file=file.name,
        line=line,
        column=int(getattr(node, "col_offset", 0)) + 1,
        code=rule.code,
        name=rule.name,
        level=level,
        message=problem.message,
        fix=problem.fix or rule.fix,
        # A function or class is suppressed at its head, not at its last line.
        end_line=line if hasattr(node, "body") else int(getattr(node, "end_lineno", line) or line),
        text=file.lines[line - 1].decode("utf-8", "replace") if line <= len(file.lines) else "",
    )


def _levels(settings: Settings) -> dict[str, Level]:
    for code in settings.levels:
        if code not in BY_CODE:
            raise ConfigError(
                f"[tool.xcom-lint] levels.{code}: the rule does not exist; the rules are "
                f"{', '.join(BY_CODE)}"
            )
    return {rule.code: Level(settings.levels.get(rule.code, rule.level)) for rule in RULES}


def _files(paths: Iterable[Path], configuration: Configuration) -> Iterator[Path]:
    seen = set()
    for path in paths:
        for found in _below(path) if path.is_dir() else [path]:
            name = _shown(found, configuration.folder)
            excluded = any(
                fnmatch.fnmatch(name, pattern) for pattern in configuration.settings.exclude
            )
            if found not in seen and not excluded:
                seen.add(found)
                yield found


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        for name in sorted(names):
            if name.endswith(".py"):
                yield Path(root, name)


def _shown(path: Path, folder: Path) -> str:
    absolute = path.resolve()
    return str(absolute.relative_to(folder) if absolute.is_relative_to(folder) else path)


def _words(problem: BaseException) -> str:
    if isinstance(problem, SyntaxError):
        return f"line {problem.lineno}: {problem.msg}"
    return str(problem) or type(problem).__name__


def only_changed(result: Result, changed: dict[Path, set[int]], folder: Path) -> Result:
    """The findings that stand in changed lines."""
    return replace(
        result,
        findings=[
            finding
            for finding in result.findings
            if any(
                line in changed.get((folder / finding.file).resolve(), ())
                for line in range(finding.line, finding.end_line + 1)
            )
        ],
    )
