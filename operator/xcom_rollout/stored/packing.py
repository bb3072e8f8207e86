"""Text in a ConfigMap: plain while it is small, compressed beyond."""

import base64
import gzip
import zlib
from typing import Final

from xcom_rollout.clients.errors import ActionFailed
from xcom_rollout.clients.kube import Json

PLAIN_LIMIT: Final = 512 * 1024
"""Bytes up to which a person can read the text with kubectl."""
LEVEL: Final = 6
"""Level of the compression; the highest, 9, takes twice as long for 10% less."""
LIMIT: Final = 1000 * 1024
"""Bytes that fit into a ConfigMap: the API server refuses more than 1 MiB for all keys."""


def pack(key: str, text: str, *, plain_limit: int = PLAIN_LIMIT) -> Json:
    """Return `data` and `binaryData` that hold `text` at `key`, or compressed at `key.gz`.

    `plain_limit` is in bytes.

    Raises:
        ActionFailed: even compressed it does not fit.
    """
    raw = text.encode()
    if len(raw) <= plain_limit:
        return {"data": {key: text}, "binaryData": {}}
    packed = gzip.compress(raw, LEVEL, mtime=0)
    if len(packed) > LIMIT:
        raise ActionFailed(
            f"{key} has {len(packed)} bytes after compression, and a ConfigMap holds at most "
            f"{LIMIT}"
        )
    return {"data": {}, "binaryData": {f"{key}.gz": base64.b64encode(packed).decode()}}


def unpack(key: str, config_map: Json) -> str | None:
    """Return the text at `key`; None where there is none.

    Raises:
        ValueError: the compressed form is damaged.
    """
    plain = (config_map.get("data") or {}).get(key)
    if plain is not None:
        return str(plain)
    packed = (config_map.get("binaryData") or {}).get(f"{key}.gz")
    if packed is None:
        return None
    try:
        return gzip.decompress(base64.b64decode(packed)).decode()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{key}.gz is damaged: {error}") from error
