"""Tasks in other namespaces start with a copy of the configuration, which no delivery changes."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.observed import StaleCopy
from xcom_rollout.decide.situation import Situation, some
from xcom_rollout.decide.table import hold, wait

COPY_PATIENCE: Final = timedelta(seconds=60)
"""How long a mirror is given to bring a change of airflow.cfg to the other namespaces of tasks."""
_AGAIN: Final = timedelta(seconds=10)


def config_not_copied(s: Situation) -> Finding | None:
    """Return that tasks of another namespace still start with other settings; None: they do not.

    A pod mounts ConfigMaps of its own namespace, so a delivery alone reaches no task there.
    """
    stale = s.observed.stale_copies
    if not stale:
        return None
    home = s.observed.rollout.namespace
    said = stale_copies(stale)
    if s.now - s.release.updated_at < COPY_PATIENCE:
        return wait("ConfigNotCopied", f"{said}. What brings the change there is waited for")
    return hold(
        "ConfigNotCopied",
        f"{said}. Let something mirror it at each change, or bring it now: "
        f"{copy_command(home, stale[0])}",
        after=_AGAIN,
    )


def stale_copies(stale: Sequence[StaleCopy]) -> str:
    """Return which copies are not as the release's own, and what follows from that, in words."""
    return (
        "pods of tasks in another namespace mount the ConfigMap of that namespace, which no "
        f"delivery changes, and {some(stale)} does not say of the backend what the release's "
        "does: a task there starts with other settings"
    )


def copy_command(home: str, copy: StaleCopy) -> str:
    """Return the command that makes a copy say what the ConfigMap in the namespace `home` says."""
    data = f"$(kubectl get configmap {copy.name} -n {home} -o jsonpath='{{.data}}')"
    return (
        f"kubectl patch configmap {copy.name} -n {copy.namespace} --type merge "
        f'-p "{{\\"data\\": {data}}}"'
    )
