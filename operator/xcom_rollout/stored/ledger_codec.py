"""The ledger as JSON in a ConfigMap."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from xcom_rollout.clients.errors import Malformed
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.ledger import Ledger, RunStage
from xcom_rollout.stored.packing import pack, unpack

KEY: Final = "ledger.json"
SCHEMA: Final = "xcom-rollout-ledger/v2"
_READABLE: Final = (SCHEMA, "xcom-rollout-ledger/v1")
"""A kill that the previous version started continues: v2 has everything that v1 has."""

_MOST_FAULTS: Final = 3
"""Faults of a ledger in a message."""

_ADAPTER: Final = TypeAdapter(Ledger)


def encode(ledger: Ledger) -> str:
    """Return the ledger as JSON; the same ledger gives the same text."""
    content = _ADAPTER.dump_python(ledger, mode="json", exclude={"resource_version"})
    document = {"schema": SCHEMA, "ledger": _sorted_sets(content)}
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def decode(text: str) -> Ledger:
    """Return the ledger written as `text`.

    Raises:
        Malformed: it is not a ledger of a version that this operator knows.
    """
    try:
        document = json.loads(text)
        schema = document.get("schema") if isinstance(document, Mapping) else None
        if schema not in _READABLE:
            raise Malformed(
                f"its schema is {schema!r}, and this operator supports {' and '.join(_READABLE)}; "
                "run the operator version that wrote it"
            )
        content = _renamed(document["ledger"])
        ledger = _ADAPTER.validate_python(content)
        unknown = sorted(_unknown(content, _ADAPTER.dump_python(ledger, mode="json")))
        if unknown:
            raise Malformed(
                f"it has the fields {', '.join(unknown[:5])}, which this operator does not know "
                "and would drop; run the operator version that wrote it"
            )
        return ledger if schema == SCHEMA else _from_first_version(ledger)
    except ValidationError as error:
        raise Malformed(f"it cannot be read: {_faults(error)}") from error
    except (ValueError, KeyError, RecursionError) as error:
        raise Malformed(f"it cannot be read: {error}") from error


def _faults(error: ValidationError) -> str:
    """Return the first of them, without the values: a ledger has thousands of entries."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    faults = [
        f"{'.'.join(map(str, one['loc'])) or 'ledger'}: {one['msg']}"
        for one in found[:_MOST_FAULTS]
    ]
    more = f" and {len(found) - _MOST_FAULTS} more" if len(found) > _MOST_FAULTS else ""
    return "; ".join(faults) + more


def to_config_map(ledger: Ledger) -> Json:
    """Return the members `data` and `binaryData` of the ledger's ConfigMap."""
    return pack(KEY, encode(ledger))


def from_config_map(config_map: Json) -> Ledger:
    """Return the ledger in a ConfigMap, with the version to write it back against.

    Raises:
        Malformed: the ConfigMap holds no readable ledger. It is never treated as an empty one: that
            would lose which runs a kill has already cleared.
    """
    metadata = config_map["metadata"]
    where = f"ConfigMap {metadata.get('namespace')}/{metadata['name']}"
    try:
        text = unpack(KEY, config_map)
        if text is None:
            raise Malformed(f"it has no key {KEY}")
        ledger = decode(text)
    except (Malformed, ValueError) as error:
        raise Malformed(
            f"{where}, the ledger of the rollout: {error}. Restore it from a backup; delete it "
            "only if no run holds offloaded values"
        ) from error
    return replace(ledger, resource_version=str(metadata["resourceVersion"]))


def _from_first_version(ledger: Ledger) -> Ledger:
    """Return the ledger with what v1 lacks: a run found may have been asked to stop."""
    kill = ledger.kill
    if kill is None:
        return ledger
    runs = tuple(replace(run, stop_asked=True) for run in kill.runs if run.stage is RunStage.FOUND)
    return replace(ledger, kill=kill.with_runs(runs))


def _renamed(content: Any) -> Any:
    """Return a ledger's content with current names: `sources` were `legs` until 2026-11-28."""
    match content:
        case {"build": {"question": {"legs": legs} as question} as build}:
            named = {name: value for name, value in question.items() if name != "legs"}
            return {**content, "build": {**build, "question": {**named, "sources": legs}}}
    return content


def _unknown(found: Any, known: Any, path: str = "") -> Iterator[str]:
    """Yield the members of `found`, by their path, that `known` lacks."""
    if isinstance(found, dict) and isinstance(known, dict):
        for name, value in found.items():
            inner = f"{path}.{name}" if path else str(name)
            if name not in known:
                yield inner
            elif isinstance(value, dict | list):
                yield from _unknown(value, known[name], inner)
    elif isinstance(found, list) and isinstance(known, list):
        for entry, other in zip(found, known, strict=False):
            yield from _unknown(entry, other, f"{path}[]")


def _sorted_sets(content: Any) -> Any:
    """Sort what was a set: `old_runs`, the only one."""
    census = content.get("census")
    if census:
        census["old_runs"] = sorted(
            census["old_runs"], key=lambda run: (run["dag_id"], run["run_id"])
        )
    return content
