"""The SHA-256 checksum of an object, as S3 itself computes and reports it (`ChecksumSHA256`).

Of an object in one piece: SHA-256 of its bytes. Of one in parts: SHA-256 of the parts' SHA-256 one
after the other, and the number of parts behind a dash ("composite", in S3's guide under "Checking
object integrity"). So parts can be hashed side by side, and each only once: what S3 compares a part
with when it takes it is what the whole is put together from.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any, Sequence

_FORM = re.compile(r"[A-Za-z0-9+/]{43}=(?:-([1-9][0-9]*))?\Z")


def of_part(data: Any) -> bytes:
    """The digest of a part's bytes."""
    return hashlib.sha256(data).digest()


def text(digest: bytes) -> str:
    """A digest as S3 writes it: in base64."""
    return base64.b64encode(digest).decode("ascii")


def of_object(parts: Sequence[bytes]) -> str:
    """The object's checksum from the digests of its parts, in order; at least one."""
    if len(parts) == 1:
        return text(parts[0])
    return f"{text(of_part(b''.join(parts)))}-{len(parts)}"


def fits(checksum: str, size: int, part_size: int) -> bool:
    """Whether a checksum has the form of that of an object of `size` bytes in such parts."""
    form = _FORM.match(checksum)
    if form is None or size < 1 or part_size < 1:
        return False
    parts = -(-size // part_size)
    return form.group(1) == (str(parts) if parts > 1 else None)
