"""Whether airflow.cfg may differ from what the container's processes have read. No Airflow.

The kubelet changes a mounted ConfigMap in place: it writes a new folder, `..2026_11_28_...`, and
points the link `..data` to it (Kubernetes, pkg/volume/util/atomic_writer.go). A process that has
read the earlier file keeps its content, while the probe reads the present one. A file that is
mounted by subPath, as the official chart does, stays as it was when the container started, and so
does an environment: there the probe reads what the processes have read.
"""

from __future__ import annotations

import os
import re
import time
from typing import Mapping

from xcom_probe import options, started
from xcom_probe.model import FAIL, PASS, Finding

CHECK = "process-configuration"

_SWAPPED = re.compile(r"\.\.\d{4}_\d\d_\d\d_.*")
_LINK = "..data"
_TOLERANCE = 0.1
"""Seconds: several times a clock tick plus the lag of a file system's time."""
_EXPECTED = "airflow.cfg is older than the container's first process"
_WHY = "A process keeps what it read at its start, which may differ from the present file."
_REMEDY = (
    "Delete the pod, so that a new one starts with the present file. Mounted with subPath, as in "
    "the official chart, the file does not change while its processes run."
)


def check(environ: Mapping[str, str], first: int | None = None) -> Finding | None:
    """Compare when airflow.cfg was last changed in place with when the container started.

    Both as ages, so that neither the boot's time nor a time zone matters. A clock of the machine
    that was set forward between the two, by more than lies between them, is not noticed.

    Args:
        environ: that of a process executed in the container.
        first: the PID of the container's first process; by default it is looked for.

    Returns:
        None where nothing changes the file in place, and where this process is one of the
        container's own: what it reads is what they read.
    """
    path = options.config_path(environ)
    link = _link(path)
    if link is None:
        return None
    every = started.every_process("/proc")
    root = first if first is not None else started.first_process(every, os.getpid())
    if root in started.ancestors(os.getpid(), every):
        return None
    if root is None or root not in every:
        return _wrong("the start time of the container's first process is not known")
    wall, boot = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
    try:
        unchanged = wall - os.lstat(link).st_mtime
    except OSError as problem:
        return _wrong(f"the time of the last change of {path} is not known: {problem}")
    runs = boot - every[root].started / os.sysconf("SC_CLK_TCK")
    if unchanged < runs + _TOLERANCE:
        return _wrong(
            f"{path} was changed {unchanged:.1f} s ago, after process {root} had started "
            f"({runs:.1f} s ago)"
        )
    return Finding(
        CHECK, PASS, f"{path} is {unchanged - runs:.1f} s older than the first process", _EXPECTED
    )


def _link(path: str) -> str | None:
    """The link that the kubelet moves to change the file; None where it is not in such a folder."""
    folder = os.path.dirname(os.path.realpath(path))
    while folder != os.path.dirname(folder):
        if _SWAPPED.fullmatch(os.path.basename(folder)):
            return os.path.join(os.path.dirname(folder), _LINK)
        folder = os.path.dirname(folder)
    return None


def _wrong(observed: str) -> Finding:
    return Finding(CHECK, FAIL, observed, _EXPECTED, _WHY, _REMEDY)
