"""The findings as SARIF 2.1.0, for code hosts and editors."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from xcom_probe import __version__
from xcom_probe.static.effects import DRIFTS, FAILS
from xcom_probe.static.engine import Finding, Result
from xcom_probe.static.rules import RULES
from xcom_probe.static.text import subject

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ABOUT = "docs/audit.md"
_INDEX = {rule.id: index for index, rule in enumerate(RULES)}


def sarif(result: Result) -> dict[str, Any]:
    """The document, with one run. File names are relative to the folder that was looked at."""
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "xbr audit",
                        "version": __version__,
                        "rules": [
                            {
                                "id": rule.id,
                                "name": rule.name,
                                "shortDescription": {"text": f"XCom holds {rule.title}."},
                                "help": {"text": f"{rule.fix} See {_ABOUT}."},
                            }
                            for rule in RULES
                        ],
                    }
                },
                "columnKind": "utf16CodeUnits",
                "results": [_result(finding) for finding in result.findings],
                "invocations": [
                    {
                        "executionSuccessful": not result.unreadable,
                        "toolExecutionNotifications": [
                            {
                                "level": "error",
                                "message": {"text": f"not looked at: {item.why}"},
                                "locations": [_location(item.file)],
                            }
                            for item in result.unreadable
                        ],
                    }
                ],
            }
        ],
    }


def _result(finding: Finding) -> dict[str, Any]:
    region = {"startLine": finding.line, "startColumn": finding.column}
    location = _location(finding.file, region)
    if finding.task_id is not None:
        path = ".".join(part for part in (finding.dag_id, finding.task_id) if part)
        location["logicalLocations"] = [
            {"name": finding.task_id, "fullyQualifiedName": path, "kind": "function"}
        ]
    return {
        "ruleId": finding.rule,
        "ruleIndex": _INDEX[finding.rule],
        "level": _level(finding),
        "message": {
            "text": f"{subject(finding.dag_id, finding.task_id)} {finding.message} {finding.fix}"
        },
        "locations": [location],
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


def _location(file: str, region: dict[str, int] | None = None) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(file)}}
    if region:
        physical["region"] = region
    return {"physicalLocation": physical}
