"""A real HTTP server on loopback that misbehaves as it is asked to, per path and n-th request."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from standin.server import Server


@dataclass(frozen=True)
class Reply:
    """How one request is answered.

    Attributes:
        status: HTTP status.
        body: text, or what is sent as JSON.
        headers: further ones.
        after: seconds until the answer begins; a client with a shorter time limit gives up.
        cut: the connection ends after half of the body; without a body, before a status.
        trickle: seconds between two bytes of the body.
    """

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    after: float = 0.0
    cut: bool = False
    trickle: float = 0.0


def redirect(location: str, status: int = 302) -> Reply:
    """Return an answer that points to another place."""
    return Reply(status, "", {"Location": location})


@dataclass(frozen=True)
class Received:
    """A request as it came in."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: str


class NastyServer:
    """A context manager; answers while its block runs. Safe for use by several threads.

    `answer(path, ...)` lays down the replies to the requests of a path, one after the other; the
    last one stays. A path that nobody laid down is answered with 404.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self._replies: dict[tuple[str, str], tuple[Reply, ...]] = {}
        self._seen: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        handler = type("Handler", (_Handler,), {"nasty": self})
        self._server = Server(("127.0.0.1", 0), handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, *replies: Reply, method: str = "") -> None:
        """Lay down the replies to a path; to one method only where it is named."""
        with self._lock:
            self._replies[method, path] = replies
            self._seen[method, path] = 0

    def reply_to(self, request: Received) -> Reply:
        """Return the next reply to this request, and keep the request."""
        with self._lock:
            self.received.append(request)
            for key in ((request.method, request.path), ("", request.path)):
                if replies := self._replies.get(key):
                    number = min(self._seen[key], len(replies) - 1)
                    self._seen[key] += 1
                    return replies[number]
        return Reply(404, {"detail": "Not Found"})

    def asked(self, path: str = "") -> list[Received]:
        """Return the requests of a path, or all, without those for the version."""
        with self._lock:
            return [
                request
                for request in self.received
                if not request.path.endswith("/version") and path in ("", request.path)
            ]

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than the block runs."""
        self._ended.wait(seconds)


class _Handler(BaseHTTPRequestHandler):
    nasty: NastyServer

    def log_message(self, *_: object) -> None:
        pass

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        url = urlsplit(self.path)
        request = Received(self.command, url.path, url.query, dict(self.headers.items()), body)
        reply = self.nasty.reply_to(request)
        if reply.after:
            self.nasty.wait(reply.after)
        text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        content = text.encode()
        if reply.cut and not content:
            self._cut()
            return
        try:
            self.send_response_only(reply.status)
            self.send_header("Date", reply.headers.get("Date") or self.date_time_string())
            for name, value in reply.headers.items():
                if name != "Date":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if reply.trickle:
                self._trickle(content, reply.trickle)
            else:
                self.wfile.write(content[: len(content) // 2] if reply.cut else content)
        except ConnectionError:
            return  # the client gave up
        if reply.cut:
            self._cut()

    def _trickle(self, content: bytes, pause: float) -> None:
        for byte in content:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            self.nasty.wait(pause)

    def _cut(self) -> None:
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    do_DELETE = do_GET = do_PATCH = do_POST = _handle  # noqa: N815 - names of the base class
