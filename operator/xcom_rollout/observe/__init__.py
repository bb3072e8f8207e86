"""Reads the current world into one frozen `Observed`. Changes nothing."""

from xcom_rollout.observe.gather import observe, same_look

__all__ = ["observe", "same_look"]
