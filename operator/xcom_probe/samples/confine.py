"""What a process gives up before it runs code of a user. Linux; standard library only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal

MEMORY = 1024 * 1024 * 1024
"""Bytes that the code may allocate, the packages that it imports included."""
_OPEN_FILES = 256
_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000


def confine(cpu_seconds: int) -> bool:
    """Limit this process for good; return whether it no longer has a network.

    The other limits work on every Linux. A network of its own needs a right that containers often
    do not have.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    # Whatever ends the parent ends this process too.
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    flags = (_CLONE_NEWUSER | _CLONE_NEWNET, _CLONE_NEWNET)
    cut = any(libc.unshare(flag) == 0 for flag in flags)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        # If the container runs out of memory, this process goes first.
        file.write("1000")
    for limit, value in (
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_DATA, MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        _, hard = resource.getrlimit(limit)
        lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (lowest, lowest))
    os.umask(0o077)
    return cut
