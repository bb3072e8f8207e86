"""A process in a pod is fed, read and given up as it should, whatever the other side does."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from xcom_rollout.clients.errors import KubeError
from xcom_rollout.clients.pod_process import Printed, ProcessRefused, Trust, run_process

SUCCESS = {"status": "Success"}
FAILED = {
    "status": "Failure",
    "reason": "NonZeroExitCode",
    "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
}
ABSENT = {"status": "Failure", "reason": "InternalError", "message": "container not found (a)"}
V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"


class Peer:
    """The other side of a WebSocket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._read = connection.makefile("rb")
        self.head = b"".join(iter(self._read.readline, b"\r\n")).decode()

    def accept(self, protocol: str = V5) -> None:
        """Agree to a WebSocket."""
        key = next(
            line.partition(": ")[2]
            for line in self.head.split("\r\n")
            if "Sec-WebSocket-Key" in line
        )
        digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()  # noqa: S324
        lines = (
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}",
            f"Sec-WebSocket-Protocol: {protocol}",
        )
        self._socket.sendall("\r\n".join((*lines, "", "")).encode())

    def refuse(self, status: int, body: bytes) -> None:
        head = f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)

    def message(self) -> bytes:
        """Return the next message."""
        _, length = self._read.read(2)
        length &= 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self._read.read(2))
        mask, payload = self._read.read(4), self._read.read(length)
        return bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))

    def send(self, channel: int, text: bytes) -> None:
        payload = bytes((channel,)) + text
        self._socket.sendall(struct.pack("!BBH", 0x82, 126, len(payload)) + payload)

    def end(self, status: object) -> None:
        self.send(3, json.dumps(status).encode())


@contextmanager
def peer(does: Callable[[Peer], object]) -> Iterator[str]:
    """Yield the address of a server whose one connection is treated by `does`."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            does(Peer(connection))
            # Closed with something unread in it, it would be reset, and what was sent last be lost.
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/exec"


def run(url: str, stdin: bytes = b"", timeout: float = 10) -> Printed:
    return run_process(
        url,
        {"authorization": "Bearer t"},
        stdin,
        trust=Trust(),
        proxy=None,
        begin_within=1,
        timeout=timeout,
    )


@pytest.mark.parametrize("protocol", [V4, V5])
def test_it_is_fed_all_and_both_streams_come_apart(protocol: str) -> None:
    stdin, got = bytes(range(256)) * 400, bytearray()

    def does(it: Peer) -> None:
        it.accept(protocol)
        while len(got) < len(stdin):
            message = it.message()
            assert message[0] == 0
            got.extend(message[1:])
        if protocol == V5:
            assert it.message() == b"\xff\x00", "its input ends where that can be told"
        for channel, text in ((1, b"out"), (2, b"err"), (1, b"put"), (3, b"")):
            if text:
                it.send(channel, text)
        it.end(SUCCESS)

    with peer(does) as url:
        assert run(url, stdin) == Printed(b"output", b"err")
    assert got == stdin


def test_what_it_ends_with_is_its_own_affair() -> None:
    def does(it: Peer) -> None:
        it.accept()
        it.send(2, b"no such option")
        it.end(FAILED)

    with peer(does) as url:
        assert run(url) == Printed(b"", b"no such option")


def test_a_process_that_could_not_begin_says_why() -> None:
    def does(it: Peer) -> None:
        it.accept()
        it.end(ABSENT)

    with peer(does) as url, pytest.raises(KubeError, match="container not found"):
        run(url)


def test_a_refusal_comes_with_its_status_and_its_words() -> None:
    with (
        peer(lambda it: it.refuse(403, b'{"message": "no"}')) as url,
        pytest.raises(ProcessRefused) as caught,
    ):
        run(url)
    assert (caught.value.status, caught.value.content) == (403, b'{"message": "no"}')


@pytest.mark.parametrize(
    ("accepts", "sends", "stays", "said"),
    [
        (False, None, 3.0, "timed out"),
        (True, None, 3.0, "did not end in time"),
        (False, None, 0.0, r"closed|remote host"),
        (True, None, 0.0, "lost"),
        (True, (1, b"half"), 0.0, "lost"),
        (True, (3, b"what?"), 0.0, "no status: what"),
    ],
    ids=["says nothing", "never ends", "hangs up", "breaks off", "in the middle", "no status"],
)
def test_nobody_waits_for_ever(
    accepts: bool, sends: tuple[int, bytes] | None, stays: float, said: str
) -> None:
    def does(it: Peer) -> None:
        if accepts:
            it.accept()
        if sends:
            it.send(*sends)
        time.sleep(stays)

    began = time.monotonic()
    with peer(does) as url, pytest.raises(KubeError, match=said):
        run(url, timeout=0.5)
    assert time.monotonic() - began < 2.5


def test_a_process_that_prints_for_ever_is_given_up() -> None:
    def does(it: Peer) -> None:
        it.accept()
        while True:  # until the client has gone
            it.send(1, b"tick")
            time.sleep(0.01)

    with peer(does) as url, pytest.raises(KubeError, match="did not end in time"):
        run(url, timeout=0.3)
