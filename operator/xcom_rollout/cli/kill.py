"""`xbr kill`: the way back."""

import json
import time
from collections.abc import Callable
from typing import Any, Final

import click

from xcom_rollout.api.names import ANNOTATION_KILL, Condition
from xcom_rollout.cli.follow import follow
from xcom_rollout.cli.options import EXIT_DONE, EXIT_STALLED, Target, common_options
from xcom_rollout.cli.output import ago, echo_lines, print_json, read_time, utc_now, wrapped
from xcom_rollout.cli.session import open_session
from xcom_rollout.cli.story import condition, tell
from xcom_rollout.rollouts import Raw

PATIENCE: Final = 30.0
"""Seconds for which a kill may stand still while it is waited for."""


@click.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why; kept with the request and in the history.")
@click.option(
    "--wait", is_flag=True, help="Follow it until it has finished, or is stalled for half a minute."
)
@common_options
@click.pass_context
def command(ctx: click.Context, name: str, reason: str, wait: bool, target: Target) -> None:
    """Engage the kill-switch of the rollout NAME.

    The operator delivers the database backend, ends what could still write an offloaded value,
    clears exactly the runs in flight that hold offloaded values, and sees them succeed. Legal at
    any time; once begun it is carried to its end.
    """
    if not reason.strip():
        raise click.UsageError("--reason is empty: say why, for those who read it later")
    session = open_session(target)
    person = session.person()
    raw = session.get(name)
    present = _request(raw)
    request = {
        "by": person.name,
        "at": f"{person.now:%Y-%m-%dT%H:%M:%SZ}",
        "reason": reason.strip(),
    }
    if present is None:
        raw = session.change(name, ANNOTATION_KILL, lambda _: request)
    if not target.as_json:
        _explain(raw, present, person.name, reason)
    elif not wait:
        print_json(
            {
                "name": name,
                "namespace": session.namespace,
                "engaged": present is None,
                "request": present or request,
            }
        )
    if not wait:
        return
    last = follow(session, name, Patience(), as_json=target.as_json)
    if not target.as_json:
        click.echo()
        echo_lines(tell(last, utc_now()))
    ctx.exit(EXIT_DONE if finished(last) else EXIT_STALLED)


def finished(raw: Raw) -> bool:
    """Whether the kill that is asked for now has come to its end."""
    kill = (raw.get("status") or {}).get("killSwitch") or {}
    if not kill.get("finishedAt"):
        return False
    asked = (_request(raw) or {}).get("at")
    # A kill that finished before this request was made belongs to an earlier one.
    return not asked or read_time(kill["finishedAt"]) >= read_time(str(asked))


class Patience:
    """Says whether a kill that is looked at again and again is over, or will not end by itself.

    The operator goes on by itself after much that stalls it, such as an answer of Airflow's API
    that came too late. What lasts needs a person.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is seen yet; `clock` gives seconds."""
        self._clock = clock
        self._since: float | None = None

    def __call__(self, raw: Raw) -> bool:
        """Whether it has finished, or was seen stalled for `PATIENCE` without a break."""
        if finished(raw):
            return True
        if not stalled(raw):
            self._since = None
            return False
        now = self._clock()
        if self._since is None:
            self._since = now
        return now - self._since >= PATIENCE


def stalled(raw: Raw) -> bool:
    """Whether it stands still within the kill."""
    # The operator shows this condition from the moment on at which it has seen the request.
    seen = bool(condition(raw, Condition.REVERTED))
    return seen and condition(raw, Condition.STALLED).get("status") == "True"


def _request(raw: Raw) -> dict[str, Any] | None:
    text = (raw["metadata"].get("annotations") or {}).get(ANNOTATION_KILL)
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return {"reason": text}
    return value if isinstance(value, dict) else {"reason": text}


def _explain(raw: Raw, present: dict[str, Any] | None, by: str, reason: str) -> None:
    metadata, status = raw["metadata"], raw.get("status") or {}
    where = f"{metadata['namespace']}/{metadata['name']}"
    if present is not None:
        click.echo(
            f"The kill-switch of {where} is engaged already, by {present.get('by', 'unknown')}: "
            f"{present.get('reason', 'no reason given')}"
        )
        return
    runs = status.get("offloadedRuns")
    count = (
        f"{runs['count']} at the last count, {ago(runs.get('takenAt'), utc_now())}"
        if runs
        else "not counted yet"
    )
    release = raw["spec"]["airflow"]["release"]
    steps = (
        "pause the DAGs that have runs in flight;",
        f"deliver the database backend to the Helm release {release};",
        f"find the runs in flight that hold offloaded values ({count});",
        "stop exactly those, see their task pods gone, and clear them: they run again;",
        "let older tasks of other runs end, look again, and unpause each DAG as it is safe;",
        "see in the database that the re-runs hold inline values only.",
    )
    click.echo(f"The kill-switch of {where} is engaged by {by}: {reason}")
    click.echo("The operator will now")
    for number, step in enumerate(steps, 1):
        first, *rest = wrapped(step, 92)
        click.echo(f"  {number}. {first}")
        for line in rest:
            click.echo(f"     {line}")
    click.echo(f"Follow it:  xbr status {metadata['name']} -n {metadata['namespace']} -w")
