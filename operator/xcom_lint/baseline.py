"""Findings that are accepted for now, so that a repository can begin with the next ones.

An entry is the rule, the file and a hash of the code line: it goes with its line when lines above
change, and no longer counts when the line itself does. Equal lines of one file count one by one.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from xcom_lint.config import ConfigError
from xcom_lint.model import Finding

_VERSION = 1


def write(path: Path, findings: Iterable[Finding]) -> int:
    """Write the findings as accepted; returns how many.

    Raises:
        ConfigError: the file cannot be written.
    """
    entries = sorted(_entry(finding) for finding in findings)
    content = {
        "version": _VERSION,
        "findings": [{"code": code, "file": file, "hash": text} for code, file, text in entries],
    }
    try:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as problem:
        raise ConfigError(f"{path}: the baseline cannot be written: {problem}") from problem
    return len(entries)


def apply(path: Path, findings: Iterable[Finding]) -> list[Finding]:
    """The findings that are not accepted.

    Raises:
        ConfigError: the file does not exist, or is not a baseline.
    """
    accepted = _read(path)
    left = []
    for finding in findings:
        entry = _entry(finding)
        if accepted[entry] > 0:
            accepted[entry] -= 1
        else:
            left.append(finding)
    return left


def _read(path: Path) -> Counter[tuple[str, str, str]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != _VERSION:
            raise ConfigError(f"baseline {path}: version {content['version']!r}, not {_VERSION}")
        return Counter((item["code"], item["file"], item["hash"]) for item in content["findings"])
    except FileNotFoundError as problem:
        raise ConfigError(
            f"baseline {path} does not exist; create it with: xbr lint --write-baseline"
        ) from problem
    except (OSError, ValueError, KeyError, TypeError) as problem:
        if isinstance(problem, ConfigError):
            raise
        raise ConfigError(f"{path} is not a baseline: {problem!r}") from problem


def _entry(finding: Finding) -> tuple[str, str, str]:
    # Without regard to indentation and spacing.
    text = " ".join(finding.text.split())
    return finding.code, finding.file, hashlib.sha256(text.encode()).hexdigest()[:16]
