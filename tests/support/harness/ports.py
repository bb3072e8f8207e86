"""TCP ports for servers that must be given one."""

from __future__ import annotations

import fcntl
import os
import socket
from functools import cache

from harness.paths import cache_dir
from harness.shell import HarnessError

# Below the ports that Linux gives to connections and to whoever asks for any (from 32768), so that
# none of those comes in between; and below Kubernetes' node ports (from 30000).
_RANGE = range(20000, 30000)
# Every port once in the life of a process: `next` on this is one step for threads too.
_unasked = iter(_RANGE)


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens, and which no other process is given.

    It is this process's own until that ends, however long a server takes to begin there; a port
    that nobody uses stays closed.

    Raises:
        HarnessError: none is left.
    """
    for port in _unasked:
        if _claim(port) and _is_closed(port):
            return port
    raise HarnessError(f"no port is left from {_RANGE.start} to {_RANGE.stop - 1}")


def _claim(port: int) -> bool:
    """Whether this process now holds the lock of a port: the byte of that number in a file."""
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):
        return False
    return True


@cache
def _claims() -> int:
    """The file of the locks. It stays open: they are gone when this process closes it."""
    folder = cache_dir() / "locks"
    folder.mkdir(exist_ok=True)
    return os.open(folder / "ports", os.O_RDWR | os.O_CREAT, 0o600)


def _is_closed(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
