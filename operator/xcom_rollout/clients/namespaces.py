"""Whether a namespace is being deleted."""

from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.kube_path import segment


def is_terminating_namespace(api: KubeApi, name: str) -> bool:
    """Return whether the namespace is being deleted, with everything in it.

    Raises:
        KubeError: the cluster could not be asked.
    """
    namespace = api.find(f"api/v1/namespaces/{segment(name)}")
    return namespace is None or namespace["metadata"].get("deletionTimestamp") is not None
