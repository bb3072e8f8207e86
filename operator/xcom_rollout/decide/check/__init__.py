"""`xbr check`: what of an installed release is supported, judged without a rollout. Pure.

The steps of the rollout's own table judge wherever they can, so that the reports are those of the
operator, with the same reasons.
"""

from xcom_rollout.decide.check.installed import Installed, Part
from xcom_rollout.decide.check.judge import judge
from xcom_rollout.decide.check.row import Group, Row, Verdict, verdict_of

__all__ = ["Group", "Installed", "Part", "Row", "Verdict", "judge", "verdict_of"]
