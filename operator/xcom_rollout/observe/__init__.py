"""The world as it is, read into one frozen `Observed`. Changes nothing."""

from xcom_rollout.observe.gather import observe

__all__ = ["observe"]
