"""What the container's own processes were started with. No Airflow here.

A process that is executed in a running container is given the container's environment. What a
start command, an entrypoint or a file that it sources exports belongs to its own processes only,
and stands in their /proc/PID/environ. That is not always to be read: setproctitle, which Airflow's
API server and gunicorn use, overwrites it, and another user's is closed. Then nothing is known;
it does not mean that nothing is set.
"""

from __future__ import annotations

import os
from typing import Iterable, Mapping, NamedTuple

from xcom_probe import options, place, redact
from xcom_probe.model import FAIL, PASS, WARN, Finding

CHECK = "process-options"

_OWNED = tuple(options.env_name(*option) for option in options.OPTIONS)
_CONFIG = ("AIRFLOW_CONFIG", "AIRFLOW_HOME")
_MODULES = "PYTHONPATH"
_AIRFLOWS = ("airflow", "gunicorn", "celery")
# A shell's command line names Airflow as well, and its environment is older than what it exports.
_WRAPPERS = frozenset({"sh", "bash", "dash", "ash", "tini", "dumb-init", "catatonit", "pause"})
_EXPECTED = "every process of the container has the container's own options"
_WHY = (
    "Such a variable beats airflow.cfg, and neither a fresh process nor the operator sees it: what "
    "is delivered does not reach this process."
)
_REMEDY = (
    "Take it out of the start command, the image's entrypoint or the file that one of them "
    "sources; the operator delivers these options."
)
_WHY_UNKNOWN = "What its start command exports cannot be seen; a fresh process need not have it."
_REMEDY_UNKNOWN = "See that neither the start command nor the image's entrypoint sets the options."
_INIT = 1
_SHOWN = 3


class Process(NamedTuple):
    """A process that the container runs by itself.

    Attributes:
        pid: as seen from here.
        command: its program in a few words, without its arguments.
        airflow: whether it is one of Airflow's, rather than a shell around them.
        known: whether its environment could be read.
        differs: what it has of the variables looked at where a fresh process has something else;
            None where it has none. Empty where it is not known.
        config: the path of its airflow.cfg, empty where it is not known.
    """

    pid: int
    command: str
    airflow: bool
    known: bool
    differs: dict[str, str | None]
    config: str


class Stat(NamedTuple):
    """What everybody may know of a process. `started` is in clock ticks since the boot."""

    pid: int
    parent: int
    started: int
    cgroup: str


def check(environ: Mapping[str, str], first: int | None = None) -> Finding | None:
    """Compare the container's own processes with `environ`, that of a process executed in it.

    Args:
        first: the PID of the container's first process; by default it is looked for.

    Returns:
        None where this process is one of them: what it was given is what they have.
    """
    every = _every("/proc")
    if every and _INIT not in every:
        return Finding(
            CHECK,
            WARN,
            "not known: no other user's process can be seen here",
            _EXPECTED,
            _WHY_UNKNOWN,
            _REMEDY_UNKNOWN,
        )
    processes = look(environ, first, every)
    if not processes:
        return None
    wrong = [words for process in processes for words in [_wrong(process, environ)] if words]
    if wrong:
        return Finding(CHECK, FAIL, _some(wrong), _EXPECTED, _WHY, _REMEDY)
    modules = [process for process in processes if _MODULES in process.differs]
    if modules:
        return Finding(
            CHECK,
            WARN,
            _some([_was_started(process, (_MODULES,), environ) for process in modules]),
            _EXPECTED,
            "It may import other modules than a fresh process does.",
            "Set PYTHONPATH in the pod template or the image rather than in a start command.",
        )
    airflows = [process for process in processes if process.airflow]
    if not any(process.known for process in airflows or processes):
        named = _some([f"process {item.pid} ({item.command})" for item in airflows or processes])
        return Finding(
            CHECK,
            WARN,
            f"not known: the environment of {named} cannot be read",
            _EXPECTED,
            _WHY_UNKNOWN,
            _REMEDY_UNKNOWN,
        )
    return Finding(CHECK, PASS, f"nothing else in {len(processes)} processes", _EXPECTED)


def look(
    environ: Mapping[str, str],
    first: int | None = None,
    every: Mapping[int, Stat] | None = None,
) -> list[Process]:
    """The container's own processes, without children that differ just as their parent does.

    Empty where this process is one of them, or there is no /proc.
    """
    every = _every("/proc") if every is None else every
    root = first if first is not None else first_process(every, os.getpid())
    if root is None or root in _ancestors(os.getpid(), every):
        return []
    found: dict[int, Process] = {}
    for stat in sorted(every.values(), key=lambda item: (item.started, item.pid)):
        if root in _ancestors(stat.pid, every):
            process = _process(stat.pid, environ)
            if process is not None:
                found[stat.pid] = process
    return [
        process
        for process in found.values()
        if not (
            process.differs
            and every[process.pid].parent in found
            and found[every[process.pid].parent].differs == process.differs
        )
    ]


def first_process(every: Mapping[int, Stat], mine: int) -> int | None:
    """The PID of the container's first process, None where there is no telling.

    It is 1 but where the containers of a pod share their processes: there it is the oldest one of
    the control group that the process `mine` is in.
    """
    if mine not in every:
        return None
    group = [stat for stat in every.values() if stat.cgroup == every[mine].cgroup]
    return min(group, key=lambda stat: (stat.started, stat.pid)).pid


def parsed(data: bytes) -> dict[str, str] | None:
    """The environment that /proc gives, None for one that is blank or partly overwritten."""
    parts = data.rstrip(b"\0").split(b"\0")
    if not all(part.partition(b"=")[1] for part in parts):
        return None
    pairs = (part.decode("utf-8", "replace").partition("=") for part in parts)
    return {name: value for name, _, value in pairs}


def _every(proc: str) -> dict[int, Stat]:
    try:
        pids = [int(name) for name in os.listdir(proc) if name.isdigit()]
    except OSError:
        return {}
    found = {}
    for pid in pids:
        text, group = _read(f"{proc}/{pid}/stat"), _read(f"{proc}/{pid}/cgroup")
        # The name, in parentheses, may hold anything. Then come the third field and the others.
        fields = text.rpartition(b")")[2].split()
        if len(fields) > 19:
            cgroup = group.decode("utf-8", "replace")
            found[pid] = Stat(pid, int(fields[1]), int(fields[19]), cgroup)
    return found


def _ancestors(pid: int, every: Mapping[int, Stat]) -> list[int]:
    """A process, its parent and so on."""
    chain: list[int] = []
    while pid in every and pid not in chain:
        chain.append(pid)
        pid = every[pid].parent
    return chain


def _process(pid: int, environ: Mapping[str, str]) -> Process | None:
    """None for one that has ended meanwhile, and for threads of the kernel."""
    command = _read(f"/proc/{pid}/cmdline").decode("utf-8", "replace").split("\0")
    program = os.path.basename(command[0].split(" ")[0]).rstrip(":")
    if not program:
        return None
    component = place.component(command)
    wrapper = program in _WRAPPERS
    airflow = not wrapper and any(word in part for part in command[:3] for word in _AIRFLOWS)
    words = f"airflow {component}" if airflow and component else program
    own = parsed(_read(f"/proc/{pid}/environ"))
    if own is None:
        return Process(pid, words, airflow, False, {}, "")
    return Process(pid, words, airflow, True, _differs(own, environ), _config_path(own))


def _differs(own: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str | None]:
    names = [*_OWNED, _MODULES]
    if not _same_file(_config_path(own), _config_path(given)):
        names += _CONFIG
    return {name: own.get(name) for name in names if own.get(name) != given.get(name)}


def _config_path(environ: Mapping[str, str]) -> str:
    """The path of airflow.cfg by another process's environment, its home directory included."""
    home = environ.get("HOME")
    text = environ.get("AIRFLOW_CONFIG") or os.path.join(
        environ.get("AIRFLOW_HOME", "~/airflow"), "airflow.cfg"
    )
    if home and text.startswith("~/"):
        text = home + text[1:]
    return options.expand(text)


def _same_file(one: str, other: str) -> bool:
    try:
        return one == other or os.path.samefile(one, other)
    except OSError:
        return False


def _wrong(process: Process, environ: Mapping[str, str]) -> str:
    names = [name for name in (*_OWNED, *_CONFIG) if name in process.differs]
    if not names:
        return ""
    words = _was_started(process, names, environ)
    if not any(name in names for name in _CONFIG):
        return words
    return f"{words}: it reads {process.config} instead of {_config_path(environ)}"


def _was_started(process: Process, names: Iterable[str], environ: Mapping[str, str]) -> str:
    parts = []
    for name in names:
        value, given = process.differs[name], environ.get(name)
        has = "has none" if given is None else f"has {redact.text(given)}"
        told = f"without {name}" if value is None else f"with {name}={redact.text(value)}"
        parts.append(f"{told} (the container's own environment {has})")
    return f"process {process.pid} ({process.command}) was started {' and '.join(parts)}"


def _some(words: list[str]) -> str:
    more = f"; and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return "; ".join(words[:_SHOWN]) + more


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
