"""Watching a rollout, a line for each change."""

import json
import time
from collections.abc import Callable

import click

from xcom_rollout.cli.session import Session, Unreachable
from xcom_rollout.cli.story import progress
from xcom_rollout.rollouts import Raw


def follow(
    session: Session, name: str, done: Callable[[Raw], bool], *, as_json: bool = False
) -> Raw:
    """Print a line, with the seconds since the start, for each change until `done`.

    With `as_json` each line is a JSON object with `seconds` and `status`. Returns the rollout as
    seen last.
    """
    started = time.monotonic()
    shown = ""
    for raw in session.watch(name):
        line = json.dumps(raw.get("status") or {}) if as_json else progress(raw)
        if line != shown:
            shown = line
            seconds = round(time.monotonic() - started, 1)
            if as_json:
                click.echo(json.dumps({"seconds": seconds, "status": raw.get("status") or {}}))
            else:
                click.echo(f"{seconds:7.1f} s  {line}")
        if done(raw):
            return raw
    raise Unreachable(f"the watch of {session.namespace}/{name} ended")
