"""What one thread reads another ends, and only who reads gives the descriptor back."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from xcom_rollout.clients.streams import OpenStreams


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_what_is_read_is_ended_and_left_to_its_reader_to_close(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    streams, begun, got = OpenStreams(), threading.Event(), []
    ours, _ = pair

    def read() -> None:
        with streams.reading(ours):
            begun.set()
            got.append(ours.recv(100))

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(10)
    streams.end()
    reader.join(10)
    assert not reader.is_alive()
    assert got == [b""]
    assert ours.fileno() != -1


def test_what_is_read_after_the_end_of_all_ends_at_once(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    streams = OpenStreams()
    streams.end()
    ours, _ = pair
    with streams.reading(ours):
        assert ours.recv(100) == b""


def test_the_end_of_all_reaches_no_connection_that_was_given_the_same_number() -> None:
    streams = OpenStreams()
    ours, theirs = socket.socketpair()
    other, far = socket.socketpair()
    with theirs, other, far, streams.reading(ours):
        number = ours.fileno()
        ours.close()
        os.dup2(other.fileno(), number)
        streams.end()
        far.sendall(b"still there")
        assert os.read(number, 100) == b"still there"
        os.close(number)


def test_nothing_of_what_was_read_stays_open(pair: tuple[socket.socket, socket.socket]) -> None:
    streams = OpenStreams()
    ours, theirs = pair
    with streams.reading(ours):
        pass
    ours.close()
    assert theirs.recv(100) == b""
    streams.end()
