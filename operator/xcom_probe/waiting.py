"""Runs commands in a process that has already imported what they need.

The address is an abstract socket, which needs no file system that can be written. Such a name is
valid in a network namespace, which other containers of the pod share, and other pods where it is
the host's. So the name holds the number of the mount namespace, and the host's name: whoever finds
it is in the same container. Only the user that runs this is answered.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import Iterator, NamedTuple

ANSWERED = ("census", "forget")
"""Commands that are answered: those of a kill that are short."""
_MOST = 64 * 1024
_PATIENCE = 5.0
"""Seconds that a caller has to say what it wants."""
_LOOK = 0.02
"""Seconds between two checks whether an answer is complete."""


class Question(NamedTuple):
    """What a caller wants.

    Attributes:
        words: the arguments of the probe.
        files: file descriptors: its stdout, its stderr and, where the command takes one, the
            list of runs.
    """

    words: list[str]
    files: list[int]


def address() -> str:
    """The name of the socket in this container."""
    namespace = os.stat("/proc/self/ns/mnt").st_ino
    return "\0xcom_probe-{}-{}".format(namespace, os.environ.get("HOSTNAME", ""))


def serve(seconds: float) -> Iterator[int]:
    """Answer for that time; yield with each answer how many there were.

    Raises:
        Interrupted: SIGTERM came.
        OSError: another process answers in this container already.
    """
    answered = 0
    end = time.monotonic() + seconds
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(address())
        server.listen(8)
        while (left := end - time.monotonic()) > 0:
            if not select.select([server], [], [], min(left, 3600))[0]:
                continue
            caller, _ = server.accept()
            with caller:
                code = _answer(caller, server)
                if code is None:
                    continue
                answered += 1
                yield answered  # before the caller knows: it may end this process at once
                # A caller that is gone needs no answer.
                with contextlib.suppress(OSError):
                    caller.sendall(bytes((code,)))


def _answer(caller: socket.socket, server: socket.socket) -> int | None:
    """Run what the caller wants; return its exit code, None where it is refused."""
    caller.settimeout(_PATIENCE)
    try:
        question = _question(caller)
    except (OSError, ValueError) as problem:
        sys.stderr.write(f"xcom_probe: a question could not be read: {problem}\n")
        return None
    if question is None:
        return None
    child = os.fork()
    if child == 0:
        server.close()
        _be(question)
    for file in question.files:
        os.close(file)
    status = _status(child, caller)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _status(child: int, caller: socket.socket) -> int:
    """Return how the child ended; where the caller goes away before, it is ended.

    The caller has given up, and a command that hangs in the database must not block the next.
    """
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        # The caller says nothing more: what can be read is its end.
        if select.select([caller], [], [], _LOOK)[0]:
            os.kill(child, signal.SIGKILL)
            return os.waitpid(child, 0)[1]


def _question(caller: socket.socket) -> Question | None:
    """Return what the caller wants; None where it may not ask, or asks for something else.

    Raises:
        OSError: it said nothing, or went away.
        ValueError: it said something else.
    """
    space = socket.CMSG_SPACE(3 * array.array("i").itemsize)
    data, ancillary, _, _ = caller.recvmsg(_MOST, space)
    files = array.array("i")
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files.frombytes(content[: len(content) - len(content) % files.itemsize])
    credentials = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    words = json.loads(data)
    known = isinstance(words, list) and bool(words) and words[0] in ANSWERED
    if not known or len(files) < 2 or struct.unpack("3i", credentials)[1] != os.getuid():
        for file in files:
            os.close(file)
        return None
    return Question([str(word) for word in words], list(files))


def _be(question: Question) -> None:
    """Become the command; does not return."""
    from xcom_probe import main

    try:
        os.dup2(question.files[0], 1)
        os.dup2(question.files[1], 2)
        words = question.words
        if len(question.files) > 2:
            words = [*words, "--runs-file", f"/proc/self/fd/{question.files[2]}"]
        main.entry(words)
    finally:
        os._exit(3)
