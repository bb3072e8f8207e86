"""End task pods."""

from functools import partial

from xcom_rollout.act.outcomes import each_run
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.decide.actions import DeletePods
from xcom_rollout.decide.observed import Observed
from xcom_rollout.wiring import Clients


def delete_pods(clients: Clients, observed: Observed, action: DeletePods) -> None:
    """Delete each pod, unless another one has its name by now.

    A pod keeps its own grace period: `on_kill` of its operator ends what runs outside of the
    cluster, a Spark or BigQuery job for instance. Without any grace it would be off the list while
    it may still run.

    Raises:
        ExternalError: an error could not be recorded.
    """
    each_run(
        clients,
        observed,
        [
            (
                pod.run,
                partial(
                    clients.api.delete,
                    object_path(pod.namespace, "pods", pod.name),
                    uid=pod.uid,
                    grace_seconds=None,
                ),
            )
            for pod in action.pods
        ],
    )
