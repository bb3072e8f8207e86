"""Release a rollout whose namespace is being deleted."""

from xcom_rollout.act.set_finalizer import set_finalizer
from xcom_rollout.clients.errors import Forbidden
from xcom_rollout.clients.namespaces import is_terminating_namespace
from xcom_rollout.wiring import Clients


def let_go(clients: Clients, namespace: str, name: str) -> bool:
    """Remove the finalizer where the namespace is being deleted; return whether it is.

    Airflow is deleted with it, so there is nothing left to kill, and nothing else is read: the
    operator's own Role in that namespace is deleted among the first (`rbac.letNamespacesGo`).

    Raises:
        ExternalError: the cluster refused or could not be asked.
    """
    try:
        if not is_terminating_namespace(clients.api, namespace):
            return False
    except Forbidden:
        return False
    set_finalizer(clients, namespace, name, present=False)
    return True
