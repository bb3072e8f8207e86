"""The findings as SARIF 2.1.0, for code hosts and editors."""

from __future__ import annotations

from typing import Any, Iterable
from urllib.parse import quote

from xcom_static.audit.effects import DRIFTS, FAILS
from xcom_static.audit.engine import Finding, Result
from xcom_static.audit.rules import ABOUT_CODE, RULES, Rule
from xcom_static.audit.text import subject

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ABOUT = "docs/audit.md"
_INDEX = {rule.id: index for index, rule in enumerate(RULES)}


def sarif(result: Result, version: str) -> dict[str, Any]:
    """The document of an audit by `version` of this tool; file names are relative to the folder."""
    rules = [
        {
            "id": rule.id,
            "name": rule.name,
            "shortDescription": {"text": _short(rule)},
            "help": {"text": f"{rule.fix} See {_ABOUT}."},
        }
        for rule in RULES
    ]
    unreadable = [(item.file, item.why) for item in result.unreadable]
    found = [_result(finding) for finding in result.findings]
    return document("xbr audit", version, rules, found, unreadable)


def _short(rule: Rule) -> str:
    return f"A file has {rule.title}." if rule.id in ABOUT_CODE else f"XCom holds {rule.title}."


def document(
    name: str,
    version: str,
    rules: list[dict[str, Any]],
    results: list[dict[str, Any]],
    unreadable: Iterable[tuple[str, str]],
) -> dict[str, Any]:
    """A document with the one run of a tool.

    Args:
        name, version: of the tool.
        rules, results: in the form of SARIF.
        unreadable: files that were not looked at, each with the reason.
    """
    notifications = [
        {
            "level": "error",
            "message": {"text": f"not checked: {why}"},
            "locations": [location(file)],
        }
        for file, why in unreadable
    ]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": name, "version": version, "rules": rules}},
                "columnKind": "utf16CodeUnits",
                "results": results,
                "invocations": [
                    {
                        "executionSuccessful": not notifications,
                        "toolExecutionNotifications": notifications,
                    }
                ],
            }
        ],
    }


def _result(finding: Finding) -> dict[str, Any]:
    region = {"startLine": finding.line, "startColumn": finding.column}
    place = location(finding.file, region)
    if finding.task_id is not None:
        path = ".".join(part for part in (finding.dag_id, finding.task_id) if part)
        place["logicalLocations"] = [
            {"name": finding.task_id, "fullyQualifiedName": path, "kind": "function"}
        ]
    return {
        "ruleId": finding.rule,
        "ruleIndex": _INDEX[finding.rule],
        "level": _level(finding),
        "message": {
            "text": f"{subject(finding.dag_id, finding.task_id)} {finding.message} {finding.fix}"
        },
        "locations": [place],
        "properties": {
            "confidence": finding.confidence,
            "effect": finding.effect,
            "new": finding.new,
        },
    }


def _level(finding: Finding) -> str:
    if finding.effect == FAILS:
        return "warning" if finding.confidence == "low" else "error"
    return "warning" if finding.effect == DRIFTS else "note"


def location(file: str, region: dict[str, int] | None = None) -> dict[str, Any]:
    """A place in a file; without a region the file as a whole."""
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(file)}}
    if region:
        physical["region"] = region
    return {"physicalLocation": physical}
