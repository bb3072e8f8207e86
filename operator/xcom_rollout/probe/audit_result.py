"""The findings of an audit by the probe, in the terms of `decide`, and in full for people."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from xcom_rollout.clients.errors import Malformed
from xcom_rollout.decide.ledger import (
    AuditFinding,
    AuditKind,
    Confidence,
    Effect,
    NamedCheck,
    Verdict,
)
from xcom_rollout.decide.observed import AuditResult
from xcom_rollout.probe import result as probe_output

MOST_KEPT: Final = 1000
"""Findings that a ledger keeps; it is read at every pass."""
MOST_PUBLISHED: Final = 5000
"""Findings in the report for people: compressed, some hundred KiB."""
UNREADABLE: Final = "unreadable"
"""Kind of finding for a file that could not be read."""
_MOST_WHY: Final = 200
"""Characters of a reason: a ledger has room for a thousand reasons."""
_CONFIDENCE: Final = {name.lower(): name for name in Confidence}
_SURENESS: Final = tuple(Confidence)
_WORSE: Final = {"none": 0, "unknown": 0, "offloads": 0, Effect.DRIFTS: 1, Effect.FAILS: 2}


def audit_result(document: Mapping[str, Any], kind: AuditKind) -> AuditResult:
    """Return the outcome of `audit --static` or `audit --dynamic`.

    Raises:
        Malformed: the document is incomplete.
    """
    member = document.get(str(kind))
    troubles = tuple(_troubles(document, f"audit-{kind}"))
    if not isinstance(member, Mapping):
        if not troubles:
            raise Malformed(f"the probe's result has no object `{kind}`")
        return AuditResult(Verdict.ERROR, (), 0, troubles, ())
    name = "findings" if kind is AuditKind.STATIC else "tasks"
    entries = member.get(name)
    if not isinstance(entries, list):
        raise Malformed(f"the probe's {kind} audit has no list `{name}`")
    try:
        read = _static(member) if kind is AuditKind.STATIC else _dynamic(entries)
        found = _sorted(read)
        cut = int(member.get("tasksLeftOut") or 0) if all(map(_is_new, entries)) else 0
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"a finding of the {kind} audit cannot be read: {error!r}") from error
    return AuditResult(
        verdict=Verdict.ERROR if troubles else Verdict.FAIL if found else Verdict.PASS,
        findings=found[:MOST_KEPT],
        left_out=len(found[MOST_KEPT:]) + cut,
        failed=troubles,
        facts=tuple(sorted(_facts(document, member))),
        report=_report(member, name, entries),
    )


def _troubles(document: Mapping[str, Any], own: str) -> Iterator[NamedCheck]:
    """Yield what prevented the audit, except its own checks: the findings contain more."""
    for check in probe_output.checks(document, "fail", "error"):
        if not check.name.startswith(own):
            yield check


def _static(member: Mapping[str, Any]) -> Iterator[AuditFinding]:
    for entry in member["findings"]:
        if _is_new(entry):
            yield AuditFinding(
                effect=Effect(entry["effect"]),
                confidence=Confidence(_CONFIDENCE[entry["confidence"]]),
                kind=str(entry["kind"]),
                dag_id=str(entry["dagId"] or ""),
                task_id=str(entry["taskId"] or ""),
                file=str(entry["file"]),
                line=int(entry["line"] or 0),
                key=str(entry["key"] or ""),
            )
    for entry in member["unreadable"]:
        yield AuditFinding(
            effect=Effect.UNSEEN,
            confidence=Confidence.HIGH,
            kind=UNREADABLE,
            file=str(entry["file"]),
            line=int(entry["line"] or 0),
            why=str(entry["why"])[:_MOST_WHY],
        )


def _dynamic(entries: Sequence[Mapping[str, Any]]) -> Iterator[AuditFinding]:
    for entry in entries:
        if _is_new(entry):
            yield AuditFinding(
                effect=Effect(entry["effect"]),
                confidence=Confidence.HIGH,
                kind=str(entry["kind"]),
                dag_id=str(entry["dagId"]),
                task_id=str(entry["taskId"]),
                key=str(entry["key"]),
                rows=int(entry["rows"]),
            )


def _is_new(entry: Mapping[str, Any]) -> bool:
    """Whether the flip makes it worse: a value that also fails today is not its concern.

    The probe lists these first, so none of them was left out where the list has another one.
    """
    effect, today = str(entry["effect"]), str(entry.get("today", "none"))
    return _WORSE[effect] > _WORSE[today]


def _sorted(found: Iterator[AuditFinding]) -> tuple[AuditFinding, ...]:
    """Return the findings, the surest first and of these the worst, one for each task and file."""
    one: dict[AuditFinding, AuditFinding] = {}
    for finding in found:
        one.setdefault(replace(finding, line=0, rows=0), finding)
    effects = tuple(Effect)
    return tuple(
        sorted(
            one.values(),
            key=lambda f: (
                _SURENESS.index(f.confidence),
                effects.index(f.effect),
                (f.dag_id, f.task_id, f.file, f.line, f.key),
            ),
        )
    )


def _facts(document: Mapping[str, Any], member: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what was audited: the plain members of the audit, and the versions."""
    yield from probe_output.flat("", {k: v for k, v in member.items() if not isinstance(v, list)})
    facts = document.get("facts")
    if isinstance(facts, Mapping):
        yield from probe_output.flat("", facts)


def _report(member: Mapping[str, Any], name: str, entries: Sequence[Any]) -> str:
    """Return the audit as JSON, one finding a line, with as many as a ConfigMap has room for."""
    rest = {key: value for key, value in member.items() if key != name}
    head = json.dumps({**rest, "leftOut": len(entries[MOST_PUBLISHED:])}, ensure_ascii=False)
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries[:MOST_PUBLISHED])
    return f'{head[:-1]}, "{name}": [\n{lines}\n]}}\n'
