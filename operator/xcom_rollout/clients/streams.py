"""Answers that one thread reads and another ends.

If a socket is closed while a thread is inside OpenSSL, which identifies it by the number of its
descriptor, that thread continues to read. Whatever is opened next gets the same number, and the
thread consumes its first bytes: `decryption failed or bad record mac` in the next request of this
process, or a message to another process that arrives empty. So a socket is closed only by its
reader. To end the read it is shut down, by a separate descriptor of the thread that ends it.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Readable(Protocol):
    """An answer that is read from a socket."""

    def fileno(self) -> int:
        """Return the descriptor of the socket."""


class OpenStreams:
    """The answers that threads are reading, which another thread can end. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._ended = False

    @contextmanager
    def reading(self, answer: Readable) -> Iterator[None]:
        """While the block reads from the answer it may be ended: the block then reads its end.

        Raises:
            OSError: it cannot be read from.
        """
        handle = socket.socket(fileno=os.dup(answer.fileno()))
        with handle:
            with self._lock:
                self._open.add(handle)
                if self._ended:
                    _shut_down(handle)
            try:
                yield
            finally:
                with self._lock:
                    self._open.remove(handle)

    def end(self) -> None:
        """End what is being read, and at once whatever is read later."""
        with self._lock:
            self._ended = True
            for handle in self._open:
                _shut_down(handle)


def _shut_down(handle: socket.socket) -> None:
    """End the connection, whatever other descriptors it has, without TLS."""
    with contextlib.suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)
