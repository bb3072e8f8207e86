"""Which lines of which files a branch has changed, by git."""

import re
import subprocess
from pathlib import Path

_HUNK = re.compile(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@")


class GitError(Exception):
    """There is no repository here, or it has no such commit."""


def changed_lines(folder: Path, ref: str) -> dict[Path, set[int]]:
    """Lines that were added or changed since the branch left `ref`, by file.

    What is not committed yet counts too, new files as a whole.

    Raises:
        GitError: with git's own words.
    """
    top = Path(_git(folder, "rev-parse", "--show-toplevel").strip())
    base = _git(folder, "merge-base", "--", ref, "HEAD").strip()
    found: dict[Path, set[int]] = {}
    current: set[int] = set()
    for line in _git(
        top, "diff", "--unified=0", "--no-color", "--no-ext-diff", "--no-prefix", base
    ).splitlines():
        if line.startswith("+++ "):
            current = found.setdefault(top / line[4:].strip('"\t'), set())
        elif hunk := _HUNK.match(line):
            start, count = int(hunk[1]), int(hunk[2] if hunk[2] is not None else 1)
            current.update(range(start, start + count))
    for name in _git(top, "ls-files", "--others", "--exclude-standard", "-z").split("\0"):
        if name.endswith(".py"):
            path = top / name
            found[path] = set(range(1, path.read_bytes().count(b"\n") + 2))
    return found


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-c", "core.quotePath=false", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as problem:
        raise GitError(f"git: {problem}") from problem
    if done.returncode != 0:
        raise GitError(f"git {arguments[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
