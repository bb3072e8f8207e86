"""End task pods."""

from typing import Final

from xcom_rollout.clients.airflow import in_parallel
from xcom_rollout.decide.actions import DeletePods
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.world import World

GRACE: Final = 1
"""Seconds: their runs have been stopped, and nothing that they could still do is wanted. Zero
would take them off the list while they may still run."""


def delete_pods(world: World, rollout: Rollout, action: DeletePods) -> None:
    """Delete each pod, unless another one has its name by now.

    Raises:
        WorldError: the cluster refused or could not be asked; the other pods are done all the same.
    """
    pods = f"api/v1/namespaces/{rollout.namespace}/pods"

    def delete(pod: tuple[str, str]) -> None:
        name, uid = pod
        world.api.delete(f"{pods}/{name}", uid=uid, grace_seconds=GRACE)

    in_parallel(delete, action.pods)
