"""Which executor Airflow has, and whether the kill-switch is known to be safe with it."""

from typing import Final

from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.situation import Situation
from xcom_rollout.decide.table import done, hold

SUPPORTED_EXECUTOR: Final = "KubernetesExecutor"
_SUPPORTED: Final = (
    SUPPORTED_EXECUTOR,
    "airflow.providers.cncf.kubernetes.executors.kubernetes_executor.KubernetesExecutor",
    "airflow.executors.kubernetes_executor.KubernetesExecutor",
)
"""Its name and its classes: a class of the same name from elsewhere may do anything."""


def is_supported(executor: str) -> bool:
    """Return whether this value of `[core] executor` is the supported one and no other beside it.

    Airflow allows an alias before a class: `alias:path.of.the.Class`.
    """
    return executor.strip().rpartition(":")[2] in _SUPPORTED


def executor_supported(s: Situation) -> Finding:
    """What is written for the scheduler names no executor that the kill-switch is not safe with.

    The proof tells it for sure, at the price of a Job in pods that another executor may not have.
    """
    written = s.observed.executor
    if s.release.settings == s.target:
        return done("ExecutorSupported", "the proven settings are delivered")
    if written and not is_supported(written):
        return not_supported(f"the scheduler is configured with {written}")
    return done("ExecutorSupported", written or "the proof tells which executor runs")


def not_supported(what: str) -> Finding:
    return hold(
        "ExecutorNotSupported",
        f"{what}; the kill-switch is only known to be safe with {SUPPORTED_EXECUTOR}, alone. "
        "Nothing is delivered to this release",
    )
