"""The JSON that Airflow makes of a value."""

from __future__ import annotations

import importlib
import json
from typing import Any


def encoded_size(value: Any) -> int | None:
    """Bytes of the value's JSON, as the backend compares them with its threshold.

    None if Airflow cannot encode it.
    """
    encoder = importlib.import_module("airflow.utils.json").XComEncoder
    try:
        return len(json.dumps(value, cls=encoder).encode("utf-8"))
    except Exception:  # noqa: BLE001 - the write says the reason
        return None
