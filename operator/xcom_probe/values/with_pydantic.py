"""A model of pydantic, as a value of the round trip."""

from __future__ import annotations

import importlib

Table = importlib.import_module("pydantic").create_model(
    "Table", __module__=__name__, name=(str, ...), rows=(int, ...)
)
