"""Effects on the world: one file for each verb, which brings about what its action names."""

from xcom_rollout.act.perform import perform

__all__ = ["perform"]
