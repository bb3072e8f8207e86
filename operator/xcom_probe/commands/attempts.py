"""`attempts`: which processes of this container run tasks; with --end, ends some of them.

An attempt in a worker is a process. Nothing else shows it for certain, neither Airflow's rows nor
Celery's answers (docs/airflow.md, "Executors").
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from typing import Any

from xcom_probe import redact, runtime
from xcom_probe.model import FAIL, PASS, Finding, UsageError
from xcom_probe.processes import attempts, kill, table
from xcom_probe.processes.attempts import Attempt, Seen
from xcom_probe.processes.kill import Named, Outcome
from xcom_probe.report import Report

HELP = "list the processes here that run tasks; with --end, kill some of them"
_PROC = "/proc"
_PATIENCE = 3.0
"""Seconds for what was killed to be gone: Airflow and Celery notice within one."""


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `attempts`."""
    parser.add_argument(
        "--end",
        metavar="PID:STARTED",
        nargs="+",
        default=[],
        help="kill these with SIGKILL, each if it started then and still runs a task; a process "
        "of Celery's pool, and one that supervises a running task, are left to end",
    )


def run(args: Namespace, report: Report) -> None:
    """Look; then end what is named.

    Raises:
        CannotLook: not all processes can be seen here.
        UsageError: a process is not named by two numbers.
    """
    wanted = [_named(text) for text in args.end]
    report.facts.update(runtime.facts())
    if wanted:
        outcome = kill.end(wanted, _PROC, os.getpid(), _PATIENCE)
        report.members["ended"] = _outcome(outcome)
        report.findings.append(_ended(outcome))
    seen = attempts.find(table.read(_PROC, os.getpid()))
    report.members["attempts"] = [_as_json(attempt) for attempt in seen.attempts.values()]
    report.facts["pool"] = {"processes": seen.pool, "idle": seen.idle}
    report.findings.append(_seen(seen))


def _named(text: str) -> Named:
    pid, _, started = text.partition(":")
    if not (pid.isdecimal() and started.isdecimal() and int(pid) > 1):
        raise UsageError(
            f"--end {text!r}: use PID:STARTED, as `attempts` lists them; process 1 is not allowed"
        )
    return Named(int(pid), int(started))


def _as_json(attempt: Attempt) -> dict[str, Any]:
    task = attempt.task
    names = (task.dag, task.task, task.run)
    # A name that looks like a URL with a password is masked, and would then be a different one.
    sure = all(name is None or redact.text(name) == name for name in names)
    dag, name, run_id = names if sure else (None, None, None)
    return {
        "pid": attempt.pid,
        "started": attempt.started,
        "kind": attempt.kind,
        "airflow": attempt.airflow,
        "dagId": dag,
        "taskId": name,
        "runId": run_id,
        "mapIndex": task.map_index,
        "taskInstanceId": task.instance,
        "title": attempt.title,
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "killed": [each._asdict() for each in outcome.ended],
        "left": [each._asdict() for each in outcome.left],
        "gone": [each._asdict() for each in outcome.gone],
        "refused": [{**each._asdict(), "why": why} for each, why in outcome.refused.items()],
    }


def _ended(outcome: Outcome) -> Finding:
    expected = "each is killed, gone, or ends by itself"
    if not outcome.refused:
        summary = f"{len(outcome.ended)} killed, {len(outcome.left)} left, {len(outcome.gone)} gone"
        return Finding("attempts-ended", PASS, summary, expected)
    named = "; ".join(f"process {each.pid}: {why}" for each, why in outcome.refused.items())
    return Finding(
        "attempts-ended",
        FAIL,
        named,
        expected,
        "A task that still runs after the clear of its run corrupts the re-run.",
        "A task with run_as_user belongs to that user: wait for it, or kill it as root.",
    )


def _seen(seen: Seen) -> Finding:
    counts = f"{len(seen.attempts)} processes; {seen.idle} of {seen.pool} of Celery's pool are idle"
    return Finding("attempts-seen", PASS, counts, "every process of a task is listed")
