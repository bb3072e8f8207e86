"""Replace pods that started with an earlier delivery."""

from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.decide.actions import ReplacePods
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.wiring import Clients


def replace_pods(clients: Clients, rollout: Rollout, action: ReplacePods) -> None:
    """Delete each pod, unless another one has its name by now; its controller creates another.

    Raises:
        ExternalError: one could not be deleted; those before it are.
    """
    for pod in action.pods:
        clients.api.delete(
            object_path(pod.namespace or rollout.namespace, "pods", pod.name),
            uid=pod.uid,
            grace_seconds=None,
        )
