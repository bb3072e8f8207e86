"""The ledger of a rollout, read."""

from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.ledger_memory import LedgerMemory
from xcom_rollout.clients.memo import Memo
from xcom_rollout.clients.object_names import config_map_path, ledger_name
from xcom_rollout.decide.ledger import Ledger


def read_ledger(api: KubeApi, memo: Memo, namespace: str, rollout: str) -> Ledger:
    """Return the ledger; an empty one where nothing has been remembered yet.

    Raises:
        KubeError: the cluster could not be asked.
        Malformed: there is a ledger and it cannot be read.
    """
    name = ledger_name(rollout)
    config_map = api.find(config_map_path(namespace, name))
    if config_map is None:
        return Ledger()
    return LedgerMemory.of(memo, namespace, name).read(config_map)
