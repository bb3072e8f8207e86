"""Which processes run tasks.

What Celery's pool forks runs a task, whatever its title: a fork first has its parent's. So a
process of the pool is busy if it has a child. A child that has ended counts, too, until its parent
has noticed: the parent may still be handling what it wrote.
"""

from __future__ import annotations

from typing import Mapping, NamedTuple

from xcom_probe.processes import titles
from xcom_probe.processes.table import Process
from xcom_probe.processes.titles import Task, Title

POOL = "pool"
_POOLS = frozenset({titles.POOL, titles.POOL_3})
_HELPERS = ("from multiprocessing.", "from billiard.")
"""Programs of Python's own that a process may have beside it (such as trackers of semaphores)."""


class Attempt(NamedTuple):
    """A process that runs a task, or watches one.

    Attributes:
        pid, started: name it, as in `Process`.
        parent: its parent's PID.
        kind: `task`, `supervisor`, or `pool` for a process of Celery's pool that watches a task and
            will run others.
        airflow: Airflow's major version, None where it is not known.
        task: as far as it is known.
        title: for people.
    """

    pid: int
    started: int
    parent: int
    kind: str
    airflow: int | None
    task: Task
    title: str


class Seen(NamedTuple):
    """What runs here.

    Attributes:
        attempts: by PID.
        pool: how many processes Celery's pool has.
        idle: how many of those have nothing to do.
    """

    attempts: dict[int, Attempt]
    pool: int
    idle: int


def find(processes: Mapping[int, Process]) -> Seen:
    """Find the processes that run tasks."""
    named = {pid: _name(process) for pid, process in processes.items() if not process.ended}
    children: dict[int, list[int]] = {}
    for process in processes.values():
        if not _is_helper(process):
            children.setdefault(process.parent, []).append(process.pid)
    found: dict[int, Attempt] = {}
    pool = idle = 0
    for pid, title in sorted(named.items()):
        process = processes[pid]
        kind = _kind(title, named.get(process.parent), process)
        if kind in _POOLS:
            pool += 1
            if not children.get(pid):
                idle += 1
                continue
            if title.kind == titles.POOL and any(child in named for child in children[pid]):
                continue  # its child is listed, and shows which task it is
            kind = POOL
        if kind in (titles.TASK, titles.SUPERVISOR, POOL):
            task = _task(pid, processes, named)
            found[pid] = Attempt(
                pid, process.started, process.parent, kind, title.airflow, task, title.text
            )
    return Seen(found, pool, idle)


def _name(process: Process) -> Title:
    if process.words:
        return titles.read(process.words, process.whole)
    return titles.read_short(process.comm)


def _kind(title: Title, above: Title | None, process: Process) -> str:
    """What a process is, by its title and its parent."""
    if title.kind in (titles.TASK, titles.MAIN) or above is None:
        return title.kind
    if above.kind in _POOLS and title.kind in (*_POOLS, titles.OTHER):
        return titles.OTHER if _is_helper(process) else titles.TASK
    if (above.kind, above.text) == (titles.SUPERVISOR, title.text):
        return titles.TASK
    return title.kind


def _is_helper(process: Process) -> bool:
    return any(word.startswith(_HELPERS) for word in process.words)


def _task(pid: int, processes: Mapping[int, Process], named: Mapping[int, Title]) -> Task:
    """Which task a process runs. The title of a supervisor of Airflow 2 is never ambiguous."""
    title, parent = named[pid], processes[pid].parent
    while parent in named and named[parent] == title:
        parent = processes[parent].parent  # it was forked by a process with the same title
    above = named.get(parent)
    if above is None or not above.task.known:
        return title.task
    if above.kind == titles.SUPERVISOR and titles.runner_of(above.task, title.text):
        return above.task
    if above.kind == titles.POOL_3 and not title.task.known:
        return above.task
    return title.task
