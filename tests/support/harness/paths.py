"""Where things are, and the hashes that name what is cached."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]
E2E = REPO / "tests" / "e2e"
GOTOOLS = E2E / "gotools"
IMAGES = E2E / "images"

# Files that say nothing about what is built.
_NOISE_FOLDERS = frozenset({"__pycache__", ".git", ".mypy_cache", ".pytest_cache", ".ruff_cache"})


def cache_dir() -> Path:
    """The cache folder, `$XDG_CACHE_HOME/xcom-rollout` (made if absent)."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(home) / "xcom-rollout"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def files_of(path: Path) -> list[Path]:
    """Every file at or below `path`, sorted, without caches that Python tools leave behind.

    Raises:
        FileNotFoundError: `path` does not exist.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such file or folder")
    return sorted(
        file
        for file in path.rglob("*")
        if file.is_file()
        and file.suffix != ".pyc"
        and not _NOISE_FOLDERS.intersection(file.relative_to(path).parts)
    )


def content_hash(
    paths: Iterable[Path], extra: Iterable[str] = (), *, relative_to: Path = REPO
) -> str:
    """A 16-digit hash of the files' names, run bits and bytes, and of the `extra` strings in order.

    It does not depend on the order of `paths`, on times, or on where the repository lies.

    Raises:
        FileNotFoundError: a path does not exist.
    """
    digest = hashlib.sha256()
    for file in sorted({file for path in paths for file in files_of(path)}):
        name = file.relative_to(relative_to).as_posix()
        run_bit = "x" if file.stat().st_mode & 0o100 else "-"
        body = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{name}\0{run_bit}\0{body}\n".encode())
    for text in extra:
        digest.update(f"extra\0{text}\n".encode())
    return digest.hexdigest()[:16]
