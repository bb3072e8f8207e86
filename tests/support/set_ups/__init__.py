"""Set-ups of an Airflow pod: their files, and the real parts that they name."""

from __future__ import annotations

from set_ups.setup import SetUp, read
from set_ups.world import WRONG_SECRET, World

__all__ = ["WRONG_SECRET", "SetUp", "World", "read"]
