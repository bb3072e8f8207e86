"""A kubelet's HTTPS endpoint on loopback: logs of pods, and processes run in them.

The API server is asked for both by the operator, and asks here, as it asks a kubelet. It must run
with `API_SERVER_FLAG`: a WebSocket of the operator is then handed on as it is (as to kubelets of
older versions), instead of being translated to SPDY.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from standin.server import Server

API_SERVER_FLAG = "--feature-gates=TranslateStreamCloseWebsocketRequests=false"
PROTOCOL = "v5.channel.k8s.io"
_STDIN, _STDOUT, _STDERR, _ERROR, _CLOSE = 0, 1, 2, 3, 255
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_BINARY, _CLOSE_FRAME = 0x2, 0x8


@dataclass(frozen=True)
class Ran:
    """What a process printed, and how it ended."""

    stdout: str
    stderr: str = ""
    code: int = 0


Logs = Callable[[str, str], str | None]
"""(namespace, pod) -> log."""
Execute = Callable[[str, str, list[str], bytes], Ran]
"""(namespace, pod, command, stdin) -> what came of it."""


def run_here(command: Sequence[str], env: Mapping[str, str], stdin: bytes) -> Ran:
    """Run a process of this machine in place of one in a container."""
    done = subprocess.run(
        command, input=stdin, env=env, capture_output=True, check=False, timeout=120
    )
    return Ran(done.stdout.decode(), done.stderr.decode(), done.returncode)


@dataclass(frozen=True)
class _Pods:
    logs: Logs
    execute: Execute


class Kubelet:
    """Serves while the block of this context manager runs."""

    def __init__(self, certificate: Path, key: Path, logs: Logs, execute: Execute) -> None:
        handler = type("Handler", (_Handler,), {"pods": _Pods(logs, execute)})
        self._server = Server(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        # The handshake is left to the connection's own thread.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    def __enter__(self) -> Kubelet:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    pods: ClassVar[_Pods]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        verb, *rest = url.path.strip("/").split("/")
        if verb == "containerLogs" and len(rest) == 3:
            self._log(rest[0], rest[1])
        elif verb == "exec" and len(rest) == 3:
            self._exec(rest[0], rest[1], parse_qs(url.query).get("command", []))
        else:
            self._answer(404, f"no such path: {url.path}")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is inherited
        """Say nothing."""

    def _log(self, namespace: str, pod: str) -> None:
        text = self.pods.logs(namespace, pod)
        self._answer(404 if text is None else 200, text or f"no log of {pod}")

    def _answer(self, code: int, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _exec(self, namespace: str, pod: str, command: list[str]) -> None:
        key = self.headers.get("Sec-WebSocket-Key")
        offered = self.headers.get("Sec-WebSocket-Protocol", "")
        if not key or PROTOCOL not in offered:
            self._answer(400, f"expected a WebSocket with {PROTOCOL}, was offered {offered!r}")
            return
        accept = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest())  # noqa: S324
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept.decode())
        self.send_header("Sec-WebSocket-Protocol", PROTOCOL)
        self.end_headers()
        self.close_connection = True
        stdin = self._read_stdin()
        ran = self.pods.execute(namespace, pod, command, stdin)
        for channel, text in ((_STDOUT, ran.stdout), (_STDERR, ran.stderr)):
            if text:
                self._send(_BINARY, bytes([channel]) + text.encode())
        self._send(_BINARY, bytes([_ERROR]) + json.dumps(_status(ran.code)).encode())
        self._send(_CLOSE_FRAME, struct.pack("!H", 1000))
        # A socket that is closed with something unread in it is reset, and what was sent last may
        # be lost on its way. So the peer's own close is read first.
        with contextlib.suppress(ConnectionError, TimeoutError):
            while True:
                self._message()

    def _read_stdin(self) -> bytes:
        """Return what comes on channel 0 until it is closed."""
        read = bytearray()
        while True:
            message = self._message()
            if message[:2] == bytes([_CLOSE, _STDIN]):
                return bytes(read)
            if message[:1] == bytes([_STDIN]):
                read += message[1:]

    def _message(self) -> bytes:
        """Return the next data message, put together from its frames.

        Raises:
            ConnectionError: the peer closed the connection.
        """
        whole = bytearray()
        while True:
            first, second = self._exactly(2)
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", self._exactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self._exactly(8))
            mask = self._exactly(4) if second & 0x80 else bytes(4)
            payload = self._exactly(length)
            if first & 0x0F == _CLOSE_FRAME:
                raise ConnectionError("the WebSocket was closed by the client")
            if first & 0x08:  # ping or pong
                continue
            repeated = (mask * (length // 4 + 1))[:length]
            plain = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
            whole += plain.to_bytes(length, "big")
            if first & 0x80:
                return bytes(whole)

    def _exactly(self, size: int) -> bytes:
        read = self.rfile.read(size)
        if len(read) != size:
            raise ConnectionError("the connection ended within a frame")
        return read

    def _send(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", 0x80 | opcode, 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 127, size)
        self.wfile.write(head + payload)


def _status(code: int) -> dict[str, Any]:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with exit code {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
