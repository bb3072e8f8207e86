"""Where the probe runs: Python, provider versions, the Airflow component. No Airflow here."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import tempfile
from importlib import metadata
from typing import Any

PROVIDERS = {
    "common.io": "apache-airflow-providers-common-io",
    "amazon": "apache-airflow-providers-amazon",
    "s3fs": "s3fs",
    "fsspec": "fsspec",
}
_COMPONENTS = (
    "api-server",
    "dag-processor",
    "scheduler",
    "standalone",
    "triggerer",
    "webserver",
    "worker",
)


@functools.lru_cache(maxsize=None)
def version(distribution: str) -> str | None:
    """The installed version of a distribution, None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def airflow_version() -> str | None:
    """Airflow's version as installed, without importing it."""
    return version("apache-airflow") or version("apache-airflow-core")


def component(command_line: list[str]) -> str | None:
    """The Airflow component that a command line starts, None if it starts none.

    >>> component(["/usr/bin/dumb-init", "--", "/entrypoint", "scheduler"])
    'scheduler'
    """
    words = [word for argument in command_line for word in argument.split()]
    if "tasks" in words and "run" in words[words.index("tasks") :]:
        return "task"
    for word in words:
        if word in _COMPONENTS:
            return word
    return None


def peak_memory_mib() -> int | None:
    """The most memory that this process has had at once, in MiB; None where Linux does not say."""
    try:
        with open("/proc/self/status", "rb") as file:
            for line in file:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) // 1024
    except (OSError, ValueError):
        pass
    return None


def facts() -> dict[str, Any]:
    """What is known about this place without importing Airflow."""
    return {
        "python": platform.python_version(),
        "airflow": airflow_version(),
        "taskSdk": version("apache-airflow-task-sdk"),
        "providers": {name: version(package) for name, package in PROVIDERS.items()},
        "component": component(_first_process()),
    }


def _first_process() -> list[str]:
    """The command line of the container's first process, empty where it cannot be read."""
    try:
        with open("/proc/1/cmdline", "rb") as file:
            return file.read().decode("utf-8", "replace").split("\0")
    except OSError:
        return []


_scratch: list[str] = []
# Writable in a container even where its root file system is not.
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - mkdtemp makes a private folder in it


def use_scratch() -> None:
    """Have Airflow open its logs in a temporary folder, which `remove_scratch` removes.

    Airflow 2 makes dated folders in its log directory as soon as it is imported, and cannot be
    imported where it may not. The probe does not need these logs, and the disk is not its own.
    Without any writable place nothing is changed: the import then reports what is missing.
    """
    if _scratch:
        return
    for parent in (None, _SHARED_MEMORY):
        try:
            folder = tempfile.mkdtemp(prefix="xcom_probe_", dir=parent)
        except OSError:
            continue
        _scratch.append(folder)
        if parent is not None:
            # Libraries of Airflow ask for a temporary folder too, and fail without one.
            tempfile.tempdir = os.environ["TMPDIR"] = folder
        os.environ["AIRFLOW__SCHEDULER__CHILD_PROCESS_LOG_DIRECTORY"] = folder
        return


def remove_scratch() -> None:
    """Remove that folder."""
    while _scratch:
        shutil.rmtree(_scratch.pop(), ignore_errors=True)
