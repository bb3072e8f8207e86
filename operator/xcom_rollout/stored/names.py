"""Names and labels of the objects that the operator creates next to an Airflow release."""

import hashlib
from typing import Final

from xcom_rollout.api import names
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.decide.actions import RunJob
from xcom_rollout.decide.observed import Rollout

ANNOTATION_ATTEMPT: Final = f"{names.GROUP}/attempt"
PROBE_CONTAINER: Final = "xcom-probe"
"""Name of the container, and of the volume, of the Jobs that run the probe."""

LIMIT: Final = 63
"""Longest value of a label, and longest name of a Job (it becomes a label of its pods)."""


def fitted(name: str) -> str:
    """Return `name`, or if it is too long its beginning and a hash of the whole."""
    if len(name) <= LIMIT:
        return name
    tail = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: LIMIT - 9].rstrip('-.')}-{tail}"


def labels(rollout: str) -> dict[str, str]:
    """Return the labels of everything that belongs to a rollout."""
    return {
        "app.kubernetes.io/managed-by": names.MANAGER,
        names.LABEL_ROLLOUT: fitted(rollout),
    }


def selector(rollout: str) -> str:
    """Return the label selector that finds what belongs to a rollout."""
    return ",".join(f"{key}={value}" for key, value in labels(rollout).items())


def owner(rollout: Rollout) -> Json:
    """Return the owner reference that lets Kubernetes delete an object with its rollout."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": rollout.name,
        "uid": rollout.uid,
        "controller": False,
        "blockOwnerDeletion": False,
    }


def job_name(rollout: str, action: RunJob) -> str:
    """Return the name of the Job of an attempt: the same attempt always gets the same name."""
    return fitted(f"xbr-{rollout}-{action.kind}-{action.component}-{action.attempt}")


def ledger_name(rollout: str) -> str:
    return f"xbr-{rollout}-ledger"


def config_map_path(namespace: str, name: str | None = None) -> str:
    return object_path(namespace, "configmaps", name)
