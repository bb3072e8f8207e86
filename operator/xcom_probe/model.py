"""What a probe reports: findings, the verdict that follows from them, the result document."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Iterable, NamedTuple

from xcom_probe import __version__

SCHEMA = "xcom-probe/v1"

PASS = "pass"
FAIL = "fail"
WARN = "warn"
SKIP = "skip"
ERROR = "error"
STATUSES = (PASS, FAIL, WARN, SKIP, ERROR)

EXIT_PASS = 0
EXIT_FAIL = 1
EXIT_USAGE = 2
EXIT_ERROR = 3
EXIT_CODES = {PASS: EXIT_PASS, FAIL: EXIT_FAIL, ERROR: EXIT_ERROR}


class CannotLook(Exception):
    """The thing to look at is out of reach: neither a yes nor a no."""


class UsageError(Exception):
    """An argument is wrong; the message names it, its value and what to write instead."""


class Interrupted(BaseException):
    """The process was asked to end (SIGTERM). Not an Exception, so that no check swallows it."""


class Finding(NamedTuple):
    """The outcome of one named check, complete enough to act on.

    Attributes:
        name: the check, a stable identifier.
        status: one of `STATUSES`. `skip` says in `observed` why nothing was looked at.
        observed: the value seen, with its source where it has one. Never a secret.
        expected: the value that would have passed.
        why: what goes wrong in Airflow otherwise.
        remedy: what to do.
    """

    name: str
    status: str
    observed: str
    expected: str = ""
    why: str = ""
    remedy: str = ""


def verdict(findings: Iterable[Finding]) -> str:
    """`fail` if a check failed, else `error` if one could not look, else `pass`."""
    statuses = {finding.status for finding in findings}
    if FAIL in statuses:
        return FAIL
    return ERROR if ERROR in statuses else PASS


def document(
    command: str,
    findings: list[Finding],
    facts: dict[str, Any],
    members: dict[str, Any],
    started_at: float,
    seconds: float,
) -> dict[str, Any]:
    """The result document of docs/reference/probe-result.schema.json.

    Args:
        started_at: Unix time in seconds.
        seconds: wall time the command took.
        members: what only this command has (`values`, `runs`, `counts`, ...).
    """
    return {
        "schema": SCHEMA,
        "command": command,
        "verdict": verdict(findings),
        "probeVersion": __version__,
        "startedAt": rfc3339(datetime.fromtimestamp(started_at, timezone.utc)),
        "seconds": round(seconds, 3),
        "facts": facts,
        "checks": [finding._asdict() for finding in findings],
        **members,
    }


def rfc3339(moment: datetime) -> str:
    """UTC with microseconds and a Z, whatever zone `moment` (which must have one) is in."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
