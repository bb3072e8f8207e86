"""Text in a ConfigMap: plain while it is small, compressed beyond."""

import base64
import gzip
import json
from collections.abc import Iterable
from typing import Final

from xcom_rollout.clients.errors import ActionFailed
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.ledger import RunKey

PLAIN_LIMIT: Final = 512 * 1024
"""Bytes up to which a person can read the text with kubectl."""
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
    packed = gzip.compress(raw, mtime=0)
    if len(packed) > LIMIT:
        raise ActionFailed(
            f"{key} has {len(packed)} bytes after compression, and a ConfigMap holds {LIMIT}"
        )
    return {"data": {}, "binaryData": {f"{key}.gz": base64.b64encode(packed).decode()}}


def unpack(key: str, config_map: Json) -> str | None:
    """Return the text at `key`; None where there is none.

    Raises:
        ValueError, OSError: the compressed form is damaged.
    """
    plain = (config_map.get("data") or {}).get(key)
    if plain is not None:
        return str(plain)
    packed = (config_map.get("binaryData") or {}).get(f"{key}.gz")
    if packed is None:
        return None
    return gzip.decompress(base64.b64decode(packed)).decode()


ANNOTATION_PLAIN_LIMIT: Final = 16 * 1024
_GZIP: Final = "gzip:"


def pack_runs(runs: Iterable[RunKey]) -> str:
    """Return runs as the text of an annotation: JSON pairs, compressed where they are many.

    All annotations of an object together may have 256 KiB; compressed, that is some 10,000 runs.
    """
    text = json.dumps([[run.dag_id, run.run_id] for run in sorted(runs)])
    if len(text) <= ANNOTATION_PLAIN_LIMIT:
        return text
    return _GZIP + base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def unpack_runs(text: str) -> list[RunKey]:
    """Return what `pack_runs` packed.

    Raises:
        ValueError: it is something else.
    """
    if text.startswith(_GZIP):
        try:
            text = gzip.decompress(base64.b64decode(text.removeprefix(_GZIP))).decode()
        except (OSError, EOFError) as error:
            raise ValueError(f"damaged list of runs: {error}") from error
    return [RunKey(str(dag_id), str(run_id)) for dag_id, run_id in json.loads(text)]
