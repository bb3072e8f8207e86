"""Arrays as `.npz`: a zip of `.npy` members, never pickled, readable by `numpy.load`."""

from __future__ import annotations

import re
import struct
import zipfile
from typing import Any, Mapping

from xcom_dags.blobs.reference import describe

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_TIME = (1980, 1, 1, 0, 0, 0)
# Checksums and the copy of a piece find it in the processor's cache.
_PIECE = 1024 * 1024
_SUFFIX = ".npy"
_NPY_VERSION = (2, 0)
# Where an array begins in memory decides how fast it can be used; .npy itself aligns to this.
_ALIGNMENT = 64
_LOCAL_HEADER = 30
_ZIP64_FIELD = 20
# A field of this ID is padding (Android's zipalign uses it); readers skip what they do not know.
_PADDING_ID = 0xD935


def prepare(arrays: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Describe the arrays, and give them in the memory layout that is written.

    Raises:
        ValueError: a name is not a plain name, an array holds Python objects, which only pickle
            could write, or values of it are masked.
    """
    import numpy as np

    if not arrays:
        raise ValueError("no arrays: pass at least one, as in {'y': y}")
    ready = {}
    for name, value in arrays.items():
        if type(name) is not str or not _NAME.match(name):
            raise ValueError(
                f"array name {name!r}: write letters, digits, '_', '.' and '-', with no dot or "
                "dash first"
            )
        if _is_masked(value):
            raise ValueError(
                f"array {name!r} is masked, and a mask is not kept; pass its data, as in "
                "x.filled(0), and its mask, as in np.ma.getmaskarray(x), as two arrays"
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


def _is_masked(value: Any) -> bool:
    """Whether a value of a masked array is masked; also of one in a list."""
    import numpy as np

    if isinstance(value, (list, tuple)):
        return any(_is_masked(each) for each in value)
    if not isinstance(value, np.ma.MaskedArray):
        return False
    # As bytes: the mask of a structured array is one, too.
    return bool(np.ascontiguousarray(np.ma.getmaskarray(value)).view(np.uint8).any())


def write(arrays: Mapping[str, Any], sink: Any) -> None:
    """Write prepared arrays to a sink that can only be written to, piece by piece.

    Args:
        sink: an `Upload`; its `count` says how much was written.
    """
    import numpy as np

    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(name + _SUFFIX, _TIME)
            entry.extra = _padding(sink.count, len(entry.filename))
            with archive.open(entry, "w", force_zip64=True) as member:
                header = np.lib.format.header_data_from_array_1_0(array)
                np.lib.format.write_array_header_2_0(member, header)
                # A view of the array's own memory: nothing is copied before it goes out.
                data = memoryview(array.reshape(-1).view(np.uint8)) if array.nbytes else b""
                for start in range(0, array.nbytes, _PIECE):
                    member.write(data[start : start + _PIECE])


def _padding(position: int, name_length: int) -> bytes:
    """An extra field after which the data of a member at `position` begins aligned."""
    # An extra field has four bytes of its own.
    fixed = position + _LOCAL_HEADER + name_length + _ZIP64_FIELD + 4
    length = -fixed % _ALIGNMENT
    return struct.pack("<HH", _PADDING_ID, length) + bytes(length)


def read(memory: Any) -> dict[str, Any]:
    """The arrays of an archive that is in memory, as views of that memory.

    Args:
        memory: the whole archive, writable; the arrays keep it alive.

    Raises:
        zipfile.BadZipFile, ValueError: it is not such an archive, or was not written by `write`.
    """
    import numpy as np

    file: Any = _Memory(memory)
    arrays = {}
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED or not entry.filename.endswith(_SUFFIX):
                raise ValueError(f"member {entry.filename!r} is not an array as put writes it")
            # The lengths of name and extra field, which come before the data, are in the local
            # header; those of the table of contents may differ (PKWARE's APPNOTE, 4.3.7).
            file.seek(entry.header_offset + 26)
            name, extra = struct.unpack("<HH", file.read(4))
            file.seek(entry.header_offset + 30 + name + extra)
            start = file.tell()
            if np.lib.format.read_magic(file) != _NPY_VERSION:
                raise ValueError(f"member {entry.filename!r} is of another version of .npy")
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
            count = int(np.prod(shape, dtype=np.int64))
            if dtype.hasobject or file.tell() + count * dtype.itemsize != start + entry.file_size:
                raise ValueError(f"member {entry.filename!r} does not have the size of its array")
            array = (
                np.frombuffer(memory, dtype, count, file.tell()) if count else np.empty(0, dtype)
            )
            array = array.reshape(shape, order="F" if fortran else "C")
            arrays[entry.filename[: -len(_SUFFIX)]] = (
                array if array.flags.aligned and array.size else array.copy()
            )
    return arrays


class _Memory:
    """Memory as a file that can be read from any place, without a copy of the whole."""

    def __init__(self, memory: Any) -> None:
        self._memory = memory
        self._position = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, len(self._memory))[whence]
        if self._position < 0:
            raise ValueError("before the start")
        return self._position

    def read(self, size: int = -1) -> bytes:
        end = len(self._memory) if size < 0 else self._position + size
        data = bytes(self._memory[self._position : end])
        self._position += len(data)
        return data

    def close(self) -> None:
        """The memory stays."""
