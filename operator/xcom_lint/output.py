"""The findings for people, for machines and for GitHub."""

import json
from collections.abc import Iterator
from typing import Any

from xcom_lint.model import Level
from xcom_lint.rules import RULES
from xcom_lint.run import Result
from xcom_static.audit.sarif import document, location

_SARIF_LEVELS = {Level.BLOCK: "error", Level.WARN: "warning"}


def render(result: Result, form: str, version: str) -> str:
    """The result as text of a form: text, json, sarif or github."""
    if form == "json":
        return json.dumps(as_json(result), indent=2)
    if form == "sarif":
        return json.dumps(sarif(result, version), indent=2)
    return "\n".join(_github(result) if form == "github" else _text(result))


def as_json(result: Result) -> dict[str, Any]:
    """One document."""
    return {
        "files": result.files,
        "findings": [finding.as_json() for finding in result.findings],
        "unreadable": [item.as_json() for item in result.unreadable],
    }


def sarif(result: Result, version: str) -> dict[str, Any]:
    """SARIF 2.1.0, as code scanning services read it."""
    rules = [
        {
            "id": rule.code,
            "name": rule.name,
            "shortDescription": {"text": rule.name},
            "fullDescription": {"text": rule.why},
            "help": {"text": rule.fix},
        }
        for rule in RULES
    ]
    results = [
        {
            "ruleId": finding.code,
            "level": _SARIF_LEVELS[finding.level],
            "message": {"text": f"{finding.message}. {finding.fix}"},
            "locations": [
                location(
                    finding.file.replace("\\", "/"),
                    {"startLine": finding.line, "startColumn": finding.column},
                )
            ],
        }
        for finding in result.findings
    ]
    unreadable = [(item.file, item.why) for item in result.unreadable]
    return document("xcom-lint", version, rules, results, unreadable)


def _text(result: Result) -> Iterator[str]:
    for finding in result.findings:
        place = f"{finding.file}:{finding.line}:{finding.column}"
        yield f"{place}: {finding.code} {finding.level}: {finding.message}"
        yield f"    {finding.fix}"
    for item in result.unreadable:
        yield f"{item.file}: not checked: {item.why}"
    blocked = sum(1 for finding in result.findings if finding.level is Level.BLOCK)
    summary = f"{result.files} files: {blocked} block, {len(result.findings) - blocked} warn"
    yield f"{summary}, {len(result.unreadable)} unreadable" if result.unreadable else summary


def _github(result: Result) -> Iterator[str]:
    for finding in result.findings:
        kind = "error" if finding.level is Level.BLOCK else "warning"
        yield (
            f"::{kind} file={_property(finding.file)},line={finding.line},col={finding.column},"
            f"title={_property(finding.code)}::{_data(f'{finding.message}. {finding.fix}')}"
        )
    for item in result.unreadable:
        yield f"::error file={_property(item.file)}::{_data(f'not checked: {item.why}')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
