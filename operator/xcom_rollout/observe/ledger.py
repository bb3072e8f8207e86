"""The ledger of a rollout, read."""

from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.ledger_codec import from_config_map
from xcom_rollout.clients.object_names import config_map_path, ledger_name
from xcom_rollout.decide.ledger import Ledger


def read_ledger(api: KubeApi, namespace: str, rollout: str) -> Ledger:
    """Return the ledger; an empty one where nothing has been remembered yet.

    Raises:
        KubeError: the cluster could not be asked.
        Malformed: there is a ledger and it cannot be read.
    """
    config_map = api.find(config_map_path(namespace, ledger_name(rollout)))
    return Ledger() if config_map is None else from_config_map(config_map)
