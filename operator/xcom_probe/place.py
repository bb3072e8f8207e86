"""Where the probe runs: Python, provider versions, the Airflow component. No Airflow here."""

from __future__ import annotations

import platform
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


def facts() -> dict[str, Any]:
    """What can be said about this place without importing Airflow."""
    return {
        "python": platform.python_version(),
        "airflow": airflow_version(),
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
