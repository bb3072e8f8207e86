"""Effects on the world: a verb is a file, and each makes true what its action names."""

from xcom_rollout.act.perform import perform

__all__ = ["perform"]
