"""Connections as Airflow's secrets backends give them, and the hook of the S3 file system."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from xcom_probe import redact
from xcom_probe.model import CannotLook


class FoundConnection(NamedTuple):
    """A connection and the secrets backend that answered for it, with the variable if there is."""

    connection: Any
    source: str


def find_connection(conn_id: str) -> FoundConnection | None:
    """Ask Airflow's secrets backends in its order; None if all of them say that there is none.

    Raises:
        CannotLook: none knows the connection, and at least one could not be asked.
    """
    conf = importlib.import_module("airflow.configuration")
    problems: list[str] = []
    for backend in conf.ensure_secrets_loaded():
        kind = type(backend).__name__
        try:
            connection = backend.get_connection(conn_id=conn_id)
        except Exception as problem:  # noqa: BLE001 - Airflow goes on to the next backend too
            problems.append(f"{kind} ({redact.error(problem)})")
            continue
        if connection is not None:
            redact.secret(connection.password)
            if kind == "EnvironmentVariablesBackend":
                return FoundConnection(connection, f"env:AIRFLOW_CONN_{conn_id.upper()}")
            if kind == "MetastoreBackend":
                return FoundConnection(connection, "metadata database")
            return FoundConnection(connection, f"secrets backend {kind}")
    if problems:
        raise CannotLook("could not ask {}".format("; ".join(problems)))
    return None


def s3_hook(conn_id: str | None) -> Any:
    """The hook that the provider's file system takes session, endpoint and settings from."""
    return importlib.import_module("airflow.providers.amazon.aws.hooks.s3").S3Hook(
        aws_conn_id=conn_id
    )
