"""Something between the probe and a server that a test can hold still."""

from __future__ import annotations

import socket
import threading


class Gate:
    """A TCP forwarder on loopback that holds back a request once it has seen a certain text."""

    def __init__(self, target: str, text: bytes) -> None:
        """Forward to `target` (host:port); the first request that holds `text` waits for `open`."""
        host, _, port = target.partition(":")
        self._target = (host, int(port))
        self._text = text
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open = threading.Event()
        self.seen = threading.Event()
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def open(self) -> None:
        """Let everything through from now on."""
        self._open.set()

    def close(self) -> None:
        """Stop accepting connections."""
        self._open.set()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            upstream = socket.create_connection(self._target)
            for source, sink, held in ((client, upstream, True), (upstream, client, False)):
                threading.Thread(target=self._pump, args=(source, sink, held), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, held: bool) -> None:
        try:
            while data := source.recv(65536):
                if held and self._text in data and not self._open.is_set():
                    self.seen.set()
                    self._open.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            # One side went away: so does the other.
            source.close()
            sink.close()
