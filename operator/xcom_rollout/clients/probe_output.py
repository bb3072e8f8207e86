"""What the probe printed: found in a log, checked, and turned into the words of `decide`.

The form is `xcom-probe/v1`, made by `xcom_probe.model.document`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from xcom_rollout.clients.errors import Malformed
from xcom_rollout.decide.ledger import NamedCheck, OffloadedRun, RunKey, Verdict
from xcom_rollout.decide.observed import CensusResult, ProofResult
from xcom_rollout.decide.settings import NEVER_OFFLOAD, BackendSettings

BEGIN: Final = "-----BEGIN XCOM PROBE RESULT-----"
END: Final = "-----END XCOM PROBE RESULT-----"
SCHEMA: Final = "xcom-probe/v1"
_TAIL: Final = 600
"""Characters of a log that are quoted where it holds no result."""


def find_result(log: str) -> Mapping[str, Any]:
    """Return the result document between the last pair of markers.

    Raises:
        Malformed: there is none, it is cut off, or it is of another schema.
    """
    _, begin, rest = log.rpartition(BEGIN)
    body, end, _ = rest.partition(END)
    if not begin or not end:
        said = " ".join(log[-_TAIL:].split()) or "nothing"
        where = "was cut off" if begin else "is missing"
        raise Malformed(f"the probe's result {where}; its output ends with: {said}")
    try:
        document = json.loads(body)
    except ValueError as error:
        raise Malformed(f"the probe's result is not JSON: {error}") from error
    schema = document.get("schema") if isinstance(document, Mapping) else None
    if schema != SCHEMA:
        raise Malformed(f"the probe's result has the schema {schema!r}, expected {SCHEMA!r}")
    return dict(document)


def verdict(document: Mapping[str, Any]) -> Verdict:
    """Return the verdict.

    Raises:
        Malformed: it is none of pass, fail, error.
    """
    try:
        return Verdict(str(document.get("verdict")))
    except ValueError as error:
        raise Malformed(f"the probe's verdict is {document.get('verdict')!r}") from error


def proof_result(document: Mapping[str, Any]) -> ProofResult:
    """Return the outcome of `prove`.

    Raises:
        Malformed: the document lacks what a proof has.
    """
    facts = _mapping(document, "facts")
    return ProofResult(
        verdict=verdict(document),
        failed=tuple(_checks(document, "fail", "error")),
        warnings=tuple(_checks(document, "warn")),
        facts=tuple(sorted(_flat("", facts))),
        executor=str(facts.get("executor") or ""),
    )


def census_result(document: Mapping[str, Any]) -> CensusResult:
    """Return the outcome of `census`.

    Raises:
        Malformed: the document lacks what a census has.
    """
    found = verdict(document)
    problems = "; ".join(
        f"{check.name}: {check.observed}" for check in _checks(document, "fail", "error")
    )
    if found is not Verdict.PASS:
        return CensusResult(found, (), problems or "the probe names no check that failed")
    runs = document.get("runs")
    if not isinstance(runs, list):
        raise Malformed("the probe's census has no list `runs`")
    try:
        return CensusResult(
            found,
            tuple(
                OffloadedRun(
                    RunKey(str(run["dagId"]), str(run["runId"])),
                    int(run["rows"]),
                    str(run["state"] or "gone"),
                )
                for run in runs
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"a run in the probe's census cannot be read: {error!r}") from error


def loaded_settings(document: Mapping[str, Any]) -> BackendSettings:
    """Return the backend that `inspect` saw loaded, with the values that it really uses.

    Raises:
        Malformed: no backend was loaded, or the document does not name it.
    """
    facts = _mapping(document, "facts")
    loaded = facts.get("backendClass")
    if not loaded:
        problems = "; ".join(
            f"{check.name}: {check.observed}" for check in _checks(document, "fail", "error")
        )
        raise Malformed(
            f"the pod loads no XCom backend: {problems or 'the probe does not say why'}"
        )
    storage = _mapping(facts, "objectStorage")
    settings = BackendSettings(backend=str(loaded))
    if not settings.reads_offloaded:
        return settings
    return BackendSettings(
        backend=str(loaded),
        path=_value(storage, "path"),
        threshold=_value(storage, "threshold") or NEVER_OFFLOAD,
        compression=_value(storage, "compression"),
    )


def _value(options: Mapping[str, Any], name: str) -> str | None:
    """Return an effective option; an empty one is none."""
    value = _mapping(options, name).get("value")
    return None if value is None or value == "" else str(value)


def _checks(document: Mapping[str, Any], *statuses: str) -> Iterator[NamedCheck]:
    checks = document.get("checks")
    if not isinstance(checks, list):
        raise Malformed("the probe's result has no list `checks`")
    for check in checks:
        if check.get("status") in statuses:
            yield NamedCheck(
                name=str(check.get("name", "")),
                observed=str(check.get("observed", "")),
                expected=str(check.get("expected", "")),
                remedy=str(check.get("remedy", "")),
            )


def _mapping(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name)
    if not isinstance(value, Mapping):
        raise Malformed(f"the probe's result has no object `{name}`")
    return value


def _flat(prefix: str, facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _flat(f"{key}.", value)
        elif isinstance(value, str | int | float | bool):
            yield key, str(value)
