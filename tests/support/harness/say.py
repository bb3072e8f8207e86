"""What the harness prints for the person who waits: one line per step, with seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(message: str) -> None:
    """Print one line to standard error; standard output is kept for answers."""
    print(f"[harness] {message}", file=sys.stderr, flush=True)


@contextmanager
def step(message: str) -> Iterator[None]:
    """Say `message`, and when the block ends how many seconds it took and whether it failed."""
    say(f"{message} ...")
    begin = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"{message}: FAILED after {time.monotonic() - begin:.1f} s")
        raise
    say(f"{message}: {time.monotonic() - begin:.1f} s")
