"""The titles of processes that run tasks, and the task that each names.

Airflow and Celery name their processes by `setproctitle`, which writes over the command line that
/proc shows. Every such call in a worker, by the sources of Airflow 2.9.3, 2.10.5, 2.11.2, 3.0.6,
3.1.8, 3.2.0 and 3.3.2, the Celery provider 3.8.1 and 3.26.0 and Celery 5.6.3:

| Title | Who | Since |
|---|---|---|
| `[celeryd: celery@HOST:MainProcess] ...` | Celery's main process | |
| `[celeryd: celery@HOST:ForkPoolWorker-1]` | a process of Celery's pool, once, when it begins | |
| `airflow task supervisor: ['airflow', 'tasks', 'run', DAG, TASK, RUN, ...]` | 2.x: its fork | |
| `airflow task runner: DAG TASK RUN JOB` | 2.x: the supervisor's fork, the task | |
| `airflow supervisor: TI` | 3.3: the pool's process itself | 3.3 |
| `airflow supervisor: NAME` | the same for a callback or a test of a connection | 3.3 |
| `airflow worker -- TI` | 3.x: the task | |
| `airflow serve-logs`, `gunicorn: ...` | serve logs | |

DAG, TASK and RUN are names, TI the ID of a task instance, another one after a clear. On 3.0 to 3.2
the pool's process keeps Celery's title while it is a supervisor. On 3.3 it keeps the title of its
last task when that has ended: only its children show whether it is busy.

Without a title: 2.x with `execute_tasks_new_python_interpreter` (`airflow tasks run DAG TASK RUN
--local ...` below the pool's process), with `run_as_user` or another task runner than a fork (`sudo
-E -H -u USER airflow tasks run DAG TASK RUN --raw ...`, and below it the same without sudo); 3.x
with `run_as_user` (`sudo -E -H -u USER python -c 'from airflow.sdk.execution_time...'`), until the
new process has named itself. And each fork has its parent's title until it has its own.

A title may be cut: there is as much room as the command line and the environment had. So a name
counts only where it is certainly complete.
"""

from __future__ import annotations

import ast
import os
import re
from typing import NamedTuple, Sequence

MAIN = "main"
"""Celery's main process."""
POOL = "pool"
"""A process of Celery's pool, which forks, and on 3.0 to 3.2 watches, what runs a task."""
POOL_3 = "pool-of-3"
"""The same on 3.3, which has the name of a task since its first one."""
SUPERVISOR = "supervisor"
"""Watches a task, and lives for this one only."""
TASK = "task"
OTHER = "other"

_CELERY = re.compile(r"\[celeryd: .*:(?:(MainProcess)|\w*PoolWorker-\d+)\]")
_SUPERVISOR_2 = "airflow task supervisor: "
_TASK_2 = "airflow task runner: "
_SUPERVISOR_3 = "airflow supervisor: "
_TASK_3 = "airflow worker -- "
_LOCAL_EXECUTOR = "LocalExecutor"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LITERAL = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_RUN = ["airflow", "tasks", "run"]
_RUN_IN_TITLE = re.compile(r"\S+ \S+ (?P<run>.+) \d+")
_OF_SDK = "from airflow.sdk.execution_time"
# What `prctl` keeps of a title, for a process whose memory is gone already.
_SHORT = 15


class Task(NamedTuple):
    """What a title shows of a task; None where it does not, or not for certain.

    Attributes:
        dag, task, run: names, on Airflow 2; all of them or none.
        map_index: where the task is mapped, on Airflow 2.
        instance: the task instance's ID, on Airflow 3.
    """

    dag: str | None = None
    task: str | None = None
    run: str | None = None
    map_index: int | None = None
    instance: str | None = None

    @property
    def known(self) -> bool:
        """Whether it names a task."""
        return self.run is not None or self.instance is not None


UNKNOWN = Task()


class Title(NamedTuple):
    """What a command line shows.

    Attributes:
        kind: one of the constants above.
        airflow: Airflow's major version, None where it is not known.
        task: the task that it names.
        text: for people; of a program that is not Airflow's, its name only.
    """

    kind: str
    airflow: int | None
    task: Task
    text: str


def read(words: Sequence[str], whole: bool) -> Title:
    """Identify a process by its command line.

    Args:
        words: its command line; a title is one word.
        whole: whether it is certainly not cut.
    """
    if len(words) == 1:
        found = _title(words[0], whole)
        if found is not None:
            return found
    return _command(words)


def read_short(comm: str) -> Title:
    """Identify a process by its short name: it is ending, and its command line is gone."""
    for begin, kind, airflow in (
        (_SUPERVISOR_2, SUPERVISOR, 2),
        (_TASK_2, TASK, 2),
        (_SUPERVISOR_3, POOL_3, 3),
        (_TASK_3, TASK, 3),
    ):
        if comm == begin[:_SHORT]:
            return Title(kind, airflow, UNKNOWN, comm)
    return Title(OTHER, None, UNKNOWN, comm)


def _title(text: str, whole: bool) -> Title | None:
    celery = _CELERY.match(text)
    if celery:
        return Title(MAIN if celery.group(1) else POOL, None, UNKNOWN, text)
    if text.startswith(_SUPERVISOR_2):
        return Title(SUPERVISOR, 2, _of_list(text[len(_SUPERVISOR_2) :]), text)
    if text.startswith(_TASK_2):
        return Title(TASK, 2, _of_runner(text[len(_TASK_2) :], whole), text)
    if text.startswith(_SUPERVISOR_3):
        return Title(POOL_3, 3, _of_id(text[len(_SUPERVISOR_3) :]), text)
    if text.startswith(_TASK_3):
        named = text[len(_TASK_3) :]
        if named.startswith(_LOCAL_EXECUTOR):
            return Title(OTHER, None, UNKNOWN, text)
        return Title(TASK, 3, _of_id(named), text)
    return None


def _of_list(text: str) -> Task:
    """The task of a command, written as Python writes a list; what is cut has no end quote."""
    words, rest = [], text[1:] if text.startswith("[") else ""
    while True:
        literal = _LITERAL.match(rest)
        if literal is None:
            break
        words.append(str(ast.literal_eval(literal.group())))
        rest = rest[literal.end() :]
        if not rest.startswith(", "):
            break
        rest = rest[2:]
    return _of_words(words)


def _of_runner(text: str, whole: bool) -> Task:
    """The task of `DAG TASK RUN JOB`. Only the name of a run may hold blanks."""
    found = _RUN_IN_TITLE.fullmatch(text)
    if not whole or found is None:
        return UNKNOWN
    dag, task, _ = text.split(" ", 2)
    return Task(dag, task, found.group("run"))


def runner_of(supervisor: Task, text: str) -> bool:
    """Whether a title, cut or not, is that of this supervisor's task."""
    full = f"{_TASK_2}{supervisor.dag} {supervisor.task} {supervisor.run}"
    return text.startswith(f"{full} ") or full.startswith(text)


def _of_id(text: str) -> Task:
    return Task(instance=text) if _UUID.fullmatch(text) else UNKNOWN


def _command(words: Sequence[str]) -> Title:
    names = [os.path.basename(word) for word in words]
    for at in range(len(words) - 2):
        if names[at] == "airflow" and list(words[at + 1 : at + 3]) == _RUN[1:]:
            given = list(words[at + 1 :])
            kind = TASK if "--raw" in given else SUPERVISOR
            text = " ".join(["airflow", *given[:5]])
            return Title(kind, 2, _of_words(["airflow", *given]), text)
    if any(word.startswith(_OF_SDK) for word in words):
        return Title(TASK, 3, UNKNOWN, f"{names[0]} (airflow.sdk)")
    # Not its arguments: they are a user's, and may hold anything.
    return Title(OTHER, None, UNKNOWN, names[0].split(" ")[0] if names else "")


def _of_words(words: Sequence[str]) -> Task:
    if len(words) < 6 or list(words[:3]) != _RUN or any(w.startswith("-") for w in words[3:6]):
        return UNKNOWN
    dag, task, run = words[3:6]
    index = None
    if "--map-index" in words[6:-1]:
        given = words[words.index("--map-index", 6) + 1]
        index = int(given) if given.isdecimal() else None
    return Task(dag, task, run, index)
