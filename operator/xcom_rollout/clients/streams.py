"""Connections that one thread reads and another ends, closed only when nobody is in them any more.

A socket that is closed while a thread is inside OpenSSL, which knows it by the number of its
descriptor, is read on by that thread. Whatever is opened next gets the same number, and the thread
eats its first bytes: `decryption failed or bad record mac` in the next request of this process, or
a message to another process that arrives empty. So such a socket is shut down, which ends the read,
and closed by who has read from it.

httpx2 2.16 closes a WebSocket under the thread that it left behind to read it.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx2

if TYPE_CHECKING:
    from httpcore2 import NetworkStream

_STREAM: Final = "network_stream"


class OrderlyStream:
    """A stream whose `close` first ends what other threads do with it."""

    def __init__(self, stream: "NetworkStream") -> None:
        self._stream = stream
        self._reading, self._writing = threading.Lock(), threading.Lock()
        self._closed = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has come; nothing where the stream ended or was closed."""
        with self._reading:
            return b"" if self._closed else self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it."""
        with self._writing:
            self._stream.write(buffer, timeout)

    def close(self) -> None:
        """End the connection, wait until nobody uses it, then give the descriptor back."""
        self._closed = True
        _shut_down(self._stream)
        with self._reading, self._writing:
            self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        """Return what the stream says of itself."""
        return self._stream.get_extra_info(info)


def close_orderly(response: httpx2.Response) -> None:
    """Let the WebSocket that begins with this response have an orderly stream; a response hook."""
    if response.status_code == httpx2.codes.SWITCHING_PROTOCOLS:
        response.extensions[_STREAM] = OrderlyStream(response.extensions[_STREAM])


class OpenStreams:
    """The answers that threads are reading, which another thread can end. Safe for use by all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[NetworkStream] = []
        self._ended = False

    @contextmanager
    def reading(self, response: httpx2.Response) -> Iterator[None]:
        """While the block reads from the response it may be ended: `httpx2.HTTPError` there."""
        stream: NetworkStream = response.extensions[_STREAM]
        with self._lock:
            self._open.append(stream)
            if self._ended:
                _shut_down(stream)
        try:
            yield
        finally:
            with self._lock:
                self._open.remove(stream)

    def end(self) -> None:
        """End what is read now, and at once whatever is read later."""
        with self._lock:
            self._ended = True
            for stream in self._open:
                _shut_down(stream)


def _shut_down(stream: "NetworkStream") -> None:
    with contextlib.suppress(OSError):
        # Not that of SSLSocket, which takes the TLS state away from who reads.
        socket.socket.shutdown(stream.get_extra_info("socket"), socket.SHUT_RDWR)
