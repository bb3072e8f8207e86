"""`xbr status`: the state of a rollout."""

import click

from xcom_rollout.cli.follow import follow
from xcom_rollout.cli.options import EXIT_GOING_ON, Target, common_options
from xcom_rollout.cli.output import echo_lines, print_json, utc_now
from xcom_rollout.cli.session import open_session
from xcom_rollout.cli.story import exit_code, render
from xcom_rollout.stored.rollouts import Raw


@click.command()
@click.argument("name")
@click.option("-w", "--watch", is_flag=True, help="Print each change until ready or stalled.")
@common_options
@click.pass_context
def command(ctx: click.Context, name: str, watch: bool, target: Target) -> None:
    """Show the status of the rollout NAME: conditions, proofs, rehearsal, runs, kill-switch.

    Exits with 0 when it is ready, 1 when it is stalled, 3 when it is in progress.
    """
    session = open_session(target)
    if not watch:
        raw = session.get(name)
        _show(raw, target)
        ctx.exit(exit_code(raw))
    raw = follow(
        session, name, lambda seen: exit_code(seen) != EXIT_GOING_ON, as_json=target.as_json
    )
    if not target.as_json:
        click.echo()
        _show(raw, target)
    ctx.exit(exit_code(raw))


def _show(raw: Raw, target: Target) -> None:
    if target.as_json:
        print_json(raw.get("status") or {})
    else:
        echo_lines(render(raw, utc_now()))
