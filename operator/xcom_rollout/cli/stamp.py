"""`xbr stamp`: write the build stamp into a DAG folder."""

import sys
from pathlib import Path

import click

from xcom_dags.provenance import SHA_FIELD
from xcom_dags.stamp import write_stamp
from xcom_rollout.cli.options import EXIT_USAGE, Target, common_options
from xcom_rollout.cli.output import print_json


@click.command()
@click.option("--sha", required=True, help="The full commit that the DAGs were copied from.")
@click.option(
    "--dags",
    default=".",
    show_default=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The DAG folder.",
)
@click.option(
    "--field",
    default=SHA_FIELD,
    show_default=True,
    help="Name of the field for the commit in the file.",
)
@common_options
def command(target: Target, sha: str, dags: Path, field: str) -> None:
    """Write .dag_build_info.json, which records the build of the DAGs of a folder.

    For the workflow that copies DAGs to where Airflow reads them. The file is replaced in one
    step. Exit code 2: the commit or the field is malformed, or the folder cannot be
    written.
    """
    try:
        path = write_stamp(dags, sha, field)
    except (ValueError, OSError) as problem:
        click.echo(f"xbr stamp: {problem}", err=True)
        sys.exit(EXIT_USAGE)
    if target.as_json:
        print_json({"path": str(path)})
    else:
        click.echo(f"{path}: {sha[:7]}")
