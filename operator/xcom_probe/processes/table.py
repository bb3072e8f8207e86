"""The processes of this PID namespace, as /proc shows them."""

from __future__ import annotations

import os
import re
import time
from typing import Iterator, NamedTuple

from xcom_probe.model import CannotLook

_ENDED = frozenset("ZX")
_KERNEL_THREAD = 0x00200000
_MOUNT = re.compile(r"hidepid=(\w+)")
_SHOWS_ALL = frozenset({"0", "off"})
_ROUNDS = 5
"""How often to look for processes that came while the others were read."""
_PAGE = 4096
"""Bytes of a title that older kernels show."""
_BEGINNING = 0.2
"""Seconds that a program may take to get its arguments after it has begun."""
_LOOK = 0.005
"""Seconds between two checks whether it has them."""


class Process(NamedTuple):
    """A process.

    Attributes:
        pid, parent: as this namespace counts; the parent is 0 where it is outside.
        started: clock ticks since the boot (proc(5), field 22 of stat).
        ended: whether nothing of it runs any more, and only its parent has not noticed yet.
        words: its command line; empty where its memory is gone, or where it has blanked it.
        whole: whether the command line is certainly not cut.
        comm: its short name.
    """

    pid: int
    parent: int
    started: int
    ended: bool
    words: list[str]
    whole: bool
    comm: str


def read(proc: str, mine: int) -> dict[int, Process]:
    """Every process that is here, by PID.

    Args:
        proc: /proc, or a folder like it.
        mine: the PID of the process that looks, to see that this is its own namespace.

    Raises:
        CannotLook: not all processes can be seen here, or one of them not well enough.
    """
    _see_all(proc, mine)
    found: dict[int, Process] = {}
    gone: set[int] = set()
    for _ in range(_ROUNDS):
        new = [pid for pid in _pids(proc) if pid not in found and pid not in gone]
        if not new:
            break
        for pid in new:
            process = one(proc, pid)
            if process is None:
                gone.add(pid)
            else:
                found[pid] = process
    return found


def one(proc: str, pid: int) -> Process | None:
    """One process; None where there is none, and for a thread of the kernel.

    A program that has just been executed has memory, but no arguments yet (measured on Linux 6.18:
    one of twelve that were looked at as soon as `Popen` had returned). It is waited for.

    Raises:
        CannotLook: it may not be read.
    """
    end = time.monotonic() + _BEGINNING
    process, has_memory = _one(proc, pid)
    while process and has_memory and not process.words and time.monotonic() < end:
        time.sleep(_LOOK)
        process, has_memory = _one(proc, pid)
    return process


def _one(proc: str, pid: int) -> tuple[Process | None, bool]:
    """One process as it is now, and whether it has memory."""
    stat = _read(proc, pid, "stat")
    # The name, in parentheses, may hold blanks and parentheses. Then come the third field and on.
    name, _, rest = stat.rpartition(b")")
    fields = rest.split()
    if len(fields) < 21 or int(fields[6]) & _KERNEL_THREAD:
        return None, False
    # A first thread that has ended, while others of the process live, is a zombie as well.
    ended = fields[0].decode() in _ENDED and int(fields[17]) <= 1
    command = b"" if ended else _read(proc, pid, "cmdline")
    text = command.rstrip(b"\0")
    process = Process(
        pid,
        int(fields[1]),
        int(fields[19]),
        ended,
        text.decode("utf-8", "replace").split("\0") if text else [],
        _whole(len(text), fields),
        name.partition(b"(")[2].decode("utf-8", "replace"),
    )
    return process, not ended and int(fields[20]) > 0


def _whole(length: int, fields: list[bytes]) -> bool:
    """Whether a title had room to spare.

    It has that of the command line and the environment: fields 48 to 51, which are 0 where they may
    not be seen.
    """
    if len(fields) < 49:
        return False
    begin, end = int(fields[45]), int(fields[48])
    return 0 < begin < end and length < min(end - begin, _PAGE) - 1


def _see_all(proc: str, mine: int) -> None:
    """Raise where this is not the own namespace, or where the processes of others are hidden."""
    try:
        itself = os.readlink(f"{proc}/self")
    except OSError as problem:
        raise CannotLook(f"the processes here cannot be listed: {problem}") from problem
    if itself != str(mine):
        raise CannotLook(
            f"{proc} does not belong to this container: it shows process {mine} as {itself}"
        )
    for line in _mounts(proc):
        words = line.split()
        hidden = (
            _MOUNT.search(words[3]) if len(words) > 3 and words[1:3] == [proc, "proc"] else None
        )
        if hidden and hidden.group(1) not in _SHOWS_ALL:
            raise CannotLook(
                f"{proc} is mounted with {hidden.group()}, which hides other users' processes; "
                "mount it without that option"
            )


def _mounts(proc: str) -> list[str]:
    try:
        with open(f"{proc}/self/mounts", encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError as problem:
        raise CannotLook(f"the mount options of {proc} cannot be read: {problem}") from problem


def _pids(proc: str) -> Iterator[int]:
    try:
        names = os.listdir(proc)
    except OSError as problem:
        raise CannotLook(f"the processes here cannot be listed: {problem}") from problem
    return (int(name) for name in names if name.isdecimal())


def _read(proc: str, pid: int, name: str) -> bytes:
    """A file of a process; empty where it has ended."""
    try:
        with open(f"{proc}/{pid}/{name}", "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""
    except OSError as problem:
        raise CannotLook(
            f"process {pid} cannot be read, so it is not known whether it runs a task: {problem}"
        ) from problem
