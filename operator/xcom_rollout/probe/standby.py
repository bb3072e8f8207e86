"""The standby pods of a kill, which wait for questions, and the answer to the last one.

An answer is kept in memory until the ledger has it. If it is lost, the question is sent again: a
census changes nothing, and removed rows cannot be removed twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from xcom_rollout.api import names
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.observed import JobKind, Rollout
from xcom_rollout.release.pods import is_terminating
from xcom_rollout.stored.names import PROBE_CONTAINER, selector

JOB_LABEL: Final = "batch.kubernetes.io/job-name"


@dataclass(frozen=True)
class StandbyPod:
    """A pod that waits for questions, or will in a moment."""

    name: str
    uid: str
    job: str
    running: bool


@dataclass(frozen=True)
class StandbyAnswer:
    """The result document of the probe for one attempt.

    Attributes:
        pod: the pod that was asked.
    """

    pod: str
    attempt: int
    digest: str
    asked_at: datetime
    document: Mapping[str, Any]


def standby_pods(api: KubeApi, rollout: Rollout) -> list[StandbyPod]:
    """Return the rollout's standby pods.

    Raises:
        KubeError: the cluster could not be asked.
    """
    chosen = f"{selector(rollout.name)},{names.LABEL_KIND}={JobKind.STANDBY}"
    items = api.list(object_path(rollout.namespace, "pods"), labels=chosen)
    return [_pod(item) for item in items if not is_terminating(item)]


def keep_answer(memo: Memo, rollout: Rollout, kind: JobKind, answer: StandbyAnswer) -> None:
    """Keep an answer instead of the previous one to a question of its kind."""
    memo.put(_key(rollout, kind), answer)


def kept_answer(memo: Memo, rollout: Rollout, kind: JobKind) -> StandbyAnswer | None:
    """Return the newest answer to a question of a kind; None where none is kept."""
    found: StandbyAnswer | None = memo.find(_key(rollout, kind))
    return found


def _key(rollout: Rollout, kind: JobKind) -> tuple[str, str, str]:
    return ("standby", rollout.uid, str(kind))


def _pod(item: Json) -> StandbyPod:
    metadata = item["metadata"]
    statuses = (item.get("status") or {}).get("containerStatuses") or []
    running = any(
        status["name"] == PROBE_CONTAINER and "running" in (status.get("state") or {})
        for status in statuses
    )
    return StandbyPod(
        metadata["name"],
        metadata["uid"],
        (metadata.get("labels") or {}).get(JOB_LABEL, ""),
        running,
    )
