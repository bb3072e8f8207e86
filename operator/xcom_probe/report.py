"""What a running command has found so far; kept outside of it, so that its end loses nothing."""

from __future__ import annotations

from typing import Any

from xcom_probe.model import Finding


class Report:
    """Findings, facts and the members that only one command has."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.facts: dict[str, Any] = {}
        self.members: dict[str, Any] = {}
