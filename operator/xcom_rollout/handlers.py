"""What wakes the operator: watch events, through kopf, onto the work queue.

Handlers only add keys. No finalizer is set, nothing of kopf's is written to the resource.
"""

import threading
from collections.abc import Collection, Mapping
from typing import Any, Final

import kopf

from xcom_rollout.api import names
from xcom_rollout.queue import Workers, WorkQueue
from xcom_rollout.reconcile import Key

EVERY_NAMESPACE: Final = "*"
WATCH_SECONDS: Final = 600
"""How long a watch lasts before the API server ends it and it is begun again."""


class Wakeups:
    """Decides which events are worth a pass.

    The operator's own status writes come back as events; a pass is asked for only when something
    that people write has changed: the spec, or an annotation.
    """

    def __init__(self, queue: WorkQueue[Key]) -> None:
        self._queue = queue
        self._lock = threading.Lock()
        self._seen: dict[Key, tuple[object, ...]] = {}

    def rollout(self, event_type: str | None, metadata: Mapping[str, Any]) -> None:
        """Take an event of a rollout with this metadata."""
        key = Key(metadata["namespace"], metadata["name"])
        written = (
            metadata["uid"],
            metadata.get("generation"),
            metadata.get("deletionTimestamp"),
            hash(frozenset((metadata.get("annotations") or {}).items())),
        )
        with self._lock:
            if event_type == "DELETED":
                self._seen.pop(key, None)
                # A rollout that was refused because of this one may have its turn now.
                woken = [other for other in self._seen if other.namespace == key.namespace]
            elif self._seen.get(key) == written:
                woken = []
            else:
                self._seen[key] = written
                woken = [key]
        for each in woken:
            self._queue.add(each)

    def job(self, metadata: Mapping[str, Any]) -> None:
        """Take an event of a Job that belongs to a rollout."""
        name = (metadata.get("labels") or {}).get(names.LABEL_ROLLOUT)
        if name:
            self._queue.add(Key(metadata["namespace"], name))


def registry_for(wakeups: Wakeups, workers: Workers[Key]) -> kopf.OperatorRegistry:
    """Return the handlers, registered."""
    registry = kopf.OperatorRegistry()

    @kopf.on.startup(registry=registry)
    async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure_kopf(settings)

    @kopf.on.login(registry=registry, id="service-account", errors=kopf.ErrorsMode.IGNORED)
    async def in_cluster(**arguments: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**arguments)

    @kopf.on.login(registry=registry, id="kubeconfig", errors=kopf.ErrorsMode.IGNORED)
    async def from_outside(**arguments: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_kubeconfig(**arguments)

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)
    async def rollout_event(type: str | None, meta: kopf.Meta, **_: Any) -> None:  # noqa: A002
        wakeups.rollout(type, meta)

    @kopf.on.event("batch", "v1", "jobs", registry=registry)
    async def job_event(meta: kopf.Meta, **_: Any) -> None:
        wakeups.job(meta)

    @kopf.on.probe(registry=registry, id="workers")
    async def workers_alive(**_: Any) -> str:
        if not workers.alive():
            raise kopf.PermanentError("a worker thread has ended")
        return "alive"

    return registry


def configure_kopf(settings: kopf.OperatorSettings) -> None:
    """Make kopf a source of events and nothing else."""
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = WATCH_SECONDS + 60
    settings.watching.connect_timeout = 30
    settings.watching.label_selectors["batch", "v1", "jobs"] = names.LABEL_ROLLOUT


def serve(
    namespaces: Collection[str],
    queue: WorkQueue[Key],
    workers: Workers[Key],
    *,
    liveness: str | None,
) -> None:
    """Watch `namespaces` and work until SIGTERM or SIGINT, then let running passes end.

    Args:
        namespaces: names, or EVERY_NAMESPACE alone.
        liveness: address to answer liveness probes at, such as http://0.0.0.0:8080/healthz.
    """
    everywhere = EVERY_NAMESPACE in namespaces
    workers.start()
    try:
        kopf.run(
            registry=registry_for(Wakeups(queue), workers),
            standalone=True,
            clusterwide=everywhere,
            namespaces=() if everywhere else tuple(namespaces),
            liveness_endpoint=liveness,
        )
    finally:
        workers.stop()
