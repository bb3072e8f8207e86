"""Ends processes of tasks by force.

Measured (docs/airflow.md, "Executors"): where the lowest process of an attempt is killed, its
supervisor and Celery's pool notice within a second, and the worker goes on. A supervisor that is
killed first leaves a task that nothing watches. So a supervisor is ended only where no task is left
below it, and a process of Celery's pool never: it will run other tasks.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Iterable, Mapping, NamedTuple

from xcom_probe.processes import attempts, table, titles
from xcom_probe.processes.attempts import Attempt

_LOOK = 0.05
"""Seconds between two checks whether they have ended."""


class Named(NamedTuple):
    """A process: PID and start, as in `table.Process`."""

    pid: int
    started: int


class Outcome(NamedTuple):
    """What became of the processes that were to be ended.

    Attributes:
        ended: were killed.
        left: supervisors that end by themselves, for their task was killed or still lives.
        gone: no longer ran a task.
        refused: could not be killed, and why.
    """

    ended: list[Named]
    left: list[Named]
    gone: list[Named]
    refused: dict[Named, str]


def end(wanted: Iterable[Named], proc: str, mine: int, patience: float) -> Outcome:
    """Kill exactly these, where they still run tasks; wait until they have ended.

    Args:
        proc, mine: as for `table.read`.
        patience: seconds to wait, for supervisors too; what has not ended by then is not an error.

    Raises:
        CannotLook: not all processes can be seen here.
    """
    found = attempts.find(table.read(proc, mine)).attempts
    outcome = Outcome([], [], [], {})
    for each in wanted:
        attempt = found.get(each.pid)
        if attempt is None or attempt.started != each.started:
            outcome.gone.append(each)
        elif attempt.kind != titles.TASK and (
            attempt.kind == attempts.POOL or _works(each.pid, found)
        ):
            outcome.left.append(each)
        else:
            _kill(each, proc, outcome)
    _wait([*outcome.ended, *outcome.left], proc, mine, patience)
    return outcome


def _works(supervisor: int, found: Mapping[int, Attempt]) -> bool:
    """Whether a task is left below a supervisor."""
    for attempt in found.values():
        above = attempt.parent
        while above in found:
            if above == supervisor:
                return True
            above = found[above].parent
    return False


def _kill(each: Named, proc: str, outcome: Outcome) -> None:
    # Its PID may be reused by now; from here to the signal it takes microseconds.
    process = table.one(proc, each.pid)
    if process is None or process.ended or process.started != each.started:
        outcome.gone.append(each)
        return
    try:
        os.kill(each.pid, signal.SIGKILL)
    except ProcessLookupError:
        outcome.gone.append(each)
    except PermissionError as problem:
        outcome.refused[each] = f"{problem.strerror}: it belongs to another user"
    else:
        outcome.ended.append(each)


def _wait(those: Iterable[Named], proc: str, mine: int, patience: float) -> None:
    end_of_patience = time.monotonic() + patience
    left = set(those)
    while left and time.monotonic() < end_of_patience:
        found = attempts.find(table.read(proc, mine)).attempts
        left = {each for each in left if _is(each, found)}
        if left:
            time.sleep(_LOOK)


def _is(each: Named, found: Mapping[int, Attempt]) -> bool:
    return each.pid in found and found[each.pid].started == each.started
