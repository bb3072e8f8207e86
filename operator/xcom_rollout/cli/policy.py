"""`xbr policy`: the minimum permissions that blobs below a prefix need."""

import sys

import click

from xcom_dags.blobs.policy import ROLES, least_rights
from xcom_rollout.cli.options import EXIT_USAGE, Target, common_options
from xcom_rollout.cli.output import print_json


@click.command()
@click.argument("base")
@click.option("--role", required=True, type=click.Choice(ROLES), help="Who gets the permissions.")
@click.option("--kms-key-arn", help="The key, with SSE-KMS.")
@common_options
def command(target: Target, base: str, role: str, kms_key_arn: str | None) -> None:
    """Print an IAM policy for blobs below BASE (s3://connection@bucket/prefix). S3 only.

    A producer may write below the prefix and read what it wrote, a consumer may read there.
    Neither may delete or see another prefix.
    """
    del target
    try:
        print_json(least_rights(base, role, kms_key_arn))
    except ValueError as problem:
        click.echo(f"xbr policy: {problem}", err=True)
        sys.exit(EXIT_USAGE)
