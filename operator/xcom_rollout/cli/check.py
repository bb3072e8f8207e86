"""`xbr check`: what of an installed release is supported, and a rollout to start from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
from pydantic import TypeAdapter, ValidationError

from xcom_rollout.api.v1alpha1 import ReleaseName, ValuesPath
from xcom_rollout.cli.options import (
    EXIT_DONE,
    EXIT_STALLED,
    EXIT_UNREACHABLE,
    Target,
    common_options,
)
from xcom_rollout.cli.output import echo_lines, print_json, table, utc_now, wrapped
from xcom_rollout.cli.session import Session, Unreachable, open_session
from xcom_rollout.cli.starting import to_yaml
from xcom_rollout.decide.check import Group, Installed, Row, Verdict, judge, verdict_of
from xcom_rollout.decide.check.starting import Start, comments, manifest
from xcom_rollout.decide.check.web import web_of
from xcom_rollout.decide.situation import some

_EXIT: Final = {
    Verdict.SUPPORTED: EXIT_DONE,
    Verdict.CHANGE: EXIT_STALLED,
    Verdict.UNKNOWN: EXIT_UNREACHABLE,
}
_HEAD: Final = (
    "Made by xbr check from the Helm release. Fill in what is marked so, then: kubectl xbr plan -f "
    "FILE."
)
_TAKEN: Final = (
    "Do not apply it as it is: the rollout {} is of this release already, and one of the same name "
    "would be changed."
)


@click.command()
@click.argument("release")
@click.option(
    "--values-path",
    help="Where Airflow's chart is a dependency: the key of its values, if it is not found.",
)
@click.option(
    "--write",
    "file",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Write a rollout to start from; - for the output, with nothing else.",
)
@click.option("--force", is_flag=True, help="Let --write replace a file.")
@common_options
@click.pass_context
def command(
    ctx: click.Context,
    release: str,
    values_path: str | None,
    file: str | None,
    force: bool,
    target: Target,
) -> None:
    """Say what of the Helm release RELEASE is supported, and what must change first.

    Nothing is changed, no Job is made and no rollout is needed. What only a look into the pods can
    tell is listed as told later.

    Exits with 1 when something must change first, with 4 when there is no such release or not
    enough of it may be read.
    """
    _check("RELEASE", release, ReleaseName)
    if values_path is not None:
        _check("--values-path", values_path, ValuesPath)
    if force and file is None:
        raise click.UsageError("--force goes with --write FILE")
    path = None if file in (None, "-") else Path(str(file))
    if path is not None and not force:
        _refuse_existing(path)
    installed = _look(open_session(target), release, values_path)
    rows = judge(installed, utc_now())
    if file == "-":
        click.echo(starting_text(installed, values_path), nl=False)
    elif target.as_json:
        print_json(as_data(installed, rows))
    else:
        echo_lines(tell(installed, rows))
    if path is not None:
        _write(path, starting_text(installed, values_path))
    ctx.exit(_EXIT[verdict_of(rows)])


def _check(what: str, value: str, kind: Any) -> None:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        words = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise click.UsageError(f"{what}: {words}") from error


def _refuse_existing(path: Path) -> None:
    try:
        found = path.exists()
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror}") from error
    if found:
        raise click.UsageError(f"{path} exists: name another file, or replace it with --force")


def _look(session: Session, release: str, values_path: str | None) -> Installed:
    from xcom_rollout.observe.installed import look_at_release

    installed = session.look(
        f"look at the release {release}",
        lambda world: look_at_release(world, session.namespace, release, values_path),
    )
    if installed.observed.release_missing:
        raise Unreachable(installed.observed.release_missing)
    return installed


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror}") from error
    click.echo(f"Wrote {path}. Fill it in, then: kubectl xbr plan -f {path}", err=True)


def starting_text(installed: Installed, values_path: str | None) -> str:
    """Return a rollout for the release as YAML, with what a person has to fill in.

    Raises:
        Unreachable: the release could not be read, so its chart is not known.
    """
    release = installed.observed.release
    if release is None:
        raise Unreachable(
            "no rollout can be written: the chart of the release is not known without the right to "
            "list and get secrets"
        )
    start = Start(
        installed.release,
        installed.namespace,
        release.chart_name,
        release.chart_version,
        values_path,
        web_of(installed),
    )
    rivals = [rival.name for rival in installed.observed.rivals]
    head = f"{_HEAD} {_TAKEN.format(some(rivals))}" if rivals else _HEAD
    return to_yaml(manifest(start), comments(start), head=head)


def tell(installed: Installed, rows: Sequence[Row]) -> list[str]:
    """Return the rows in words."""
    lines = [
        f"Release {installed.release} in namespace {installed.namespace}, seen with your rights. "
        "Nothing is changed."
    ]
    for group in Group:
        of_group = [row for row in rows if row.group is group]
        if of_group:
            lines += ["", str(group), *table([(row.subject, _words(row)) for row in of_group])]
    return [*lines, "", *wrapped(_last(installed, rows), 90)]


def _words(row: Row) -> str:
    reason = f" ({row.reason})" if row.reason and row.group is Group.CHANGE else ""
    return f"{row.found}{reason}" + (f". To do: {row.remedy}" if row.remedy else "")


def _last(installed: Installed, rows: Sequence[Row]) -> str:
    count = sum(row.group is Group.CHANGE for row in rows)
    match verdict_of(rows):
        case Verdict.CHANGE:
            return f"Not yet: {count} {'thing' if count == 1 else 'things'} must change first."
        case Verdict.UNKNOWN:
            return (
                "Not known: nothing that could be read stands in the way, and not all could. Ask "
                "again with the rights that are named."
            )
        case Verdict.SUPPORTED:
            return (
                "Supported, as far as configuration tells. Next: kubectl xbr check "
                f"{installed.release} -n {installed.namespace} --write rollout.yaml"
            )


def as_data(installed: Installed, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the rows as plain JSON data."""
    return {
        "release": installed.release,
        "namespace": installed.namespace,
        "verdict": str(verdict_of(rows)),
        "rows": [
            {
                "group": str(row.group),
                "subject": row.subject,
                "found": row.found,
                "reason": row.reason or None,
                "remedy": row.remedy or None,
            }
            for row in rows
        ],
    }
