"""Send a question of a kill to a standby pod, instead of creating a Job."""

import logging
from typing import Final

from xcom_rollout.clients.errors import KubeError, Malformed
from xcom_rollout.decide.actions import RunJob
from xcom_rollout.decide.kill.common import is_of_a_kill
from xcom_rollout.decide.observed import JobKind, Rollout
from xcom_rollout.probe.exec import ask_probe_in_image
from xcom_rollout.probe.job import PROBE_FOLDER, PROBE_KEY, runs_json
from xcom_rollout.probe.standby import StandbyAnswer, StandbyPod, keep_answer, standby_pods
from xcom_rollout.stored.names import PROBE_CONTAINER, config_map_path, fitted, labels
from xcom_rollout.wiring import Clients

ASKED: Final = frozenset({JobKind.CENSUS, JobKind.EMPTY})
"""Only short questions: a copy of values takes minutes, and a pass waits for its answer."""
PATIENCE: Final = 20.0
"""Seconds for an answer, after which a Job is created, which may take longer."""
_LOG: Final = logging.getLogger(__name__)


def ask_standby(clients: Clients, rollout: Rollout, action: RunJob) -> bool:
    """Return whether a standby pod has answered; its answer is kept for the next look.

    Whatever is wrong with it, a Job is created instead and reports more. Likewise where the
    question was sent before, and the process ended before the answer was on record: a Job keeps its
    own.
    """
    if action.kind not in ASKED or not is_of_a_kill(action):
        return False
    pod: StandbyPod | None = None
    try:
        pod = next(
            (
                found
                for found in standby_pods(clients.api, rollout)
                if found.running and not clients.memo.find(("standby is unresponsive", found.uid))
            ),
            None,
        )
        if pod is None or not _first_time(clients, rollout, pod, action):
            return False
        asked_at = clients.api.now()
        document = ask_probe_in_image(
            clients.api,
            rollout.namespace,
            pod.name,
            PROBE_CONTAINER,
            f"{PROBE_FOLDER}/{PROBE_KEY}",
            (*action.arguments, "--markers"),
            runs=runs_json(action.runs).encode() if action.runs else None,
            timeout=PATIENCE,
        )
    except (KubeError, Malformed) as error:
        if pod is not None:
            # Otherwise each question would wait for it in vain.
            clients.memo.put(("standby is unresponsive", pod.uid), True)
        _LOG.warning(
            "the standby pod did not answer, so a Job is created: %s",
            error.message,
            extra={"rollout": f"{rollout.namespace}/{rollout.name}", "kind": str(action.kind)},
        )
        return False
    answer = StandbyAnswer(pod.name, action.attempt, action.digest, asked_at, document)
    keep_answer(clients.memo, rollout, action.kind, answer)
    return True


def _first_time(clients: Clients, rollout: Rollout, pod: StandbyPod, action: RunJob) -> bool:
    """Record that a question is sent to a pod; return whether it had not been sent before."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": fitted(f"{pod.name}-{action.kind}-{action.attempt}"),
            "namespace": rollout.namespace,
            "labels": labels(rollout.name),
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid}
            ],
        },
    }
    return clients.api.create(config_map_path(rollout.namespace), body)
