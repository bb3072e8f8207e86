"""Tasks in other namespaces start with a copy of the configuration, which no delivery changes."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.observed import StaleCopy
from xcom_rollout.decide.situation import COPY_PATIENCE, Situation, some
from xcom_rollout.decide.table import hold, wait

_AGAIN: Final = timedelta(seconds=10)


def config_not_copied(s: Situation) -> Finding | None:
    """Return that tasks of another namespace still start with other settings; None if they do not.

    A pod mounts ConfigMaps of its own namespace, so a delivery alone reaches no task there.
    """
    stale = s.observed.stale_copies
    if not stale:
        return None
    home = s.observed.rollout.namespace
    said = stale_copies(stale)
    if s.now - s.release.updated_at < COPY_PATIENCE:
        return wait("ConfigNotCopied", f"{said}. Waiting for the copy to be updated")
    return hold(
        "ConfigNotCopied",
        f"{said}. Set up a mirror that copies each change, or copy it now: "
        f"{copy_command(home, stale[0])}",
        after=_AGAIN,
    )


def stale_copies(stale: Sequence[StaleCopy]) -> str:
    """Return which copies differ from the release's own, and what follows from that, in words."""
    return (
        "task pods in another namespace mount the ConfigMap of that namespace, which a delivery "
        f"does not change. The backend settings of {some(stale)} differ from those of the "
        "release, so a task there starts with other settings"
    )


def copy_command(home: str, copy: StaleCopy) -> str:
    """Return the command that gives a copy the content of the ConfigMap in the namespace `home`."""
    data = f"$(kubectl get configmap {copy.name} -n {home} -o jsonpath='{{.data}}')"
    return (
        f"kubectl patch configmap {copy.name} -n {copy.namespace} --type merge "
        f'-p "{{\\"data\\": {data}}}"'
    )
