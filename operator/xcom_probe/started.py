"""What the container's own processes were started with. No Airflow here.

A process that is executed in a running container is given the container's environment. What a
start command, an entrypoint or a file that it sources exports belongs to its own processes only,
and stands in their /proc/PID/environ. That cannot always be read: setproctitle, which Airflow's
API server and gunicorn use, overwrites it, and another user's is not readable. Then nothing is
known; it does not mean that nothing is set.

Only Airflow's processes count: another program may be given whatever it needs.
"""

from __future__ import annotations

import os
import re
from typing import Iterable, Mapping, NamedTuple, Sequence

from xcom_probe import options, redact, runtime
from xcom_probe.model import FAIL, PASS, WARN, Finding

CHECK = "process-options"

_OWNED = tuple(options.env_name(*option) for option in options.OPTIONS)
_CONFIG = ("AIRFLOW_CONFIG", "AIRFLOW_HOME")
_MODULES = "PYTHONPATH"
# What is started for Airflow, and the titles that it gives itself: `[celeryd: ...`.
_AIRFLOWS = frozenset({"airflow", "gunicorn", "celery", "celeryd"})
_PYTHON = re.compile(r"(python|pypy)[\d.]*")
# `[ready] gunicorn: worker [airflow-webserver]`
_STATE = re.compile(r"^\[\w+\] ")
_EXPECTED = "every process of Airflow here has the container's own options"
_WHY = (
    "Such a variable overrides airflow.cfg, and neither a new process nor the operator sees it: a "
    "delivery does not reach this process."
)
_REMEDY = (
    "Remove it from the start command, the image's entrypoint or the file that one of them "
    "sources; the operator delivers these options."
)
_WHY_UNKNOWN = "What its start command exports cannot be seen, and a new process may not have it."
_REMEDY_UNKNOWN = (
    "Check that neither the start command nor the image's entrypoint sets the options."
)
_INIT = 1
_SHOWN = 3


class Process(NamedTuple):
    """A process that the container runs by itself.

    Attributes:
        pid: as seen from here.
        command: its program in a few words, without its arguments.
        airflow: whether it is one of Airflow's, rather than a shell around them or another program.
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
    """What any user may read of a process. `started` is in clock ticks since the boot."""

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
    every = every_process("/proc")
    if every and _INIT not in every:
        return _unknown("no other user's process can be seen here")
    everything = look(environ, first, every)
    if not everything:
        return None
    processes = [process for process in everything if process.airflow]
    if not processes:
        named = _some([f"process {item.pid} ({item.command})" for item in everything])
        return _unknown(f"none of the processes is known to be Airflow's: {named}")
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
            "It may import other modules than a new process.",
            "Set PYTHONPATH in the pod template or the image rather than in a start command.",
        )
    read = sum(process.known for process in processes)
    unread = _unread(processes, every)
    if unread:
        named = _some([f"process {item.pid} ({item.command})" for item in unread])
        return _unknown(
            f"the environment of {named} cannot be read; {read} of {len(processes)} processes of "
            "Airflow were read"
        )
    return Finding(
        CHECK,
        PASS,
        f"nothing else; {read} of {len(processes)} processes of Airflow were read, and the others "
        "are their children"
        if read < len(processes)
        else f"nothing else in {read} processes of Airflow",
        _EXPECTED,
    )


def look(
    environ: Mapping[str, str],
    first: int | None = None,
    every: Mapping[int, Stat] | None = None,
) -> list[Process]:
    """The container's own processes, without children of Airflow's that differ just as it does.

    Empty where this process is one of them, or there is no /proc.
    """
    every = every_process("/proc") if every is None else every
    root = first if first is not None else first_process(every, os.getpid())
    if root is None or root in ancestors(os.getpid(), every):
        return []
    found: dict[int, Process] = {}
    for stat in sorted(every.values(), key=lambda item: (item.started, item.pid)):
        if root in ancestors(stat.pid, every):
            process = _process(stat.pid, environ)
            if process is not None:
                found[stat.pid] = process
    return [
        process
        for process in found.values()
        if not (
            process.differs
            and any(
                above in found and found[above].airflow and found[above].differs == process.differs
                for above in ancestors(process.pid, every)[1:]
            )
        )
    ]


def first_process(every: Mapping[int, Stat], mine: int) -> int | None:
    """The PID of the container's first process, None where it is not known.

    It is 1 unless the containers of a pod share their processes: then it is the oldest one of
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


def is_airflow(command: Sequence[str]) -> bool:
    """Whether a command line is one of Airflow's own processes.

    Not a shell that starts one: its environment is older than what it exports. Nor one that merely
    has Airflow's name in a path, such as anything in /opt/airflow.
    """
    program = _program(command)
    if not _PYTHON.fullmatch(program):
        return program in _AIRFLOWS
    words = list(command[1:])
    while words and words[0].startswith("-"):
        flag = words.pop(0)
        if flag in ("-W", "-X"):
            del words[:1]
        elif flag.startswith(("--", "-W", "-X")):
            continue
        elif "c" in flag:
            return False
        elif flag.endswith("m"):
            return bool(words) and words[0].split(".")[0] in _AIRFLOWS
    folder, name = os.path.split(words[0] if words else "")
    return (os.path.basename(folder) if name == "__main__.py" else name) in _AIRFLOWS


def _program(command: Sequence[str]) -> str:
    title = _STATE.sub("", command[0]) if command else ""
    return os.path.basename(title.split(" ")[0]).strip("[:")


def _unread(processes: Iterable[Process], every: Mapping[int, Stat]) -> list[Process]:
    """Those of Airflow's processes whose start is not known, nor that of their ancestors."""
    known = {process.pid: process.known for process in processes}
    found = []
    for process in processes:
        pid = process.pid
        while not known[pid] and every[pid].parent in known:
            pid = every[pid].parent
        if not known[pid]:
            found.append(process)
    return found


def _unknown(why: str) -> Finding:
    return Finding(CHECK, WARN, f"not known: {why}", _EXPECTED, _WHY_UNKNOWN, _REMEDY_UNKNOWN)


def every_process(proc: str) -> dict[int, Stat]:
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


def ancestors(pid: int, every: Mapping[int, Stat]) -> list[int]:
    """A process, its parent and so on."""
    chain: list[int] = []
    while pid in every and pid not in chain:
        chain.append(pid)
        pid = every[pid].parent
    return chain


def _process(pid: int, environ: Mapping[str, str]) -> Process | None:
    """None for one that has ended meanwhile, and for threads of the kernel."""
    command = _read(f"/proc/{pid}/cmdline").decode("utf-8", "replace").split("\0")
    program = _program(command)
    if not program:
        return None
    component = runtime.component(command)
    airflow = is_airflow(command)
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
        start = f"without {name}" if value is None else f"with {name}={redact.text(value)}"
        parts.append(f"{start} (the container's own environment {has})")
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
