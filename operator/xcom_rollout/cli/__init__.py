"""`xbr`, also `kubectl xbr`: the commands for rollouts, one file for each verb.

Exit codes: 0 done, ready; 1 stalled, blocked or refused; 2 invalid usage or an invalid spec; 3 in
progress; 4 the cluster could not be reached, or the named object does not exist.
"""

import importlib
from typing import Final

import click

from xcom_rollout import __version__
from xcom_rollout.cli.options import Target, common_options, remember

_VERBS: Final = {
    "attest": "Record a rehearsal of the kill-switch.",
    "audit": "List the tasks whose values the object storage backend fails on or changes.",
    "check": "Report what is supported in an installed release, and what must change first.",
    "crd": "Print the CustomResourceDefinition.",
    "kill": "Engage the kill-switch, which reverts the rollout, or show what it would do.",
    "lifecycle": "Delete old objects below a prefix with a lifecycle rule of the bucket.",
    "lint": "Check DAG files against the reviewer's rules.",
    "plan": "Show what the operator would do next, and why, without doing it.",
    "policy": "Print the minimum permissions that blobs below a prefix need.",
    "provenance": "Report which build the pods of a release have loaded.",
    "prove": "Run all proofs and audits again.",
    "resume": "Withdraw a finished kill request, so that the rollout starts again.",
    "stamp": "Write the build stamp into a DAG folder.",
    "status": "Show the status of a rollout.",
    "vendor": "Write the provenance helpers as one file of a DAG repository.",
}


class _Verbs(click.Group):
    """Imports a verb when it is used: `xbr --help` needs no cluster client."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _VERBS:
            return None
        command = importlib.import_module(f"xcom_rollout.cli.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101  a file of this package
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))


@click.command(
    cls=_Verbs,
    name="xbr",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="xbr")
@common_options
@click.pass_context
def main(ctx: click.Context, target: Target) -> None:
    """Change the XCom backend of an Airflow release in proven steps, and revert it on request.

    \b
    Exit codes:
      0  done; for status: ready
      1  stalled, blocked or refused
      2  invalid usage, or an invalid spec
      3  in progress
      4  the cluster could not be reached, or the named object does not exist
    """
    remember(ctx, target)
