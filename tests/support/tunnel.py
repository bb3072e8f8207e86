"""A proxy on loopback that makes tunnels, and records where to and by whom they were asked for."""

from __future__ import annotations

import contextlib
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from standin.server import Server

LOGIN = "me:it@home"
_ENCODED = "me:it%40home"


@dataclass
class Tunnels:
    """What a proxy was asked for.

    Attributes:
        url: of the proxy, with the login that it wants.
        to: `HOST:PORT` of each tunnel that it made.
    """

    url: str = ""
    to: list[str] = field(default_factory=list)


@contextmanager
def tunnels() -> Iterator[Tunnels]:
    """A proxy that runs while the block does."""
    made = Tunnels()
    server = Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"made": made}))
    made.url = f"http://{_ENCODED}@127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    made: Tunnels

    def log_message(self, *_: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        if self.headers.get("Proxy-Authorization") != f"Basic {b64encode(LOGIN.encode()).decode()}":
            self.send_error(407)
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as there:
            self.made.to.append(self.path)
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pass, args=(there, self.connection), daemon=True)
            back.start()
            _pass(self.connection, there)
            back.join()
        self.close_connection = True


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
