"""The XCom class that Airflow loads in a process, and the options that decide it."""

from __future__ import annotations

import importlib
import json
from typing import Any, NamedTuple

from xcom_probe import options, redact, runtime
from xcom_probe.airflow import supervisor
from xcom_probe.airflow.versions import airflow_series


class ImportFailed(Exception):
    """Airflow, or the XCom class it is configured with, cannot be imported here."""


def load_xcom() -> Any:
    """The XCom class that Airflow loads in a process with this configuration.

    On Airflow 3 that is the class of a task's process, and this process gets a supervisor first
    (see `supervisor`). On Airflow 2 `airflow.models.xcom` has to be imported before the provider's
    module: the other way round the import is circular.

    Raises:
        ImportFailed: with the reason, on one line.
    """
    runtime.use_scratch()
    try:
        if airflow_series() < (3, 0):
            return importlib.import_module("airflow.models.xcom").XCom
        importlib.import_module("airflow")
        supervisor.install()
        return importlib.import_module("airflow.sdk.execution_time.xcom").XCom
    except Exception as problem:
        raise ImportFailed(redact.error(problem)) from problem


def base_class() -> Any:
    """Airflow's own class, which keeps every value in the database; `load_xcom` was called."""
    module = "airflow.models.xcom" if airflow_series() < (3, 0) else "airflow.sdk.bases.xcom"
    return importlib.import_module(module).BaseXCom


def task_context() -> str | None:
    """How this process writes values: as a task does, or None if it cannot.

    `direct` is Airflow 2, where a task writes its rows itself; `supervisor` is Airflow 3, where it
    asks another process to.
    """
    if airflow_series() < (3, 0):
        return "direct"
    return "supervisor" if supervisor.is_installed() else None


def qualified_name(cls: Any) -> str:
    """`module.Class` of a loaded class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def configuration() -> Any:
    """The configuration object that the backend reads: from Airflow 3.2 on the Task SDK's own.

    Raises:
        ImportFailed: Airflow itself cannot be imported.
    """
    module = "airflow.configuration" if airflow_series() < (3, 2) else "airflow.sdk.configuration"
    try:
        return importlib.import_module(module).conf
    except Exception as problem:
        raise ImportFailed(redact.error(problem)) from problem


def effective(conf: Any, option: tuple[str, str]) -> str | None:
    """The value that the backend gets, asked for exactly as the backend asks for it."""
    section, name = option
    try:
        if option == options.THRESHOLD:
            return str(conf.get(section, name, fallback="-1"))
        if option == options.COMPRESSION:
            value = conf.get(section, name, fallback=None) or None
        else:
            value = conf.get(section, name, suppress_warnings=True)
    except Exception as problem:
        if type(problem).__name__ == "AirflowConfigException":
            return None
        raise
    return None if value is None else str(value)


def pickling(conf: Any) -> tuple[bool, str]:
    """Whether XCom values are pickled, and the text of the option. Airflow 3 has no such option."""
    if airflow_series() >= (3, 0):
        return False, "Airflow 3 never pickles XCom"
    return (
        bool(conf.getboolean("core", "enable_xcom_pickling", fallback=False)),
        str(conf.get("core", "enable_xcom_pickling", fallback="False")),
    )


def configured_class(conf: Any) -> Any:
    """The class that `[core] xcom_backend` names."""
    return conf.getimport("core", "xcom_backend")


class Row(NamedTuple):
    """What `deserialize_value` needs of a row: its value."""

    value: Any


def read_inline(xcom: Any, value: Any) -> Any:
    """`value` after one way through an inline row and the backend's `deserialize_value`."""
    return xcom.deserialize_value(Row(_inline(value)))


def _inline(value: Any) -> Any:
    """What the row of a plain JSON value gives: bytes on Airflow 2, decoded on Airflow 3."""
    return json.dumps(value).encode("utf-8") if airflow_series() < (3, 0) else value
