"""A pipe between two threads of one process, bounded in memory, that counts and hashes."""

from __future__ import annotations

import hashlib
import queue
import threading
from typing import Any

_END = None
_WAIT = 0.5


class Broken(Exception):
    """The other end has gone; its own error says why."""


class Pipe:
    """Bytes in at one end (`write`), the same bytes out at the other (`read`), in order.

    Holds at most `chunks` pieces as large as they were written; a writer waits for the reader.

    Attributes:
        closed: whether the writer has said that this was all.
        count: bytes written so far.
        digest: SHA-256 of them.
    """

    def __init__(self, chunks: int = 8) -> None:
        self._queue: queue.Queue[Any] = queue.Queue(chunks)
        self._rest: memoryview = memoryview(b"")
        self._gone = threading.Event()
        self._ended = False
        self.closed = False
        self.count = 0
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        """Hand over a piece, without a copy: it must not be changed afterwards.

        Raises:
            Broken: the reader is gone.
        """
        view = memoryview(data).cast("B") if not isinstance(data, bytes) else memoryview(data)
        if view.nbytes:
            # Beside the network, on the thread that would otherwise wait for it.
            self.digest.update(view)
            self.count += view.nbytes
            self._put(view)
        return view.nbytes

    def flush(self) -> None:
        """Nothing is held back here."""

    def close(self) -> None:
        """Say that this was all; once more says nothing new."""
        if not self.closed:
            self.closed = True
            self._put(_END)

    def abandon(self) -> None:
        """Say, from either end, that nobody is there any more."""
        self._gone.set()

    def _put(self, item: Any) -> None:
        while True:
            if self._gone.is_set():
                raise Broken
            try:
                self._queue.put(item, timeout=_WAIT)
                return
            except queue.Full:
                continue

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes (all that is still to come if negative); fewer only at the end.

        Raises:
            Broken: the writer is gone before its end.
        """
        pieces = []
        missing = size
        while size < 0 or missing > 0:
            if not self._rest and not self._next():
                break
            piece = self._rest if size < 0 else self._rest[:missing]
            self._rest = self._rest[len(piece) :]
            missing -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def _next(self) -> bool:
        while not self._ended:
            try:
                item = self._queue.get(timeout=_WAIT)
            except queue.Empty:
                if self._gone.is_set():
                    raise Broken from None
                continue
            if item is _END:
                self._ended = True
            else:
                self._rest = item
                return True
        return False
