"""A file for one command that is on no disk: credentials that a program reads by a path."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from xcom_rollout.clients.errors import HelmError


@dataclass(frozen=True)
class MemoryFile:
    """An open file in memory.

    Attributes:
        descriptor: to be passed on to the process that reads it.
        path: what names it in that process.
    """

    descriptor: int
    path: str


@contextmanager
def memory_file(content: bytes) -> Iterator[MemoryFile]:
    """Have a file with this content while the block runs.

    Raises:
        HelmError: this system has no such files (memfd_create of Linux).
    """
    if not hasattr(os, "memfd_create"):
        raise HelmError("credentials of a chart repository are passed to helm on Linux only")
    try:
        descriptor = os.memfd_create("credentials")
    except OSError as error:
        raise HelmError(f"the credentials of a repository cannot be passed on: {error}") from error
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield MemoryFile(descriptor, f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
