"""Keep the resource during a kill, and release it afterwards."""

from xcom_rollout.api import names
from xcom_rollout.stored.rollouts import rollout_path
from xcom_rollout.wiring import Clients


def set_finalizer(clients: Clients, namespace: str, name: str, *, present: bool) -> None:
    """Add or remove the operator's finalizer; those of others stay.

    Raises:
        Conflict: somebody changed the resource meanwhile, or it is gone.
        ExternalError: the cluster refused or could not be asked.
    """
    path = rollout_path(namespace, name)
    raw = clients.api.find(path)
    if raw is None:
        return
    metadata = raw["metadata"]
    others = [each for each in metadata.get("finalizers") or [] if each != names.FINALIZER]
    wanted = [*others, names.FINALIZER] if present else others
    clients.api.patch(
        path,
        {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": wanted}},
    )
