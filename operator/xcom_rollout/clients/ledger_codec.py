"""The ledger as JSON in a ConfigMap."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from xcom_rollout.clients.errors import Malformed
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.packing import pack, unpack
from xcom_rollout.decide.ledger import Ledger

KEY: Final = "ledger.json"
SCHEMA: Final = "xcom-rollout-ledger/v1"

_ADAPTER: Final = TypeAdapter(Ledger)


def encode(ledger: Ledger) -> str:
    """Return the ledger as JSON; the same ledger gives the same text."""
    content = _ADAPTER.dump_python(ledger, mode="json", exclude={"resource_version"})
    document = {"schema": SCHEMA, "ledger": _sorted_sets(content)}
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def decode(text: str) -> Ledger:
    """Return the ledger written as `text`.

    Raises:
        Malformed: it is no ledger of a version that this operator knows.
    """
    try:
        document = json.loads(text)
        schema = document.get("schema") if isinstance(document, Mapping) else None
        if schema != SCHEMA:
            raise Malformed(
                f"its schema is {schema!r} and this operator knows {SCHEMA!r}; run the operator "
                "version that wrote it"
            )
        return _ADAPTER.validate_python(document["ledger"])
    except (ValueError, KeyError, ValidationError) as error:
        raise Malformed(f"it cannot be read: {error}") from error


def to_config_map(ledger: Ledger) -> Json:
    """Return the members `data` and `binaryData` of the ledger's ConfigMap."""
    return pack(KEY, encode(ledger))


def from_config_map(config_map: Json) -> Ledger:
    """Return the ledger in a ConfigMap, with the version to write it back against.

    Raises:
        Malformed: the ConfigMap holds no ledger that can be read. It is never taken for an empty
            one: that would forget which runs a kill has already cleared.
    """
    metadata = config_map["metadata"]
    where = f"ConfigMap {metadata.get('namespace')}/{metadata['name']}"
    try:
        text = unpack(KEY, config_map)
        if text is None:
            raise Malformed(f"it has no key {KEY}")
        ledger = decode(text)
    except (Malformed, ValueError, OSError, gzip.BadGzipFile) as error:
        raise Malformed(
            f"{where}, the ledger of the rollout: {error}. Restore it from a backup; delete it "
            "only if no run holds offloaded values"
        ) from error
    return replace(ledger, resource_version=str(metadata["resourceVersion"]))


def _sorted_sets(content: Any) -> Any:
    """Sort what was a set: `old_runs`, the only one."""
    census = content.get("census")
    if census:
        census["old_runs"] = sorted(
            census["old_runs"], key=lambda run: (run["dag_id"], run["run_id"])
        )
    return content
