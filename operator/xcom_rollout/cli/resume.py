"""`xbr resume`: withdraw a finished kill request."""

import click

from xcom_rollout.api.names import ANNOTATION_KILL
from xcom_rollout.cli.kill_state import concluded
from xcom_rollout.cli.options import EXIT_STALLED, Target, common_options
from xcom_rollout.cli.output import print_json
from xcom_rollout.cli.session import open_session
from xcom_rollout.stored.rollouts import Raw


class Refused(click.ClickException):
    exit_code = EXIT_STALLED


@click.command()
@click.argument("name")
@common_options
def command(name: str, target: Target) -> None:
    """Withdraw the kill request of the rollout NAME after the kill has finished.

    The rollout then starts again, with new proofs and a rehearsal that is still valid.
    """
    session = open_session(target)

    def remove(raw: Raw) -> None:
        check(raw)

    session.change(name, ANNOTATION_KILL, remove)
    if target.as_json:
        print_json({"name": name, "namespace": session.namespace, "resumed": True})
    else:
        click.echo(
            f"The kill request of {session.namespace}/{name} is withdrawn; the rollout starts "
            f"again.\nFollow it:  xbr status {name} -n {session.namespace} -w"
        )


def check(raw: Raw) -> None:
    """Check that there is a kill request that may be withdrawn.

    Raises:
        Refused: there is none, it is declared in the spec, or the kill is still in progress.
    """
    where = f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"
    if (raw["spec"].get("killSwitch") or {}).get("engaged"):
        raise Refused(
            f"spec.killSwitch.engaged of {where} is true: set it to false where the spec is "
            "stored (in Git, if the rollout is applied from there), then apply it"
        )
    if ANNOTATION_KILL not in (raw["metadata"].get("annotations") or {}):
        raise Refused(f"{where} has no kill request: there is nothing to withdraw")
    if not concluded(raw):
        raise Refused(
            f"the kill of {where} has not finished: runs may still hold offloaded values. See: "
            f"xbr status {raw['metadata']['name']} -n {raw['metadata']['namespace']}"
        )
