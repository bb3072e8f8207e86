"""docs/benchmarks.md: prose written by people, and results between markers."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness.paths import REPO
from harness.shell import HarnessError

PAGE = REPO / "docs" / "benchmarks.md"


def write(name: str, results: str, page: Path = PAGE) -> None:
    """Replace what stands between the markers of benchmark `name`.

    Raises:
        HarnessError: the page has no such markers.
    """
    page.write_text(replaced(page.read_text(), name, f"{conditions(name)}\n\n{results}"))


def replaced(text: str, name: str, results: str) -> str:
    """Return the page `text` with other results for benchmark `name`.

    Raises:
        HarnessError: the page has no such markers.
    """
    begin, end = f"<!-- results of {name} -->", f"<!-- end of {name} -->"
    pattern = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise HarnessError(f"the page of results has no markers {begin} and {end}")
    return pattern.sub(lambda _: f"{begin}\n{results.strip()}\n{end}", text)


def conditions(name: str) -> str:
    """What was run, on what, of which version, when."""
    cluster = f"CLUSTER={os.environ['CLUSTER']} " if os.environ.get("CLUSTER") else ""
    return (
        f"`{cluster}make bench ARGS={name}`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, "
        f"commit {_commit()}, on {machine()}."
    )


def machine() -> str:
    """The processors, memory and kernel of this machine, in words."""
    model = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB$", _read("/proc/meminfo"), re.MULTILINE)
    parts = [
        f"{os.cpu_count()} cores{f' ({model[1].strip()})' if model else ''}",
        f"{round(int(memory[1]) / 1024 / 1024)} GiB" if memory else "",
        f"{platform.system()} {platform.release()}",
    ]
    return ", ".join(part for part in parts if part)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; all columns but the first are aligned to the right."""
    marks = ["---", *("---:" for _ in header[1:])]
    lines = [header, marks, *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _commit() -> str:
    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=REPO, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "operator", "charts", "tests/e2e")
    return f"{git('rev-parse', '--short', 'HEAD') or 'unknown'}{' with changes' if changed else ''}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
