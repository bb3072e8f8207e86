"""Checks are small functions in a table; `run` walks a table and yields one finding per check."""

from __future__ import annotations

from typing import Any, Callable, Iterable, NamedTuple

from xcom_probe import redact
from xcom_probe.model import ERROR, FAIL, PASS, SKIP, WARN, CannotLook, Finding

_AN_ANSWER = "any answer"


class Outcome(NamedTuple):
    """What one check function saw. `remedy` replaces the table's where it is more specific."""

    status: str
    observed: str
    expected: str = ""
    remedy: str = ""


class Check(NamedTuple):
    """A row of a table.

    Attributes:
        name: stable identifier.
        run: gets the context of its table, returns what it saw. May raise `Skip` (with the
            reason) or `CannotLook`; anything else it raises is reported as an error too.
        why: what goes wrong in Airflow if this is not so.
        remedy: what to do about it.
        needs: names of checks above; if one of them did not pass, this one is skipped.
    """

    name: str
    run: Callable[[Any], Outcome]
    why: str
    remedy: str
    needs: tuple[str, ...] = ()


class Skip(Exception):
    """There is nothing to look at; the message says why."""


def passed(observed: str, expected: str = "") -> Outcome:
    """As it should be."""
    return Outcome(PASS, observed, expected)


def failed(observed: str, expected: str, remedy: str = "") -> Outcome:
    """Not as it should be."""
    return Outcome(FAIL, observed, expected, remedy)


def warned(observed: str, expected: str, remedy: str = "") -> Outcome:
    """Worth knowing, does not stop."""
    return Outcome(WARN, observed, expected, remedy)


def run(table: Iterable[Check], context: Any, findings: list[Finding]) -> None:
    """Run `table` in order and append one finding per check.

    The findings are appended as they are made, so that a process that is ended keeps them.
    """
    for check in table:
        done: dict[str, str] = {finding.name: finding.status for finding in findings}
        findings.append(_finding(check, _outcome(check, context, done)))


def _outcome(check: Check, context: Any, done: dict[str, str]) -> Outcome:
    blocked = [name for name in check.needs if done.get(name) not in (PASS, WARN)]
    if blocked:
        return Outcome(SKIP, "not checked: {} did not pass".format(", ".join(blocked)))
    try:
        return check.run(context)
    except Skip as reason:
        return Outcome(SKIP, f"not checked: {reason}")
    except CannotLook as reason:
        return Outcome(ERROR, str(reason), _AN_ANSWER)
    except Exception as problem:  # noqa: BLE001 - one broken check must not hide the others
        return Outcome(ERROR, f"could not be checked: {redact.error(problem)}", _AN_ANSWER)


def _finding(check: Check, outcome: Outcome) -> Finding:
    trouble = outcome.status in (FAIL, WARN, ERROR)
    return Finding(
        name=check.name,
        status=outcome.status,
        observed=redact.text(outcome.observed),
        expected=redact.text(outcome.expected),
        why=check.why,
        remedy=redact.text(outcome.remedy or check.remedy) if trouble else "",
    )
