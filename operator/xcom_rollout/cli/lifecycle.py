"""`xbr lifecycle`: a rule that deletes old objects below a prefix, merged with those of others."""

import difflib
import functools
import math
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar
from xml.dom import minidom

import click

from xcom_rollout.api.durations import parse_duration
from xcom_rollout.bucket_lifecycle.bucket import Bucket, BucketError, is_there
from xcom_rollout.bucket_lifecycle.document import DocumentError, Rule, expiry_rule, merged, sooner
from xcom_rollout.cli.options import (
    EXIT_STALLED,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    Target,
    common_options,
)
from xcom_rollout.cli.output import print_json

F = TypeVar("F", bound=Callable[..., Any])
_DAY: Final = 86400


@click.group()
def command() -> None:
    """Delete old objects below a prefix with a lifecycle rule of the bucket. S3 only.

    A bucket has one lifecycle configuration for all its rules, and a write replaces it. These
    commands add one rule and leave every other byte unchanged.

    \b
    Exit codes:
      0  plan: nothing to do; apply: done; verify: the rule is there
      1  plan: there is something to do; apply: refused; verify: the rule is not there
      2  invalid usage
      4  the store could not be reached
    """


def _rule_options(function: F) -> F:
    """Add the options of a rule, and pass its bucket and the rule."""

    @click.option("--bucket", required=True, help="The name of the S3 bucket.")
    @click.option(
        "--prefix", required=True, help="The prefix with a trailing slash, such as xcom/."
    )
    @click.option(
        "--expire-after", required=True, help="The age, such as 168h; rounded up to whole days."
    )
    @click.option(
        "--endpoint-url", help="The endpoint of a store other than AWS. Default: as boto3 finds it."
    )
    @click.option("--region", help="Default: as boto3 finds it.")
    @common_options
    @functools.wraps(function)
    def wrapped(
        target: Target,
        bucket: str,
        prefix: str,
        expire_after: str,
        endpoint_url: str | None,
        region: str | None,
        **rest: Any,
    ) -> Any:
        if "/" in bucket:
            _end(EXIT_USAGE, _not_a_name(bucket))
        try:
            seconds = parse_duration(expire_after).total_seconds()
            own = expiry_rule(prefix, math.ceil(seconds / _DAY))
        except ValueError as problem:
            _end(EXIT_USAGE, str(problem))
        try:
            store = Bucket(bucket, endpoint_url=endpoint_url, region=region)
            return function(target, store, own, **rest)
        except (DocumentError, BucketError) as problem:
            _end(EXIT_UNREACHABLE, str(problem))

    return wrapped  # type: ignore[return-value]  # the same function to click


@command.command()
@_rule_options
def plan(target: Target, store: Bucket, own: Rule) -> None:
    """Show what apply would change, and change nothing."""
    before = store.read()
    after = merged(before, own)
    _warn_sooner(before, own)
    if target.as_json:
        print_json({"change": after != before, "before": before.decode(), "after": after.decode()})
    elif after == before:
        click.echo(f"{store.name}: {own.id} already expires objects after {own.expires_after} days")
    else:
        click.echo(_diff(before, after), nl=False)
    sys.exit(0 if after == before else EXIT_STALLED)


@command.command()
@_rule_options
@click.option(
    "--force", is_flag=True, help="Apply even if another rule deletes these objects sooner."
)
def apply(target: Target, store: Bucket, own: Rule, force: bool) -> None:
    """Add the rule, then read the configuration back and check that all rules are there."""
    before = store.read()
    if _warn_sooner(before, own) and not force:
        _end(EXIT_STALLED, "nothing is written; remove that rule, or use --force")
    if merged(before, own) == before:
        after = before
    else:
        try:
            after = store.apply(before, own)
        except BucketError as problem:
            _end(EXIT_STALLED, str(problem))
    if target.as_json:
        print_json({"change": after != before, "after": after.decode()})
    else:
        done = "written and read back" if after != before else "there already"
        click.echo(f"{store.name}: {own.id}, {own.expires_after} days: {done}")


@command.command()
@_rule_options
def verify(target: Target, store: Bucket, own: Rule) -> None:
    """Report whether the rule is there."""
    document = store.read()
    there = is_there(document, own)
    _warn_sooner(document, own)
    if target.as_json:
        print_json({"there": there})
    else:
        click.echo(
            f"{store.name}: {own.id}, {own.expires_after} days: {'' if there else 'not '}there"
        )
    sys.exit(0 if there else EXIT_STALLED)


def _not_a_name(bucket: str) -> str:
    """The message for a URL or a path given as the bucket."""
    scheme, _, rest = bucket.rpartition("://")
    if scheme in ("", "s3", "s3a", "s3n"):
        name = rest.partition("/")[0].rpartition("@")[2]
        return f"--bucket {bucket!r}: use the name of a bucket, such as {name or 'airflow'}"
    return (
        f"--bucket {bucket!r}: xbr lifecycle is for S3 only; set the rule of a {scheme}:// store "
        "with its provider's tools. docs/lifecycle.md says how long objects are needed"
    )


def _warn_sooner(document: bytes, own: Rule) -> bool:
    found = sooner(document, own)
    for rule in found:
        narrowed = ", some of them" if rule.narrowed else ""
        click.echo(
            f"xbr lifecycle: rule {rule.id!r} deletes objects below {rule.prefix!r}{narrowed} "
            f"after {rule.expires_after} days, sooner than {own.expires_after}",
            err=True,
        )
    return bool(found)


def _diff(before: bytes, after: bytes) -> str:
    """A readable difference; the written document gets no additional line breaks."""
    return "".join(
        difflib.unified_diff(_lines(before), _lines(after), "in the bucket", "planned", n=20)
    )


def _lines(document: bytes) -> list[str]:
    if not document:
        return []
    # Documents with entities have been refused before.
    pretty = minidom.parseString(document).toprettyxml(indent="  ")  # noqa: S318
    return [line + "\n" for line in pretty.splitlines()[1:] if line.strip()]


def _end(code: int, message: str) -> NoReturn:
    click.echo(f"xbr lifecycle: {message}", err=True)
    sys.exit(code)
