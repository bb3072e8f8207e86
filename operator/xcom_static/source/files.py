"""The DAG files of a folder, as Airflow finds them: `.airflowignore`, zip archives, links.

Unlike Airflow it goes on where a link leads to a folder that was seen before (Airflow refuses
the whole folder), and takes every `.py` file, not only those that look like DAGs.
"""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from typing import Any, Iterator, NamedTuple, Pattern

from xcom_static.errors import InvalidArgumentError, NoFilesError, UnavailableError

IGNORE_FILE = ".airflowignore"
GLOB = "glob"
REGEXP = "regexp"
SYNTAXES = (GLOB, REGEXP)

_COMMENT = re.compile(r"\s*#.*")


class Source(NamedTuple):
    """A file: its path below the folder, as it is shown, and its bytes; or why it has none."""

    name: str
    data: bytes
    problem: str = ""


class _Rule(NamedTuple):
    """One line of an ignore file, and the folder that it is relative to."""

    pattern: Any
    base: str
    include: bool = True
    whole_path: bool = False
    folders_only: bool = False


def sources(folder: str, syntax: str | None) -> Iterator[Source]:
    """Every Python file that Airflow would look at, in the order of their names.

    Args:
        folder: a folder, or one file.
        syntax: how `.airflowignore` is written; None refuses to guess where there is one.

    Raises:
        NoFilesError: the folder is not there or holds none of them.
        InvalidArgumentError: `syntax` is needed.
        UnavailableError: a pattern language is missing here.
    """
    if os.path.isfile(folder):
        yield from _file(folder, os.path.basename(folder))
        return
    if not os.path.isdir(folder):
        raise NoFilesError(f"the DAG folder {folder!r} does not exist; use a folder or a file")
    seen: set[str] = set()
    empty = True
    for source in _folder(folder, folder, syntax, [], seen):
        empty = False
        yield source
    if empty:
        # An empty result would look like a clean one.
        raise NoFilesError(
            f"the DAG folder {folder!r} contains no Python file that Airflow would read; use the "
            "folder that the DAGs are synced to"
        )


def _folder(
    root: str, folder: str, syntax: str | None, rules: list[_Rule], seen: set[str]
) -> Iterator[Source]:
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as problem:
        yield Source(os.path.relpath(folder, root), b"", f"cannot be listed: {problem}")
        return
    if any(entry.name == IGNORE_FILE and entry.is_file() for entry in entries):
        rules = rules + _rules(root, folder, syntax)
    for entry in entries:
        if entry.name == IGNORE_FILE or _ignored(entry.path, entry.is_dir(), root, rules):
            continue
        if entry.is_dir():
            yield from _folder(root, entry.path, syntax, rules, seen)
        elif entry.name.endswith((".py", ".zip")):
            # The parts of a mounted ConfigMap are there twice, by links.
            real = os.path.realpath(entry.path)
            if real not in seen:
                seen.add(real)
                yield from _file(entry.path, os.path.relpath(entry.path, root))


def _file(path: str, name: str) -> Iterator[Source]:
    try:
        if name.endswith(".zip"):
            if zipfile.is_zipfile(path):
                yield from _archive(path, name)
            return
        with open(path, "rb") as file:
            yield Source(name, file.read())
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as problem:
        yield Source(name, b"", f"cannot be read: {problem}")


def _archive(path: str, name: str) -> Iterator[Source]:
    """The modules at the top of an archive: those are what Airflow takes for DAG files."""
    with zipfile.ZipFile(path) as archive:
        for inner in sorted(archive.namelist()):
            if inner.endswith(".py") and "/" not in inner:
                yield Source(f"{name}/{inner}", archive.read(inner))


def _rules(root: str, folder: str, syntax: str | None) -> list[_Rule]:
    path = os.path.join(folder, IGNORE_FILE)
    if syntax is None:
        raise InvalidArgumentError(
            f"{path} can be read in two ways: set --ignore-syntax glob (Airflow 3) or regexp "
            "(Airflow 2, unless it is configured), or the version of Airflow"
        )
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = [_COMMENT.sub("", line) for line in file.read().split("\n")]
    make = _glob if syntax == GLOB else _regexp
    found = (make(line, root, folder) for line in lines if line)
    return [rule for rule in found if rule is not None]


def _regexp(line: str, root: str, folder: str) -> _Rule | None:
    """Searched for in the path below the DAG folder. Airflow skips an invalid one, too."""
    del folder
    try:
        pattern: Pattern[str] = re.compile(line)
    except re.error:
        return None
    return _Rule(pattern, root, whole_path=True)


def _glob(line: str, root: str, folder: str) -> _Rule | None:
    """As in .gitignore: with a slash within it, relative to the ignore file; else any name."""
    del root
    if line.strip() == "/":
        return None
    try:
        import pathspec
    except ImportError as problem:
        raise UnavailableError(
            f"{IGNORE_FILE} is in glob syntax, but the package pathspec is not installed"
        ) from problem
    with warnings.catch_warnings():
        # Deprecated since pathspec 1.0; the pattern that every Airflow uses, and 0.x has no other.
        warnings.simplefilter("ignore", DeprecationWarning)
        compiled = pathspec.patterns.GitWildMatchPattern(line)  # type: ignore[attr-defined]
    if compiled.include is None or compiled.regex is None:
        return None
    bare = line.lstrip("!").rstrip()
    return _Rule(
        compiled.regex,
        folder,
        bool(compiled.include),
        whole_path=line.startswith("/") or "/" in line.rstrip("/"),
        folders_only=bare.endswith("/"),
    )


def _ignored(path: str, is_folder: bool, root: str, rules: list[_Rule]) -> bool:
    """Whether the last rule that matches leaves the path out."""
    del root
    ignored = False
    for rule in rules:
        if rule.folders_only and not is_folder:
            continue
        shown = os.path.relpath(path, rule.base) if rule.whole_path else os.path.basename(path)
        shown = shown.replace(os.sep, "/")
        if rule.pattern.search(shown) or (is_folder and rule.pattern.search(shown + "/")):
            ignored = rule.include
    return ignored
