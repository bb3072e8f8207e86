"""Lint: `xbr lint` against `ruff check` with one rule, and against parsing alone, as processes.

Many files, as in continuous integration, and one file, as an editor does on each save. The files
are those of the audit's benchmark that make a DAG, and of older versions of the same packages.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from bench import audit, page
from bench.setup import Run, run
from harness.packages import fetch
from harness.say import say, step
from harness.shell import HarnessError
from xcom_static.source.files import Source

ROUNDS: Final = int(os.environ.get("BENCH_ROUNDS", "7"))
SAVES: Final = ROUNDS * 3
FILES: Final = 1000
# Wheels where they hold the examples, else sdists.
_OLDER_WHEELS: Final = ("apache-airflow==2.3.4", "apache-airflow-providers-google==8.0.0")
_OLDER_SDISTS: Final = (
    "apache-airflow-providers-google==16.1.0",
    "apache-airflow-providers-amazon==9.10.0",
)
_DAG: Final = re.compile(rb"^\s*@(\w+\.)?dag\b|\bDAG\(", re.MULTILINE)
_SCRIPTS: Final = Path(sysconfig.get_path("scripts"))
_PARSE: Final = """
import ast, pathlib, sys, warnings
warnings.simplefilter("ignore", SyntaxWarning)
for path in pathlib.Path(sys.argv[1]).rglob("*.py"):
    ast.parse(path.read_bytes())
"""
# One rule, no cache, and no configuration of anybody.
_RUFF: Final = (_SCRIPTS / "ruff", "check", "--isolated", "--no-cache", "--quiet", "--select")


def measure() -> str:
    """Return the results as Markdown.

    Raises:
        HarnessError: a package could not be had, or a program failed.
    """
    with step("fetch the files"):
        sources = list(islice(_dags(), FILES))
    if len(sources) < FILES:
        raise HarnessError(f"{len(sources)} files that make a DAG, not {FILES}: name more packages")
    with (
        tempfile.TemporaryDirectory(prefix="bench-lint-") as name,
        tempfile.TemporaryDirectory(prefix="bench-bytecode-") as bytecode,
    ):
        folder = Path(name)
        # As where it is installed: pip compiles what it installs. The first round makes it.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        paths = [_write(folder, number, source) for number, source in enumerate(sources)]
        # The middle one by size stands for all.
        one = sorted(paths, key=lambda path: path.stat().st_size)[len(paths) // 2]
        with step(f"lint {len(paths)} files"):
            many = _medians(_commands(folder), ROUNDS, environment)
        with step(f"lint {one.name} alone"):
            alone = _medians(
                {
                    "`python -c pass`": _python("pass"),
                    "`xbr --help`": (_SCRIPTS / "xbr", "--help"),
                    **_commands(one),
                },
                SAVES,
                environment,
            )
        lines = one.read_bytes().count(b"\n")
    return (
        f"Medians of {ROUNDS} rounds, {len(paths)} files that make a DAG; Python "
        f"{sys.version.split()[0]}.\n\n{_table(many, 'parsing alone')}\n\n"
        f"One of these files, the middle one by size ({lines} lines), alone; medians of {SAVES} "
        f"rounds.\n\n{_table(alone, '`python -c pass`')}"
    )


def _dags() -> Iterator[Source]:
    """The files that make a DAG, each content once."""
    seen = set()
    for source in _sources():
        if source.data not in seen and _DAG.search(source.data):
            seen.add(source.data)
            yield source


def _sources() -> Iterator[Source]:
    yield from audit.sources()
    for item in (*_OLDER_WHEELS, *_OLDER_SDISTS):
        yield from audit.read(fetch(item, wheel=item in _OLDER_WHEELS))


def _write(folder: Path, number: int, source: Source) -> Path:
    path = folder / f"dag_{number:04}.py"
    path.write_bytes(source.data)
    return path


def _python(program: str, *arguments: str | Path) -> tuple[str | Path, ...]:
    return (sys.executable, "-c", program, *arguments)


def _commands(place: Path) -> dict[str, Sequence[str | Path]]:
    parse = _python(_PARSE, place)
    return {
        **({"parsing alone": parse} if place.is_dir() else {}),
        "`xbr lint`": (_SCRIPTS / "xbr", "lint", place),
        "`ruff check --select F401`": (*_RUFF, "F401", place),
    }


def _medians(
    commands: Mapping[str, Sequence[str | Path]], rounds: int, environment: Mapping[str, str]
) -> dict[str, tuple[float, float]]:
    """Seconds on the wall and of the processor of each, taken in turns."""
    taken: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            done = run(command, environment)
            # 1: there are findings.
            if done.code not in (0, 1):
                raise HarnessError(f"{name}: exit code {done.code}: {done.stderr[-1000:]}")
            # The first round warms the caches of the file system.
            if number:
                taken[name].append(done)
        say(f"round {number} of {rounds}")
    return {
        name: (
            statistics.median(item.seconds for item in items),
            statistics.median(item.processor for item in items),
        )
        for name, items in taken.items()
    }


def _table(found: Mapping[str, tuple[float, float]], base: str) -> str:
    wall, processor = found[base]
    rows = [
        (
            name,
            f"{seconds * 1000:,.0f}",
            f"{own * 1000:,.0f}",
            f"**{seconds / wall:.2f}**",
            f"{own / processor:.2f}",
        )
        for name, (seconds, own) in found.items()
    ]
    header = ("Process", "Wall, ms", "Processor, ms", f"Wall to {base}", "Processor")
    return page.table(header, rows)
