"""End standby pods."""

from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.decide.actions import EndStandby
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.probe.standby import standby_pods
from xcom_rollout.wiring import Clients


def end_standby(clients: Clients, rollout: Rollout, action: EndStandby) -> None:
    """Delete the pods; their Jobs do not retry, and end with them.

    Raises:
        KubeError: the cluster could not be asked, or refused.
    """
    for pod in standby_pods(clients.api, rollout):
        if pod.job in action.jobs:
            clients.api.delete(
                object_path(rollout.namespace, "pods", pod.name), uid=pod.uid, grace_seconds=None
            )
