"""`xbr lint`: the reviewer's rules for DAG code."""

import sys
from dataclasses import replace
from pathlib import Path

import click

from xcom_lint import baseline
from xcom_lint.changed import GitError, changed_lines
from xcom_lint.config import ConfigError, Configuration, find, read
from xcom_lint.output import render
from xcom_lint.run import Result, lint, only_changed
from xcom_rollout import __version__
from xcom_rollout.cli.options import (
    EXIT_DONE,
    EXIT_STALLED,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    Target,
)

_FORMS = ("text", "json", "sarif", "github")
_DEFAULT_BASELINE = ".xcom-lint-baseline.json"


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A pyproject.toml. Default: the nearest one with [tool.xcom-lint].",
)
@click.option("--format", "form", type=click.Choice(_FORMS), help="Output format; text by default.")
@click.option(
    "--diff-base",
    metavar="REF",
    help="Check only lines changed since the branch diverged from REF.",
)
@click.option(
    "--baseline",
    "baseline_path",
    type=click.Path(path_type=Path),
    help="Leave out the findings accepted in this file. Default: the configured file.",
)
@click.option(
    "--write-baseline", is_flag=True, help="Accept all current findings, and exit with 0."
)
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    config: Path | None,
    form: str | None,
    diff_base: str | None,
    baseline_path: Path | None,
    write_baseline: bool,
) -> None:
    """Check DAG files against rules (docs/lint.md). Nothing is imported or run.

    \b
    Exit codes:
      0  no blocking finding
      1  at least one blocking finding
      2  invalid usage or configuration
      4  no blocking finding, but some files could not be read
    """
    inherited = ctx.find_object(Target)
    form = form or ("json" if inherited and inherited.as_json else "text")
    places = paths or (Path.cwd(),)
    try:
        configuration = _configuration(config, places[0])
        result = lint(places, configuration)
        accepted = _baseline_file(baseline_path, configuration, write_baseline)
        if write_baseline and accepted is not None:
            count = baseline.write(accepted, result.findings)
            click.echo(f"{accepted}: {count} findings accepted")
            sys.exit(EXIT_DONE)
        if accepted is not None:
            result = replace(result, findings=baseline.apply(accepted, result.findings))
        if diff_base is not None:
            changed = changed_lines(configuration.folder, diff_base)
            result = only_changed(result, changed, configuration.folder)
    except (ConfigError, GitError) as problem:
        click.echo(f"xbr lint: {problem}", err=True)
        sys.exit(EXIT_USAGE)
    text = render(result, form, __version__)
    if text:
        click.echo(text)
    sys.exit(_exit_code(result))


def _exit_code(result: Result) -> int:
    if result.blocks:
        return EXIT_STALLED
    return EXIT_UNREACHABLE if result.unreadable else EXIT_DONE


def _configuration(config: Path | None, start: Path) -> Configuration:
    if config is None:
        return find(start)
    settings = read(config)
    if settings is None:
        raise ConfigError(f"{config}: there is no table [tool.xcom-lint]")
    return Configuration(settings=settings, folder=config.resolve().parent)


def _baseline_file(given: Path | None, configuration: Configuration, write: bool) -> Path | None:
    if given is not None:
        return given
    if configuration.settings.baseline is not None:
        return configuration.folder / configuration.settings.baseline
    return configuration.folder / _DEFAULT_BASELINE if write else None
