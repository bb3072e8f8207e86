"""The connection of a WebSocket, closed only when no other thread is in it any more.

httpx2 2.16 reads a WebSocket in a thread that it leaves behind at the end: the socket is closed
while that thread is inside OpenSSL, which knows it by the number of its descriptor. The next
connection gets the same number, and the thread eats the first bytes of it: `decryption failed or
bad record mac` there, in whatever request of this process comes next.
"""

import contextlib
import socket
import threading
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
        with contextlib.suppress(OSError):
            # Not that of SSLSocket, which takes the TLS state away from who reads.
            socket.socket.shutdown(self._stream.get_extra_info("socket"), socket.SHUT_RDWR)
        with self._reading, self._writing:
            self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        """Return what the stream says of itself."""
        return self._stream.get_extra_info(info)


def close_orderly(response: httpx2.Response) -> None:
    """Let the WebSocket that begins with this response have an orderly stream; a response hook."""
    if response.status_code == httpx2.codes.SWITCHING_PROTOCOLS:
        response.extensions[_STREAM] = OrderlyStream(response.extensions[_STREAM])
