"""Writes and reads of files and objects by the code of tasks, and where their paths go."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from xcom_lint.dagfile import DagFile
from xcom_static.source.modules import Scope, argument, single
from xcom_static.source.tasks import Task

# Functions by their dotted name: the position and the name of the path.
_WRITERS = {
    "numpy.save": (0, "file"),
    "numpy.savez": (0, "file"),
    "numpy.savez_compressed": (0, "file"),
    "numpy.savetxt": (0, "fname"),
    "joblib.dump": (1, "filename"),
    "torch.save": (1, "f"),
    "pyarrow.parquet.write_table": (1, "where"),
}
_READERS = {
    "numpy.load": (0, "file"),
    "numpy.loadtxt": (0, "fname"),
    "joblib.load": (0, "filename"),
    "torch.load": (0, "f"),
    "pyarrow.parquet.read_table": (0, "source"),
    "pandas.read_parquet": (0, "path"),
    "pandas.read_csv": (0, "filepath_or_buffer"),
    "pandas.read_pickle": (0, "filepath_or_buffer"),
    "pandas.read_json": (0, "path_or_buf"),
    "pandas.read_feather": (0, "path"),
    "pandas.read_excel": (0, "io"),
}
# Methods, whatever they are called on; those of a frame only write where a path is given.
_FRAME_WRITERS = {
    "to_parquet": "path",
    "to_csv": "path_or_buf",
    "to_pickle": "path",
    "to_json": "path_or_buf",
    "to_feather": "path",
    "to_excel": "excel_writer",
    "to_hdf": "path_or_buf",
    "write_parquet": "file",
    "write_csv": "file",
}
# boto3 clients and resources, then the provider's hook: where the key is.
_OBJECT_WRITERS: dict[str, tuple[int | None, str]] = {
    "put_object": (None, "Key"),
    "upload_file": (2, "Key"),
    "upload_fileobj": (2, "Key"),
    "load_string": (1, "key"),
    "load_bytes": (1, "key"),
    "load_file": (1, "key"),
    "load_file_obj": (1, "key"),
}
_OBJECT_READERS: dict[str, tuple[int | None, str]] = {
    "get_object": (None, "Key"),
    "download_file": (1, "Key"),
    "download_fileobj": (1, "Key"),
    "read_key": (0, "key"),
    "get_key": (0, "key"),
}
_PATH_WRITERS = frozenset({"write_text", "write_bytes"})
_PATH_READERS = frozenset({"read_text", "read_bytes"})
_OPENS = frozenset({"open", "io.open", "gzip.open", "bz2.open", "lzma.open"})
_TEMPORARY = "tempfile."
# Airflow's own path in an object store: what it names, every pod can read.
_BY_REFERENCE = "ObjectStoragePath"
_SHARED = ("/tmp", "/var/", "/opt/", "/mnt/", "/data", "/shared", "/home/", "s3://", "gs://")  # noqa: S108
_DEEPEST = 6


@dataclass(frozen=True)
class Access:
    """One write or read.

    Attributes:
        call: that does it.
        path: the expression of the path or key.
        scope: that the call stands in.
        writes: else it reads.
    """

    call: ast.Call
    path: ast.expr
    scope: Scope
    writes: bool


@dataclass(frozen=True)
class Write:
    """A write by a task's function, and how its path gets to another task; empty: unproven."""

    task: Task
    access: Access
    handed_on: str


@lru_cache(maxsize=1)
def writes(file: DagFile) -> tuple[Write, ...]:
    """Every write of the tasks of a file; several rules ask, one file after the other."""
    found = [(task, _accesses(file, task)) for task in file.python_tasks]
    return tuple(
        Write(task, access, _handed_on(file, access, task, found))
        for task, own in found
        for access in own
        if access.writes and not _is_reference(file, access)
    )


def _handed_on(
    file: DagFile, access: Access, task: Task, found: list[tuple[Task, list[Access]]]
) -> str:
    if _hands_over(file, access, task.function):
        return "and passes its path to other tasks"
    texts = _constants(access)
    for other, theirs in found:
        if other.function is not task.function and any(
            texts & _constants(read) for read in theirs if not read.writes
        ):
            return f"that {other.function.name} reads"
    return ""


def _accesses(file: DagFile, task: Task) -> list[Access]:
    """Writes and reads in a task's function."""
    scope = file.module.scopes[task.function]
    found = []
    for node in file.nodes[task.function]:
        if isinstance(node, ast.Call):
            access = _access(file, node, scope)
            if access is not None:
                found.append(access)
    return found


def is_temporary(file: DagFile, access: Access) -> bool:
    """Whether the path comes from `tempfile`."""
    return any(
        isinstance(node, ast.Call)
        and (file.module.dotted(node.func, access.scope) or "").startswith(_TEMPORARY)
        for node in _origins(access.path, access.scope)
    )


def _is_reference(file: DagFile, access: Access) -> bool:
    """Whether the path is one of Airflow's object storage paths, so already a reference."""
    return any(
        isinstance(node, (ast.Name, ast.Attribute))
        and (file.module.dotted(node, access.scope) or "").endswith(_BY_REFERENCE)
        for node in _origins(access.path, access.scope)
    )


def looks_shared(access: Access) -> bool:
    """Whether the path begins like one that people take for shared."""
    for node in _origins(access.path, access.scope):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value.startswith(_SHARED)
    return False


def _hands_over(file: DagFile, access: Access, function: Any) -> bool:
    """Whether the path, or part of it, is returned or pushed by the function."""
    names = {node.id for node in ast.walk(access.path) if isinstance(node, ast.Name)}
    texts = _constants(access)
    # `self` and what a module or function is called say nothing of a path.
    names &= {name for name in access.scope.values if name in names}
    for value in [*file.returned(function), *file.pushed(function)]:
        for node in ast.walk(value):
            if isinstance(node, ast.Name) and node.id in names:
                return True
            if isinstance(node, ast.Constant) and node.value in texts:
                return True
    return False


def _constants(access: Access) -> frozenset[str]:
    """Texts of which the path consists, long enough to mean something."""
    return frozenset(
        node.value
        for node in _origins(access.path, access.scope)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 3
    )


def _access(file: DagFile, call: ast.Call, scope: Scope) -> Access | None:
    dotted = file.module.dotted(call.func, scope)
    if dotted is None and isinstance(call.func, ast.Name):
        dotted = call.func.id if file.module.definition(call.func, scope) is None else None
    if dotted in _OPENS:
        mode = argument(call, "mode", 1)
        text = mode.value if isinstance(mode, ast.Constant) else "r"
        return _at(call, scope, (0, "file"), writes=bool(set(str(text)) & set("wax+")))
    if dotted in _WRITERS:
        return _at(call, scope, _WRITERS[dotted], writes=True)
    if dotted in _READERS:
        return _at(call, scope, _READERS[dotted], writes=False)
    if not isinstance(call.func, ast.Attribute) or (dotted is not None and "." in dotted):
        return None
    return _method(call, call.func, scope)


def _method(call: ast.Call, function: ast.Attribute, scope: Scope) -> Access | None:
    name = function.attr
    if name in _FRAME_WRITERS:
        return _at(call, scope, (0, _FRAME_WRITERS[name]), writes=True)
    if name in _OBJECT_WRITERS:
        return _at(call, scope, _OBJECT_WRITERS[name], writes=True)
    if name in _OBJECT_READERS:
        return _at(call, scope, _OBJECT_READERS[name], writes=False)
    if name in _PATH_WRITERS or name in _PATH_READERS:
        return Access(call, function.value, scope, name in _PATH_WRITERS)
    if name == "open":
        mode = argument(call, "mode", 0)
        text = mode.value if isinstance(mode, ast.Constant) else "r"
        writes = bool(set(str(text)) & set("wax+")) and len(str(text)) <= 3
        return Access(call, function.value, scope, writes)
    return None


def _at(
    call: ast.Call, scope: Scope, where: tuple[int | None, str], *, writes: bool
) -> Access | None:
    path = argument(call, where[1], where[0])
    return None if path is None else Access(call, path, scope, writes)


def _origins(node: ast.expr, scope: Scope, depth: int = 0) -> Iterator[ast.AST]:
    """An expression and all that the names in it are bound to."""
    for child in ast.walk(node):
        yield child
        if isinstance(child, ast.Name) and depth < _DEEPEST:
            bound = single(child.id, scope)
            if bound is not None and bound is not node:
                yield from _origins(bound, scope, depth + 1)
