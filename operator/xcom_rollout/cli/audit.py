"""`xbr audit`: what the DAGs of a folder may put into XCom. No cluster, nothing is imported."""

from __future__ import annotations

from typing import Any

import click

from xcom_probe.model import EXIT_ERROR, EXIT_FAIL, EXIT_PASS, EXIT_USAGE
from xcom_rollout import __version__
from xcom_rollout.cli.options import Target
from xcom_rollout.cli.output import echo_lines, print_json
from xcom_static.audit import engine
from xcom_static.audit.sarif import sarif
from xcom_static.audit.target import ignore_syntax, target
from xcom_static.audit.text import lines, summary
from xcom_static.errors import InvalidArgumentError, UnavailableError
from xcom_static.source import files

_OUTPUTS = ("text", "json", "sarif")


class _Wrong(click.ClickException):
    exit_code = EXIT_USAGE


class _OutOfReach(click.ClickException):
    exit_code = EXIT_ERROR


@click.command()
@click.argument("dags_folder")
@click.option(
    "--airflow", metavar="VERSION", help="The Airflow version to audit for, such as 2.11."
)
@click.option("--common-io", metavar="VERSION", help="The version of the common-io provider.")
@click.option(
    "--ignore-syntax",
    type=click.Choice(files.SYNTAXES),
    help="The syntax of .airflowignore. Default: that of the Airflow version.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["high", "medium", "low"]),
    default="medium",
    show_default=True,
    help="The lowest confidence at which a finding fails the audit.",
)
@click.option(
    "--new-only",
    is_flag=True,
    help="Leave out what BaseXCom also fails on or changes; requires --airflow.",
)
@click.option("-o", "--output", type=click.Choice(_OUTPUTS), help="Output format.")
@click.pass_context
def command(
    ctx: click.Context,
    dags_folder: str,
    airflow: str | None,
    common_io: str | None,
    ignore_syntax: str | None,
    fail_on: str,
    new_only: bool,
    output: str | None,
) -> None:
    """List the tasks of DAGS_FOLDER whose values the object storage backend fails on or changes.

    The source is read, not run. Without --airflow a finding counts if it holds for any version
    since 2.9, and says for which.

    \b
    Exit codes:
      0  no task that fails or changes, with the confidence of --fail-on or higher
      1  at least one such task
      2  invalid usage
      3  no such task, but some files could not be read
    """
    if new_only and airflow is None:
        raise click.UsageError(
            "--new-only requires --airflow: what BaseXCom fails on depends on the version"
        )
    inherited = ctx.find_object(Target)
    form = output or (inherited.output if inherited else None) or "text"
    result = _look(dags_folder, airflow, common_io, ignore_syntax)
    if new_only:
        result = result._replace(findings=[item for item in result.findings if item.new])
    if form == "sarif":
        print_json(sarif(result, __version__))
    elif form == "json":
        print_json(result.as_json())
    else:
        _print(result.as_json())
    if any(item.counts(fail_on) for item in result.findings):
        ctx.exit(EXIT_FAIL)
    ctx.exit(EXIT_ERROR if result.unreadable else EXIT_PASS)


def _look(
    folder: str, airflow: str | None, common_io: str | None, syntax: str | None
) -> engine.Result:
    try:
        where = target(airflow, common_io)
        return engine.audit(files.sources(folder, ignore_syntax(syntax, where)), where)
    except InvalidArgumentError as problem:
        raise _Wrong(str(problem)) from problem
    except UnavailableError as problem:
        raise _OutOfReach(str(problem)) from problem


def _print(static: dict[str, Any]) -> None:
    echo_lines(lines(static))
    click.echo(summary(static))
