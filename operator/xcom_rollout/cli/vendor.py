"""`xbr vendor`: the provenance helpers as one file of a DAG repository."""

import ast
import sys
from importlib import resources
from pathlib import Path
from typing import Final

import click

from xcom_rollout import __version__
from xcom_rollout.cli.options import EXIT_STALLED, EXIT_USAGE, Target, common_options

_PACKAGE: Final = "xcom_dags"
_MODULES: Final = ("events.py", "provenance.py")
_HEADER: Final = '''"""Build provenance and structured events for the DAGs of this folder.

Written by `xbr vendor` from xcom-rollout {version} (Apache-2.0). Do not edit; run it again.
"""
'''
_BEGINNING: Final = _HEADER.partition("{version}")[0].encode()
"""How each file begins that was written by this command, of any version."""


@click.command()
@click.argument("path", default="dags/_common.py", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if the file is not up to date.")
@common_options
def command(target: Target, path: Path, check: bool) -> None:
    """Write the provenance and event helpers to PATH (dags/_common.py), as one file.

    For DAG repositories whose Airflow image does not contain this package: the file needs only the
    standard library.
    """
    del target
    wanted = one_file(__version__)
    try:
        present = path.read_bytes() if path.exists() else None
    except OSError as problem:
        click.echo(f"xbr vendor: {problem}", err=True)
        sys.exit(EXIT_USAGE)
    if check:
        if present != wanted.encode():
            click.echo(
                f"xbr vendor: {path} is not up to date; update it with: xbr vendor {path}", err=True
            )
            sys.exit(EXIT_STALLED)
        return
    if present and not present.startswith(_BEGINNING):
        click.echo(
            f"xbr vendor: {path} is not a file that xbr vendor has written; choose another path, "
            "or move it away first",
            err=True,
        )
        sys.exit(EXIT_USAGE)
    try:
        path.write_text(wanted, encoding="utf-8")
    except OSError as problem:
        click.echo(f"xbr vendor: {problem}", err=True)
        sys.exit(EXIT_USAGE)
    click.echo(f"{path}: {len(wanted.splitlines())} lines")


def one_file(version: str) -> str:
    """Return `events` and `provenance` as one module that needs only Python 3.8 or newer.

    The imports of both, without the one between them, then the code of both, unchanged.
    """
    imports: dict[str, None] = {}
    bodies = []
    for name in _MODULES:
        source = resources.files(_PACKAGE).joinpath(name).read_text(encoding="utf-8")
        lines = source.splitlines()
        first = 0
        for node in ast.parse(source).body:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                if not (isinstance(node, ast.ImportFrom) and str(node.module).startswith(_PACKAGE)):
                    imports.setdefault("\n".join(lines[node.lineno - 1 : node.end_lineno]))
            elif not docstring:
                break
            first = int(node.end_lineno or 0)
        bodies.append("\n".join(lines[first:]).strip("\n"))
    future = "from __future__ import annotations"
    others = sorted(
        (line for line in imports if line != future),
        key=lambda line: (line.split()[0] == "from", line),
    )
    head = _HEADER.format(version=version) + f"\n{future}\n\n" + "\n".join(others)
    return head + "\n\n" + "\n\n\n".join(bodies) + "\n"
