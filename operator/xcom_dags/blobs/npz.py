"""Arrays as `.npz`: a zip of `.npy` members, never pickled, readable by `numpy.load`."""

from __future__ import annotations

import re
import zipfile
from typing import Any, Callable, Mapping

from xcom_dags.blobs.reference import describe

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_TIME = (1980, 1, 1, 0, 0, 0)
_PIECE = 4 * 1024 * 1024
# A central directory entry has 46 bytes and up to 28 more, its name beside it.
_ENTRY = 128
_END_RECORDS = 256


def prepare(arrays: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Describe the arrays, and give them in the memory layout that is written.

    Raises:
        ValueError: a name is no plain name, or an array holds Python objects, which only pickle
            could write.
    """
    import numpy as np

    if not arrays:
        raise ValueError("no arrays: pass at least one, as in {'y': y}")
    ready = {}
    for name, value in arrays.items():
        if not _NAME.match(str(name)):
            raise ValueError(
                f"array name {name!r}: write letters, digits, '_', '.' and '-', with no dot or "
                "dash first"
            )
        array = np.asarray(value)
        if array.dtype.hasobject:
            raise ValueError(
                f"array {name!r} has dtype {array.dtype}, which needs pickle; give it a fixed "
                "dtype, as in np.asarray(x, dtype=float)"
            )
        # Not ascontiguousarray: it makes a scalar one-dimensional.
        ready[name] = np.asarray(array, order="C")
    return {name: describe(array.shape, array.dtype.str) for name, array in ready.items()}, ready


def write(arrays: Mapping[str, Any], sink: Any) -> None:
    """Write prepared arrays to a sink that can only be written to, piece by piece."""
    import numpy as np

    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(name + ".npy", _TIME)
            with archive.open(entry, "w", force_zip64=True) as member:
                header = np.lib.format.header_data_from_array_1_0(array)
                np.lib.format.write_array_header_2_0(member, header)
                # A view of the array's own memory: nothing is copied before it goes out.
                data = memoryview(array.reshape(-1).view(np.uint8)) if array.nbytes else b""
                for start in range(0, array.nbytes, _PIECE):
                    member.write(data[start : start + _PIECE])


def read(size: int, tail: bytes, stream: Callable[[int], bytes]) -> dict[str, Any]:
    """Read arrays from a stream of the whole object.

    Args:
        size: of the object.
        tail: its last bytes, `tail_size` of them: a zip's table of contents is at its end.
        stream: gives the next so many bytes of the object, from its start.

    Raises:
        zipfile.BadZipFile, ValueError, EOFError: it is no such archive, or a member is damaged.
    """
    import numpy as np

    source: Any = _Forward(size, tail, stream)
    arrays = {}
    with zipfile.ZipFile(source) as archive:
        for entry in sorted(archive.infolist(), key=lambda entry: entry.header_offset):
            if not entry.filename.endswith(".npy"):
                raise ValueError(f"member {entry.filename!r} is no array")
            with archive.open(entry) as member:
                arrays[entry.filename[: -len(".npy")]] = np.lib.format.read_array(
                    member, allow_pickle=False
                )
                # The check sum of a member is compared at its end.
                if member.read(1):
                    raise ValueError(f"member {entry.filename!r} is longer than its array")
    return arrays


def tail_size(arrays: Mapping[str, Any]) -> int:
    """How many bytes at the end hold the table of contents of these arrays."""
    return _END_RECORDS + sum(_ENTRY + len(name) for name in arrays)


class _Forward:
    """A file that is read from start to end, but for its last bytes, which are known already."""

    def __init__(self, size: int, tail: bytes, stream: Callable[[int], bytes]) -> None:
        self._size = size
        self._tail = tail
        self._stream = stream
        self._position = 0
        self._streamed = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._position)
        size = left if size < 0 else min(size, left)
        from_tail = self._position - (self._size - len(self._tail))
        if from_tail >= 0:
            data = self._tail[from_tail : from_tail + size]
        else:
            while self._streamed < self._position:
                skipped = self._stream(min(_PIECE, self._position - self._streamed))
                if not skipped:
                    raise EOFError("the object ended early")
                self._streamed += len(skipped)
            if self._streamed > self._position:
                raise ValueError("the archive's members are not in order")
            data = self._stream(size)
            self._streamed += len(data)
        self._position += len(data)
        return data

    def close(self) -> None:
        """The stream is closed by whoever opened it."""
