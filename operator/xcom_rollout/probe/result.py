"""The probe's output: found in a log, checked, and converted to the terms of `decide`.

The form is `xcom-probe/v1`, made by `xcom_probe.model.document`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from xcom_rollout.clients.errors import Malformed
from xcom_rollout.decide.ledger import Drift, NamedCheck, OffloadedRun, RunKey, Verdict
from xcom_rollout.decide.observed import (
    CalibrationResult,
    CensusResult,
    EmptyResult,
    FinishedValues,
    ProofResult,
    RehydrateResult,
)
from xcom_rollout.decide.settings import NEVER_OFFLOAD, BackendSettings

BEGIN: Final = "-----BEGIN XCOM PROBE RESULT-----"
END: Final = "-----END XCOM PROBE RESULT-----"
SCHEMA: Final = "xcom-probe/v1"
PROCESS_OPTIONS: Final = "process-options"
"""The check of `inspect` that compares the pod's own processes with a fresh one."""
PROCESS_CONFIGURATION: Final = "process-configuration"
"""The check whether airflow.cfg was changed under them."""
_TAIL: Final = 600
"""Characters of a log that are quoted where it contains no result."""


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
        failed=tuple(checks(document, "fail", "error")),
        warnings=tuple(checks(document, "warn")),
        facts=tuple(sorted(flat("", facts))),
        executor=str(facts.get("executor") or ""),
        drift=tuple(_drift(document)),
    )


def census_result(document: Mapping[str, Any]) -> CensusResult:
    """Return the outcome of `census`.

    Raises:
        Malformed: the document lacks what a census has.
    """
    found = verdict(document)
    if found is not Verdict.PASS:
        return CensusResult(found, (), _problems(document))
    try:
        return CensusResult(
            found,
            tuple(
                OffloadedRun(
                    _run_key(run),
                    int(run["rows"]),
                    str(run["state"] or "gone"),
                    run_type=str(run.get("runType") or ""),
                    waited_for_by=tuple(sorted({_run_key(w) for w in run.get("waitedForBy", ())})),
                )
                for run in _list(document, "runs")
            ),
            finished=_finished(document),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"a run in the probe's census cannot be read: {error!r}") from error


def empty_result(document: Mapping[str, Any]) -> EmptyResult:
    """Return the outcome of `forget`.

    Raises:
        Malformed: the document lacks what it has.
    """
    found = verdict(document)
    if found is Verdict.ERROR:
        return EmptyResult(found, message=_problems(document))
    emptied, left = [], []
    try:
        for run in _list(document, "runs"):
            if run.get("skipped") or int(run.get("left") or 0):
                why = run.get("skipped") or f"{run['left']} rows with paths are left"
                left.append((_run_key(run), str(why)))
            else:
                emptied.append(_run_key(run))
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"a run in the probe's answer cannot be read: {error!r}") from error
    return EmptyResult(Verdict.PASS, tuple(emptied), tuple(left))


def rehydrate_result(document: Mapping[str, Any]) -> RehydrateResult:
    """Return the outcome of `rehydrate`.

    Raises:
        Malformed: the document lacks what it has.
    """
    found = verdict(document)
    if found is Verdict.ERROR:
        return RehydrateResult(found, message=_problems(document))
    counts = _mapping(document, "counts")
    try:
        failed = tuple(
            (_run_key(row), f"{row['taskId']} {row['key']}: {row['why']}")
            for row in _list(document, "failed")
        )
        runs = {_run_key(run): int(run["left"] or 0) for run in document.get("runs") or ()}
        healed = tuple(key for key, left in runs.items() if not left)
        if not int(counts["remaining"]):
            # The list of failures is bounded.
            named = {key for key, _ in failed}
            failed += tuple(
                (key, f"{left} values could not be copied back")
                for key, left in runs.items()
                if left and key not in named
            )
        return RehydrateResult(
            found,
            copied=int(counts["copied"]),
            remaining=int(counts["remaining"]),
            healed=healed,
            failed=failed,
            failed_rows=int(counts["failed"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"the probe's rehydration cannot be read: {error!r}") from error


def _finished(document: Mapping[str, Any]) -> FinishedValues | None:
    found = document.get("finished")
    if not isinstance(found, Mapping):
        return None
    dags = tuple(str(dag["dagId"]) for dag in found.get("dags") or ())
    return FinishedValues(int(found["runs"]), int(found["rows"]), dags)


def _run_key(run: Mapping[str, Any]) -> RunKey:
    return RunKey(str(run["dagId"]), str(run["runId"]))


def _list(document: Mapping[str, Any], name: str) -> list[Any]:
    found = document.get(name)
    if not isinstance(found, list):
        raise Malformed(f"the probe's result has no list `{name}`")
    return found


def calibration_result(document: Mapping[str, Any]) -> CalibrationResult:
    """Return the outcome of `calibrate`.

    Raises:
        Malformed: the document lacks what a calibration has.
    """
    if verdict(document) is not Verdict.PASS:
        return CalibrationResult(0, (), message=_problems(document))
    found = _mapping(document, "calibration")
    try:
        recommended = int(found["recommendedThreshold"] or 0)
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"the probe's calibration cannot be read: {error!r}") from error
    report = json.dumps(found, indent=1, ensure_ascii=False)
    return CalibrationResult(recommended, tuple(sorted(flat("", found))), report)


def loaded_settings(document: Mapping[str, Any]) -> BackendSettings:
    """Return the backend that `inspect` saw loaded, with the values that it really uses.

    Raises:
        Malformed: no backend was loaded, the document does not name it, or the pod's own processes
            were started with other options than the fresh one that looked, or with an earlier
            airflow.cfg.
    """
    for check in checks(document, "fail"):
        if check.name in (PROCESS_OPTIONS, PROCESS_CONFIGURATION):
            raise Malformed(f"{check.observed}. {check.remedy}")
    facts = _mapping(document, "facts")
    loaded = facts.get("backendClass")
    if not loaded:
        raise Malformed(f"the pod loads no XCom backend: {_problems(document)}")
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


def changed_beneath(document: Mapping[str, Any]) -> bool:
    """Return whether `inspect` saw that airflow.cfg was changed under the pod's processes.

    Raises:
        Malformed: the document has no list of checks.
    """
    return any(check.name == PROCESS_CONFIGURATION for check in checks(document, "fail"))


def unseen_start(document: Mapping[str, Any]) -> str:
    """Return why `inspect` does not know whether the pod's processes have these options, or ""."""
    return "; ".join(
        check.observed for check in checks(document, "warn") if check.name == PROCESS_OPTIONS
    )


def _value(options: Mapping[str, Any], name: str) -> str | None:
    """Return an effective option; an empty one counts as not set."""
    value = _mapping(options, name).get("value")
    return None if value is None or value == "" else str(value)


def checks(document: Mapping[str, Any], *statuses: str) -> Iterator[NamedCheck]:
    """Yield the checks with one of these statuses.

    Raises:
        Malformed: the document has no list of checks.
    """
    listed = document.get("checks")
    if not isinstance(listed, list):
        raise Malformed("the probe's result has no list `checks`")
    for check in listed:
        if check.get("status") in statuses:
            yield NamedCheck(
                name=str(check.get("name", "")),
                observed=str(check.get("observed", "")),
                expected=str(check.get("expected", "")),
                remedy=str(check.get("remedy", "")),
            )


def _problems(document: Mapping[str, Any]) -> str:
    found = "; ".join(
        f"{check.name}: {check.observed}" for check in checks(document, "fail", "error")
    )
    return found or "the probe gives no reason"


def _drift(document: Mapping[str, Any]) -> Iterator[Drift]:
    """Yield the ways in which values change; without a round trip there are none."""
    drift = document.get("drift")
    if drift is None:
        tried = [check["name"] for check in document["checks"] if check["status"] != "skip"]
        if any(str(name).startswith("roundtrip-") for name in tried):
            raise Malformed("the probe's result has a round trip and no list `drift`")
        return
    for entry in drift:
        try:
            yield Drift(
                name=str(entry["class"]),
                meaning=str(entry["meaning"]),
                values=tuple(map(str, entry["values"])),
            )
        except (KeyError, TypeError) as error:
            raise Malformed(f"the drift in the probe's result cannot be read: {error!r}") from error


def _mapping(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name)
    if not isinstance(value, Mapping):
        raise Malformed(f"the probe's result has no object `{name}`")
    return value


def flat(prefix: str, facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield nested plain values as text, by their path with dots."""
    for name, value in facts.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from flat(f"{key}.", value)
        elif isinstance(value, str | int | float | bool):
            yield key, str(value)
