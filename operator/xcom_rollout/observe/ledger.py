"""The ledger of a rollout, read."""

from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.ledger import Ledger
from xcom_rollout.stored.ledger_memory import LedgerMemory
from xcom_rollout.stored.names import config_map_path, ledger_name


def read_ledger(api: KubeApi, memo: Memo, namespace: str, rollout: str) -> Ledger:
    """Return the ledger; an empty one where nothing has been recorded yet.

    Raises:
        KubeError: the cluster could not be asked.
        Malformed: there is a ledger and it cannot be read.
    """
    name = ledger_name(rollout)
    memory = LedgerMemory.of(memo, namespace, name)
    path = config_map_path(namespace, name)
    version = api.known_version(path)
    if version == "":
        return Ledger()
    if version is not None and (unchanged := memory.at(version)) is not None:
        return unchanged
    config_map = api.find(path)
    return Ledger() if config_map is None else memory.read(config_map)


def written_ledger(api: KubeApi, memo: Memo, namespace: str, rollout: str) -> Ledger:
    """Return the ledger that this process has just written, from the answer to the write.

    Where the answer did not contain it, it is read.

    Raises:
        KubeError: the cluster could not be asked.
        Malformed: there is a ledger and it cannot be read.
    """
    written = LedgerMemory.of(memo, namespace, ledger_name(rollout)).written
    return read_ledger(api, memo, namespace, rollout) if written is None else written
