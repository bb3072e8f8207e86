"""Runs a Python file of samples in a process of its own, and takes what it hands over."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any, Iterator

from xcom_probe.samples.child import LARGEST
from xcom_probe.samples.confine import MEMORY

# What an interpreter needs to find its packages; no secret and nothing of Airflow.
_KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "PYTHONTZPATH",
    "LD_LIBRARY_PATH",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONUSERBASE",
    "PYTHONNOUSERSITE",
)
# Libraries for numbers start a thread for each core, with memory of its own.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_START = "import sys; sys.path.insert(0, {!r}); from xcom_probe.samples import child; child.main()"
_CHUNK = 1024 * 1024
_LONGEST_LINE = LARGEST + 4096


class Trouble(Exception):
    """The file could not be run to its end; the message says why and what to do."""


def messages(path: str, most: int, seconds: float) -> Iterator[dict[str, Any]]:
    """What the process reports (see `child`), one after the other, without its `done`.

    Args:
        most: samples that it may give.
        seconds: that it may take in all while it is waited for. What is done with its samples in
            between does not count.

    Raises:
        Trouble: it took too long, was ended, or broke off.
    """
    with tempfile.TemporaryDirectory(prefix="xcom_probe_samples_") as folder:
        process = _start(path, most, seconds, folder)
        try:
            yield from _said(process, seconds)
        finally:
            _end(process)


def _start(path: str, most: int, seconds: float, folder: str) -> subprocess.Popen[bytes]:
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    env.update(dict.fromkeys(_ONE_THREAD, "1"))
    return subprocess.Popen(
        [
            *(sys.executable, "-B", "-c", _START.format(_program())),
            *(path, str(most), str(math.ceil(seconds) + 1)),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env={**env, "TMPDIR": folder},
        start_new_session=True,
    )


def _program() -> str:
    """Where this package is imported from: a folder, or the zipapp."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    root = os.path.dirname(package)
    # The zipapp may be a file in memory that only this process has open.
    mine = "/proc/self/"
    return f"/proc/{os.getpid()}/{root[len(mine) :]}" if root.startswith(mine) else root


def _said(process: Any, seconds: float) -> Iterator[dict[str, Any]]:
    left = seconds
    rest = bytearray()
    while True:
        started = time.monotonic()
        line, rest = _line(process.stdout.fileno(), rest, left)
        left -= time.monotonic() - started
        if line is None:
            raise Trouble(_ended(process))
        message = json.loads(line)
        if message.get("done"):
            return
        yield message
        if "error" in message:
            return


def _line(pipe: int, rest: bytearray, seconds: float) -> tuple[bytes | None, bytearray]:
    """The next line and what was read behind it; None for the end of the pipe."""
    until = time.monotonic() + seconds
    looked = 0
    while True:
        found = rest.find(b"\n", looked)
        if found >= 0:
            return bytes(rest[:found]), rest[found + 1 :]
        if len(rest) > _LONGEST_LINE:
            raise Trouble(f"a sample is larger than {LARGEST} bytes")
        looked = len(rest)
        left = until - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            raise Trouble(
                f"it was not finished after {seconds:g} seconds (--samples-timeout) and was killed"
            )
        chunk = os.read(pipe, _CHUNK)
        if not chunk:
            return None, rest
        rest += chunk


def _ended(process: subprocess.Popen[bytes]) -> str:
    code = process.wait()
    if code == -signal.SIGXCPU:
        return "it used more CPU time than --samples-timeout allows and was killed"
    if code < 0:
        return (
            f"its process was killed by {signal.Signals(-code).name}; it may use {MEMORY} bytes "
            "of memory, or less if the container has less"
        )
    return f"its process ended with exit code {code} before it was finished"


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
