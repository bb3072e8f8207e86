"""SIGTERM: the process ends at once, but never while a write is on its way.

A PUT whose request was sent arrives even if the program stops waiting for it: in a thread of
fsspec, or in the store itself. A cleanup at that time would look too early. So SIGTERM waits for
the answer to a write; the time-outs of the S3 client bound the wait.
"""

from __future__ import annotations

import signal
from typing import Any

from xcom_probe.model import Interrupted

_asked: list[bool] = []
_depth: list[None] = []


def listen() -> None:
    """Let SIGTERM raise `Interrupted` in the main thread."""
    signal.signal(signal.SIGTERM, _on_sigterm)


def ignore() -> None:
    """Ignore SIGTERM from now on."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


class held:  # noqa: N801 - reads as a word: `with ending.held():`
    """A block that SIGTERM does not interrupt; `Interrupted` is raised at its end instead.

    Raises:
        Interrupted: SIGTERM came meanwhile, and the block raised nothing itself.
    """

    def __enter__(self) -> None:
        _depth.append(None)

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        _depth.pop()
        if _asked and not _depth and kind is None:
            raise Interrupted


def _on_sigterm(*_: object) -> None:
    ignore()
    _asked.append(True)
    if not _depth:
        raise Interrupted
