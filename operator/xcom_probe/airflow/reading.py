"""Values of the table as tasks read them today, and as the object storage backend reads them."""

from __future__ import annotations

import importlib
import json
from typing import Any

from xcom_probe.airflow.backend import Row, base_class, load_xcom, read_inline
from xcom_probe.airflow.versions import OBJECT_BACKEND, airflow_series


class Reader:
    """Airflow's own class, the object storage backend, and what is measured of the two.

    The base path has to be set in this process's environment before.

    Attributes:
        json_strings_change: whether strings that parse as JSON come back as the value that they
            encode.
        refused_schemes: URL schemes at which the backend raises, whatever follows.
    """

    def __init__(self, base: str) -> None:
        """Load both.

        Raises:
            ImportFailed: Airflow cannot be imported here.
            ImportError: the provider cannot.
        """
        load_xcom()
        self._base = base_class()
        module, _, name = OBJECT_BACKEND.rpartition(".")
        self._backend = getattr(importlib.import_module(module), name)
        coder = importlib.import_module("airflow.utils.json")
        self._encoder, self._decoder = coder.XComEncoder, coder.XComDecoder
        self.json_strings_change = bool(read_inline(self._backend, "123") != "123")
        self.refused_schemes = [
            scheme
            for scheme in _schemes()
            if scheme != base.split(":", 1)[0] and self._refuses(f"{scheme}://xcom-probe/x")
        ]

    def today(self, raw: Any) -> Any:
        """What Airflow's own class makes of a row; `raw` is bytes on Airflow 2, JSON text on 3."""
        return self._base.deserialize_value(_row(raw))

    def then(self, raw: Any) -> Any:
        """What the object storage backend makes of it."""
        return self._backend.deserialize_value(_row(raw))

    def encode(self, value: Any) -> str:
        """The JSON that the backend makes of a value, at every threshold."""
        return json.dumps(value, cls=self._encoder)

    def decode(self, encoded: str) -> Any:
        """What the backend reads from an object."""
        return json.loads(encoded, cls=self._decoder)

    def _refuses(self, text: str) -> bool:
        try:
            return bool(read_inline(self._backend, text) != text)
        except Exception:  # noqa: BLE001 - whatever it is, a task would get it
            return True


def _row(raw: Any) -> Row:
    return Row(raw if airflow_series() < (3, 0) else json.loads(raw))


def _schemes() -> list[str]:
    """Schemes that the pod has an implementation for; all others are one to the backend."""
    registry = importlib.import_module("fsspec.registry")
    return sorted(set(registry.known_implementations) | set(registry.registry))
