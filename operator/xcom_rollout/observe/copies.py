"""Copies of Airflow's configuration in the other namespaces in which tasks run.

KubernetesExecutor creates the pod of a task from one template, whatever its namespace, and a pod
mounts ConfigMaps of its own namespace only. So each such namespace has a copy of airflow.cfg, which
no delivery changes: it follows when a mirror, or a person, copies the change there.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from xcom_rollout.clients.errors import ActionFailed, KubeError
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.ledger import Component
from xcom_rollout.decide.observed import StaleCopy
from xcom_rollout.observe.configuration import (
    configuration_names,
    last_change,
    owned_options,
)
from xcom_rollout.release.catalog import Catalog, config_maps
from xcom_rollout.release.objects import template_of


@dataclass(frozen=True)
class Copies:
    """The copies of one release.

    Attributes:
        stale: those that differ from the release's own.
        changed_at: when any of them changed last; None where there is none.
        unchanged_since: last change of the one that has been unchanged for longest.
        options: a text that differs when one of them has other options of the backend; empty where
            there is none.
    """

    stale: tuple[StaleCopy, ...] = ()
    changed_at: datetime | None = None
    unchanged_since: datetime | None = None
    options: str = ""

    def newest(self, changed_at: datetime | None) -> datetime | None:
        """Return the later one of the last change here and that of the release's own."""
        return max(filter(None, (self.changed_at, changed_at)), default=None)

    def hashed(self, backend_hash: str) -> str:
        """Return a hash of the release's own options and of those here."""
        if not (self.options and backend_hash):
            return backend_hash
        return hashlib.sha256(f"{backend_hash} {self.options}".encode()).hexdigest()[:16]


def config_copies(
    api: KubeApi,
    memo: Memo,
    namespace: str,
    others: Iterable[str],
    workloads: Sequence[Json],
    here: Catalog,
) -> Copies:
    """Return the copies in other namespaces.

    A missing one does not count: no pod that mounts it can start, so none can read with it.

    Args:
        namespace: of the release.
        others: where tasks run beside it.
        here: the ConfigMaps of the release's namespace.
    """
    others = sorted(set(others) - {namespace})
    if not others:
        return Copies()
    try:
        names = configuration_names((template_of(Component.TASK_POD, workloads, here),), here)
    except ActionFailed:
        # That nothing can be proven without the template is reported elsewhere.
        return Copies()
    stale: list[StaleCopy] = []
    moments: list[datetime] = []
    options: dict[str, object] = {}
    for other in others:
        there = config_maps(api, memo, other)
        try:
            found = [name for name in names if there.metadata(name) is not None]
            moments += filter(None, [last_change(found, there)])
            for name in found:
                options[f"{other}/{name}"] = copied = there.fact(name, owned_options)
                if copied != here.fact(name, owned_options):
                    stale.append(StaleCopy(other, name))
        except KubeError as error:
            stale.append(StaleCopy(other, ", ".join(names), error.message))
    text = json.dumps(options, sort_keys=True) if options else ""
    return Copies(tuple(stale), max(moments, default=None), min(moments, default=None), text)
