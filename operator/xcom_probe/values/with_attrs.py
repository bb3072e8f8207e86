"""A class of attrs, as a value of the round trip."""

from __future__ import annotations

import importlib

Table = importlib.import_module("attr").make_class("Table", ["name", "rows"])
Table.__module__ = __name__
