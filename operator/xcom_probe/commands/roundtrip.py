"""`roundtrip`: values written and read back through the backend that is loaded here.

Rows live in a transaction that is never committed (see `throwaway.ThrowAwayRun`). Objects are
written below `<base>/xcom_probe/<unique run>/` and removed, also when the process is ended.
"""

from __future__ import annotations

import json
import uuid
from argparse import ArgumentParser, Namespace
from typing import Any

from xcom_probe import ending, redact, values
from xcom_probe.airflow import backend, storage, throwaway, versions
from xcom_probe.commands import inspect
from xcom_probe.model import ERROR, FAIL, PASS, SKIP, WARN, CannotLook, Finding
from xcom_probe.report import Report
from xcom_probe.values import Sample

HELP = "write and read back values through the loaded backend; leaves nothing behind"

_WHY = "A task that pulls such a value would get another one, or none, with or without an error."
_REMEDIES = {values.JSON_STRINGS: versions.JSON_STRINGS_REMEDY}
_REMEDY = "Do not switch the backend in this image; try another version of the provider."


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `roundtrip`."""
    parser.add_argument(
        "--expect-threshold",
        metavar="BYTES",
        type=int,
        required=True,
        help="the threshold in force; values below, at and above it are tried",
    )
    strict_argument(parser)


def strict_argument(parser: ArgumentParser) -> None:
    """Add --strict."""
    parser.add_argument(
        "--strict",
        action="store_true",
        help="JSON-looking strings that change type fail instead of warn",
    )


def run(args: Namespace, report: Report) -> None:
    """Load Airflow here and make the trip."""
    loaded = inspect.load(report, threshold=args.expect_threshold)
    if loaded.xcom is None:
        raise CannotLook(f"the XCom class cannot be imported: {loaded.problem}")
    trip(loaded, args.expect_threshold, args.strict, report)


def trip(loaded: Any, threshold: int, strict: bool, report: Report) -> None:
    """Write, read, compare, clean up; one check per kind of value.

    Args:
        loaded: `checks.configuration.Loaded` with its class imported.
        threshold: bytes; what is offloaded is judged by this, not by what the pod says.
    """
    samples = values.control_flow() + values.sized(threshold)
    seen: list[dict[str, Any]] = []
    report.members["values"] = seen
    run_id = f"xcom_probe__{uuid.uuid4().hex}"
    is_object = backend.qualified_name(loaded.xcom) == versions.OBJECT_BACKEND
    base = _base(loaded) if is_object else None
    try:
        with throwaway.ThrowAwayRun(run_id) as made:
            row = made.task(loaded.xcom, "roundtrip")
            for sample in samples:
                # One by one: what is done so far is in the report, whenever this ends.
                with ending.held():
                    seen.append(_one(row, sample, base, threshold))
        report.findings.extend(_findings(seen, threshold, strict))
    finally:
        if base:
            report.findings.append(_clean(base, run_id))


def _base(loaded: Any) -> str:
    """The base path as the backend writes it into rows."""
    return str(storage.storage_path(loaded.path())).rstrip("/") if loaded.path() else ""


def _one(
    row: throwaway.ThrowAwayTask, sample: Sample, base: str | None, threshold: int
) -> dict[str, Any]:
    """Write one value, read it, look where it was kept, remove its object."""
    result: dict[str, Any] = {
        "name": sample.name,
        "class": sample.kind,
        "bytes": values.encoded_size(sample.value),
        "verdict": values.FAILURE,
        "offloaded": None,
        "detail": "",
    }
    try:
        row.write(sample.name, sample.value)
        stored = row.stored(sample.name)
        if result["bytes"] is None:
            result["bytes"] = len(stored)
        path = _path(stored, base)
        result["offloaded"] = path is not None
        problem = _misplaced(sample, path, base, threshold)
        if path is not None and not problem and not storage.storage_path(path).exists():
            problem = f"the row names {path}, which is not there"
        difference = values.difference(sample.value, row.read(sample.name))
        if path is not None:
            row.purge(path)
    except Exception as failure:  # noqa: BLE001 - the other values are still to be tried
        result["detail"] = redact.error(failure)
        return result
    if problem:
        result["detail"] = problem
    else:
        result["verdict"] = values.DRIFT if difference else values.EQUAL
        result["detail"] = redact.text(difference)
    return result


def _path(stored: bytes, base: str | None) -> str | None:
    """The path below `base` that a row holds, None if it holds the value itself."""
    if not base or len(stored) > 65536:
        return None
    try:
        text = json.loads(stored.decode("utf-8"))
    except ValueError:
        return None
    return text if isinstance(text, str) and text.startswith(base + "/") else None


def _misplaced(sample: Sample, path: str | None, base: str | None, threshold: int) -> str:
    """Why this value should not be where it is; empty if it should."""
    size = values.encoded_size(sample.value)
    if size is None:
        return ""
    should = base is not None and 0 <= threshold <= size
    if should and path is None:
        return f"{size} bytes stayed in the row, at a threshold of {threshold}"
    if path is not None and not should:
        return f"{size} bytes were offloaded, at a threshold of {threshold}"
    return ""


def _findings(seen: list[dict[str, Any]], threshold: int, strict: bool) -> list[Finding]:
    kinds: dict[str, list[dict[str, Any]]] = {}
    for item in seen:
        kinds.setdefault(item["class"], []).append(item)
    findings = [_finding(kind, items, strict) for kind, items in kinds.items()]
    if threshold > values.LARGEST:
        findings.append(
            Finding(
                "roundtrip-" + values.ABOVE,
                SKIP,
                f"not looked at: values of {threshold} bytes and more are too large to try in a "
                f"pod (limit {values.LARGEST})",
            )
        )
    return findings


def _finding(kind: str, items: list[dict[str, Any]], strict: bool) -> Finding:
    bad = [item for item in items if item["verdict"] != values.EQUAL]
    name = "roundtrip-" + kind
    expected = f"{len(items)} values come back equal in value and type"
    if not bad:
        offloaded = sum(1 for item in items if item["offloaded"])
        return Finding(
            name,
            PASS,
            f"{len(items)} equal, {offloaded} of them offloaded",
            expected,
            _WHY,
        )
    only_drift = all(item["verdict"] == values.DRIFT for item in bad)
    lenient = kind == values.JSON_STRINGS and only_drift and not strict
    return Finding(
        name,
        WARN if lenient else FAIL,
        "; ".join(
            "{} ({}): {}".format(item["name"], item["verdict"], item["detail"]) for item in bad
        ),
        expected,
        _WHY,
        _REMEDIES.get(kind, _REMEDY),
    )


def _clean(base: str, run_id: str) -> Finding:
    """See that the store holds nothing of this run, and remove what it does hold."""
    folder = f"{base}/{throwaway.ThrowAwayRun.DAG_ID}/{run_id}"
    expected = f"no object below {folder}"
    why = "An object without a row stays in the bucket for good."
    try:
        left = list(storage.find_objects(folder))
        for url in left:
            storage.remove_object(url, base)
    except Exception as problem:  # noqa: BLE001 - whatever it is, somebody has to look
        return Finding(
            "roundtrip-clean",
            ERROR,
            f"could not look: {redact.error(problem)}",
            expected,
            why,
            f"Remove what is below {folder}.",
        )
    if left:
        return Finding(
            "roundtrip-clean",
            WARN,
            "the backend left {} objects, now removed: {}".format(len(left), ", ".join(left[:5])),
            expected,
            why,
            "Allow s3:DeleteObject to the identity of the connection.",
        )
    return Finding("roundtrip-clean", PASS, expected, expected, why)
