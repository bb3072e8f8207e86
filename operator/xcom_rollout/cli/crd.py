"""`xbr crd`: the CustomResourceDefinition of this version."""

import click

from xcom_rollout.api.crd import custom_resource_definition, render_crd
from xcom_rollout.cli.options import Target, common_options
from xcom_rollout.cli.output import print_json


@click.command()
@common_options
def command(target: Target) -> None:
    """Print the CustomResourceDefinition, for: kubectl apply --server-side -f -"""
    if target.as_json:
        print_json(custom_resource_definition())
    else:
        click.echo(render_crd(), nl=False)
