"""Connections as Airflow's secrets backends give them, and the hook of the S3 file system."""

from __future__ import annotations

import importlib
from typing import Any, Callable, Iterator, NamedTuple

from xcom_probe import redact
from xcom_probe.airflow import execution_api
from xcom_probe.airflow.versions import airflow_series
from xcom_probe.model import CannotLook

DATABASE = "metadata database"
_METASTORE = "MetastoreBackend"
_ENVIRONMENT = "EnvironmentVariablesBackend"


class Unreadable(Exception):
    """A variable AIRFLOW_CONN_* is there, and Airflow cannot make a connection of it."""


# The first version on which only processes with a supervisor see connections of the database.
_UNSEEN_SINCE = (3, 1)
_UNSEEN = (
    "; tasks get it through the execution API, and a process outside a task would not see it and "
    "would use default credentials"
)


class FoundConnection(NamedTuple):
    """A connection and where it came from.

    Attributes:
        connection: Airflow's object.
        source: the secrets backend, with the variable if there is one.
        remark: what else to know about the source; empty, or begins with a semicolon.
    """

    connection: Any
    source: str
    remark: str = ""


def find_connection(conn_id: str) -> FoundConnection | None:
    """Ask the secrets backends in a task's order; None if none of them has the connection.

    Raises:
        CannotLook: none knows the connection, and at least one could not be asked.
        Unreadable: only a variable has it, in a form that Airflow cannot read.
    """
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    problems: list[str] = []
    unreadable = ""
    for kind, ask in _asked():
        try:
            connection = ask(conn_id=conn_id)
        except Exception as problem:  # noqa: BLE001 - Airflow goes on to the next backend too
            if kind == _ENVIRONMENT:
                # Its message may quote a piece of the password.
                unreadable = f"{variable} cannot be read ({type(problem).__name__})"
                continue
            problems.append(f"{kind} ({redact.error(problem)})")
            continue
        if connection is not None:
            redact.secret(connection.password)
            if kind == _ENVIRONMENT:
                if _is_empty(connection):
                    raise Unreadable(f"{variable} is neither a JSON object nor a URI")
                return FoundConnection(connection, f"env:{variable}")
            if kind == _METASTORE:
                unseen = airflow_series() >= _UNSEEN_SINCE
                return FoundConnection(connection, DATABASE, _UNSEEN if unseen else "")
            return FoundConnection(connection, f"secrets backend {kind}")
    if unreadable:
        raise Unreadable(unreadable)
    if problems:
        raise CannotLook("could not query {}".format("; ".join(problems)))
    return None


def _asked() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Name of each secrets backend that a task asks, and how."""
    if airflow_series() < (3, 0):
        configuration = importlib.import_module("airflow.configuration")
        backends = configuration.ensure_secrets_loaded()
    else:
        sdk = importlib.import_module("airflow.sdk.execution_time.supervisor")
        backends = sdk.ensure_secrets_backend_loaded()
    for backend in backends:
        kind = type(backend).__name__
        # It hides what goes wrong on the way; its answer comes from the database.
        if kind != "ExecutionAPISecretsBackend":
            yield kind, backend.get_connection
    if airflow_series() >= (3, 0):
        yield _METASTORE, execution_api.database_connection


def _is_empty(connection: Any) -> bool:
    """Airflow makes such a connection of any text that is not a URI, and uses it."""
    return not any((connection.conn_type, connection.login, connection.password, connection.extra))


def s3_hook(conn_id: str | None) -> Any:
    """The hook that the provider's file system takes session, endpoint and settings from."""
    return importlib.import_module("airflow.providers.amazon.aws.hooks.s3").S3Hook(
        aws_conn_id=conn_id
    )
