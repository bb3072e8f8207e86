"""A connection to a real server that breaks off where a test wants it to."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_PIECE = 65536


class Cutter:
    """Passes bytes on, both ways; breaks an answer off while there are cuts left to make.

    Attributes:
        endpoint: the URL to use in place of the server's.
        made: cuts made so far.
    """

    def __init__(self, server: str, after: int) -> None:
        """Take connections for `server`, a URL.

        Args:
            after: bytes of one connection's answers that pass before a cut.
        """
        there = urlsplit(server)
        self._there = (str(there.hostname), int(there.port or 80))
        self._after = after
        self._left = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.made = 0

    def cut(self, times: int) -> None:
        """Break off the next `times` answers that are long enough."""
        self._left = times

    def serve(self) -> None:
        """Until `close`."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._there)
            for source, sink, answers in ((client, server, False), (server, client, True)):
                threading.Thread(
                    target=self._pass, args=(source, sink, answers), daemon=True
                ).start()

    def close(self) -> None:
        """Stop taking connections."""
        # Closing alone does not wake the thread that waits for the next one.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _pass(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                passed += len(piece)
                if answers and passed > self._after and self._take():
                    break
                sink.sendall(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _take(self) -> bool:
        with self._lock:
            if not self._left:
                return False
            self._left -= 1
            self.made += 1
            return True


@contextmanager
def cutter(server: str, after: int) -> Iterator[Cutter]:
    """A `Cutter` that runs."""
    made = Cutter(server, after)
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join()
