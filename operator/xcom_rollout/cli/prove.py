"""`xbr prove`: request all proofs and audits again."""

import click

from xcom_rollout.api.names import ANNOTATION_PROVE
from xcom_rollout.cli.options import Target, common_options
from xcom_rollout.cli.output import print_json
from xcom_rollout.cli.session import open_session
from xcom_rollout.stored.rollouts import Raw


@click.command()
@click.argument("name")
@common_options
def command(name: str, target: Target) -> None:
    """Run all proofs and audits of the rollout NAME again, before anything else is delivered.

    For changes that the operator cannot see, such as DAGs from git-sync or rows in the table. What
    is already delivered stays unchanged.
    """
    session = open_session(target)
    person = session.person()
    request = {"by": person.name, "at": f"{person.now:%Y-%m-%dT%H:%M:%SZ}"}

    def asked(raw: Raw) -> dict[str, str]:
        del raw
        return request

    session.change(name, ANNOTATION_PROVE, asked)
    if target.as_json:
        print_json({"name": name, "namespace": session.namespace, "request": request})
    else:
        click.echo(
            f"The proofs and audits of {session.namespace}/{name} are no longer valid; they run "
            f"again before anything is delivered.\nFollow it:  xbr status {name} -n "
            f"{session.namespace} -w"
        )
