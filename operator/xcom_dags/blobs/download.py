"""An object into one piece of memory, in parts that arrive and are hashed side by side."""

from __future__ import annotations

import mmap
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from xcom_dags.blobs import checksum

_PARTS = 6
_PIECE = 256 * 1024
# How often a part is requested if its answer breaks off; botocore itself repeats only requests.
_ATTEMPTS = 5


class Misfit(Exception):
    """The store gave another range than the one it was asked for."""


def download(
    client: Any, bucket: str, name: str, etag: str, size: int, part_size: int
) -> tuple[mmap.mmap, str]:
    """Read an object of a known size.

    Args:
        etag: of the object; all parts are of this one, or the client raises (412).
        size: in bytes, at least 1.
        part_size: in bytes; that of the write, as the checksum goes by parts.

    Returns:
        The memory and its checksum, see `checksum`.

    Raises:
        Misfit: the store does not keep to ranges.
    """
    # Not numpy's own memory: that asks for huge pages, and in a virtual machine that gives free
    # ones back to its host, a first touch of them takes longer than all the rest of the read.
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    view = memoryview(memory)

    def fetch(start: int) -> bytes:
        part = view[start : start + part_size]
        _fetch(client, {"Bucket": bucket, "Key": name, "IfMatch": etag}, start, part)
        # Beside those that still arrive: SHA-256 lets go of the interpreter's lock.
        return checksum.of_part(part)

    with ThreadPoolExecutor(_PARTS) as pool:
        digests = list(pool.map(fetch, range(0, size, part_size)))
    return memory, checksum.of_object(digests)


def _fetch(client: Any, target: dict[str, str], start: int, part: memoryview) -> None:
    from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

    wanted = f"bytes={start}-{start + part.nbytes - 1}"
    for attempt in range(1, _ATTEMPTS + 1):
        answer = client.get_object(**target, Range=wanted)
        if answer["ContentLength"] != part.nbytes:
            raise Misfit(f"asked for {wanted}, the store gave {answer['ContentLength']} bytes")
        try:
            # Not the body as a context: that gives the stream below, which does not check lengths.
            with closing(answer["Body"]) as body:
                _receive(body, part)
        except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError, OSError):
            if attempt == _ATTEMPTS:
                raise
        else:
            return


def _receive(body: Any, part: memoryview) -> None:
    filled = 0
    while filled < part.nbytes:
        # At the end of a body that is too short, botocore raises.
        piece = body.read(min(_PIECE, part.nbytes - filled))
        part[filled : filled + len(piece)] = piece
        filled += len(piece)
