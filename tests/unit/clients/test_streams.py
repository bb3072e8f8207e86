"""A descriptor is given back only when no thread reads from it any more."""

from __future__ import annotations

import socket
import threading

import httpcore2
import httpx2
import pytest
from httpcore2._backends.sync import SyncStream

from xcom_rollout.clients.streams import OpenStreams, OrderlyStream, close_orderly


class Watched(SyncStream):
    """A real stream that tells when a read begins and whether one goes on when it is closed."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.begun = threading.Event()
        self.reading = False
        self.closed_while_read: bool | None = None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.reading = True
        self.begun.set()
        try:
            return super().read(max_bytes, timeout)
        finally:
            self.reading = False

    def close(self) -> None:
        self.closed_while_read = self.reading
        super().close()


def test_closing_ends_a_read_that_waits_and_only_then_closes() -> None:
    ours, theirs = socket.socketpair()
    inner = Watched(ours)
    stream = OrderlyStream(inner)
    got: list[bytes] = []
    with theirs:
        reader = threading.Thread(target=lambda: got.append(stream.read(100)))
        reader.start()
        assert inner.begun.wait(10)
        stream.close()
        reader.join(10)
        assert not reader.is_alive()
    assert inner.closed_while_read is False
    assert got == [b""]
    assert stream.read(100) == b"", "nobody reads from what was closed"


def test_it_reads_and_writes_as_the_stream_does() -> None:
    ours, theirs = socket.socketpair()
    stream = OrderlyStream(SyncStream(ours))
    with theirs:
        stream.write(b"there")
        assert theirs.recv(100) == b"there"
        theirs.sendall(b"back")
        assert stream.read(100) == b"back"
        with pytest.raises(httpcore2.ReadTimeout):
            stream.read(100, timeout=0.01)
        stream.close()
        stream.close()


def test_only_what_becomes_a_websocket_is_changed() -> None:
    ours, theirs = socket.socketpair()
    inner = SyncStream(ours)
    with ours, theirs:
        plain = httpx2.Response(200, extensions={"network_stream": inner})
        close_orderly(plain)
        assert plain.extensions["network_stream"] is inner
        upgraded = httpx2.Response(101, extensions={"network_stream": inner})
        close_orderly(upgraded)
        assert isinstance(upgraded.extensions["network_stream"], OrderlyStream)


def test_what_is_read_is_ended_and_left_to_its_reader_to_close() -> None:
    streams = OpenStreams()
    ours, theirs = socket.socketpair()
    inner = Watched(ours)
    response = httpx2.Response(200, extensions={"network_stream": inner})
    got: list[bytes] = []

    def read() -> None:
        with streams.reading(response):
            got.append(inner.read(100))

    with ours, theirs:
        reader = threading.Thread(target=read)
        reader.start()
        assert inner.begun.wait(10)
        streams.end()
        reader.join(10)
        assert not reader.is_alive()
        assert got == [b""]
        assert inner.closed_while_read is None


def test_what_is_read_after_the_end_of_all_ends_at_once() -> None:
    streams = OpenStreams()
    streams.end()
    ours, theirs = socket.socketpair()
    response = httpx2.Response(200, extensions={"network_stream": SyncStream(ours)})
    with ours, theirs, streams.reading(response):
        assert ours.recv(100) == b""
