"""The decision core: pure functions from what was seen to what to do. No I/O, no clock."""

from xcom_rollout.decide.core import decide

__all__ = ["decide"]
