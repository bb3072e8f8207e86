"""Watching a rollout, a line for each change."""

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator

import click

from xcom_rollout.cli.session import Session, Unreachable
from xcom_rollout.cli.story import progress
from xcom_rollout.stored.rollouts import Raw


def follow(
    session: Session, name: str, done: Callable[[Raw], bool], *, as_json: bool = False
) -> Raw:
    """Print a line, with the seconds since the start, for each change until `done`.

    `done` is called after each change, and each second. With `as_json` each line is a JSON object
    with `seconds` and `status`. Returns the rollout as last seen.
    """
    started = time.monotonic()
    shown = ""
    for raw in ticking(session.watch(name), 1.0):
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


def ticking(changes: Iterator[Raw], seconds: float) -> Iterator[Raw]:
    """Yield each change, and the last one again whenever there was none for so many seconds.

    Errors of `changes` are raised here.
    """
    arrived: queue.SimpleQueue[Raw | Exception | None] = queue.SimpleQueue()

    def read() -> None:
        try:
            for change in changes:
                arrived.put(change)
            arrived.put(None)
        except Exception as problem:  # noqa: BLE001 - it is raised where the change is awaited
            arrived.put(problem)

    # The watch cannot be interrupted; it ends with the program.
    threading.Thread(target=read, daemon=True).start()
    last: Raw | None = None
    while True:
        try:
            item = arrived.get(timeout=seconds)
        except queue.Empty:
            if last is not None:
                yield last
            continue
        if item is None:
            return
        if isinstance(item, Exception):
            raise item
        last = item
        yield item
