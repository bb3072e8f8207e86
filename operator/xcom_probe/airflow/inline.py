"""How the object storage backend would read a value that is kept in its row."""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

from xcom_probe import options, redact, runtime
from xcom_probe.airflow.backend import ImportFailed, Row, load_xcom
from xcom_probe.airflow.versions import OBJECT_BACKEND, airflow_series
from xcom_probe.model import CannotLook
from xcom_probe.values.drift import JSON_STRINGS


class InlineStrings:
    """What becomes of a string that moves from its object into its row.

    Other values are the same in both places: they are looked up as a path and found not to be one.
    """

    def __init__(self, base: str) -> None:
        """Load the backend.

        Args:
            base: the base path where none is configured in this process.

        Raises:
            CannotLook: Airflow or the provider cannot be imported here.
        """
        os.environ.setdefault(options.env_name(*options.PATH), base)
        module, _, name = OBJECT_BACKEND.rpartition(".")
        try:
            load_xcom()
            self._backend: Any = getattr(importlib.import_module(module), name)
        except ImportFailed as problem:
            raise CannotLook(f"Airflow cannot be imported here: {problem}") from problem
        except ImportError as problem:
            raise CannotLook(
                f"the object storage backend cannot be imported here: {redact.error(problem)}"
            ) from problem

    def drift(self, text: str) -> tuple[str, str] | None:
        """Class of drift and what happens, None if the string comes back as it is."""
        # The bytes that are in the row on Airflow 2; on 3 the string itself.
        value = json.dumps(text).encode("utf-8") if airflow_series() < (3, 0) else text
        try:
            found = self._backend.deserialize_value(Row(value))
        except Exception as problem:  # noqa: BLE001 - whatever it is, a task would get it
            return "", f"the object storage backend here fails on it: {redact.error(problem)}"
        if found == text and isinstance(found, str):
            return None
        version = runtime.version(runtime.PROVIDERS["common.io"])
        return JSON_STRINGS, (
            f"a string that parses as JSON: in a row, the object storage backend here (common-io "
            f"{version}) reads it as {type(found).__name__}"
        )
