"""What wakes the operator: watch events, onto the work queue, and a periodic list.

kopf reports rollouts and Jobs. kopf (1.45) abandons a watch permanently when its stream contains an
error, such as a change of etcd's leader, so the watches of the cache report them too, and whatever
else an idle rollout should see at once. The list is made from the cache; only where that is lost it
is a request.

Handlers only add keys. No finalizer is set, and kopf writes nothing to the resource.
"""

import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import kopf

from xcom_rollout.api import names
from xcom_rollout.cache.collections import (
    JOBS,
    OF_A_RELEASE,
    PODS,
    ROLLOUTS,
    TASK_PODS,
    Collection,
)
from xcom_rollout.cache.kept import without_last_applied
from xcom_rollout.clients.connection import Access
from xcom_rollout.clients.kube import Versions, version_of
from xcom_rollout.clients.kubeconfig import as_operator
from xcom_rollout.controller.reconcile import Key
from xcom_rollout.controller.workqueue import Workers, WorkQueue
from xcom_rollout.release.pods import has_ended
from xcom_rollout.stored.rollouts import is_kept, is_of_a_kill, release_of, rollout_path

EVERY_NAMESPACE: Final = "*"
WATCH_SECONDS: Final = 3600
"""How long a watch lasts before the API server ends it and it is started again."""
LIST_SECONDS: Final = 20.0
"""Time between two lists of all rollouts."""
TOGETHER: Final = timedelta(seconds=0.3)
"""Time in which ends of pods are combined: one action of a kill ends many."""
APART: Final = timedelta(seconds=2)
"""Shortest time between two passes caused by ends of pods: where many run, they never stop."""

ListRollouts = Callable[[str], Iterable[Mapping[str, Any]]]
"""Each rollout of a namespace, or of all for EVERY_NAMESPACE, as the API server shows it."""

log = logging.getLogger(__name__)


class Wakeups:
    """Decides which events need a pass.

    The operator's own status writes come back as events; a pass is requested only when something
    that people write has changed: the spec, or an annotation. A rollout with a kill is urgent.
    """

    def __init__(self, queue: WorkQueue[Key], versions: Versions | None = None) -> None:
        """Create it.

        Args:
            versions: what this process has seen. A glance in the pass caused by an event must not
                show the state before the event, from a cache that has not received it yet.
        """
        self._queue = queue
        self._versions = versions or Versions()
        self._lock = threading.Lock()
        self._seen: dict[Key, tuple[object, ...]] = {}
        self._releases: dict[Key, str] = {}
        self._killing: set[Key] = set()

    def rollout(self, event_type: str | None, raw: Mapping[str, Any]) -> None:
        """Handle an event of a rollout."""
        metadata = raw["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        self._versions.note(rollout_path(key.namespace), version_of(raw))
        if event_type == "DELETED":
            self._gone(key)
            return
        self._queue.mark(key, urgent=is_of_a_kill(raw))
        written = (
            metadata["uid"],
            metadata.get("generation"),
            metadata.get("deletionTimestamp"),
            # Without a copy of the spec, which the cache does not keep.
            hash(frozenset(without_last_applied(metadata.get("annotations") or {}).items())),
        )
        with self._lock:
            (self._killing.add if is_kept(metadata) else self._killing.discard)(key)
            if self._seen.get(key) == written:
                return
            self._seen[key] = written
            self._releases[key] = release_of(raw)
        self._queue.add(key)

    def listed(self, namespace: str, rollouts: Iterable[Mapping[str, Any]]) -> None:
        """Handle the list of all rollouts in a namespace, or in all."""
        there = set()
        for raw in rollouts:
            there.add(Key(raw["metadata"]["namespace"], raw["metadata"]["name"]))
            self.rollout(None, raw)
        with self._lock:
            known = [key for key in self._seen if namespace in (EVERY_NAMESPACE, key.namespace)]
        for key in known:
            if key not in there:
                self._gone(key)

    def _gone(self, key: Key) -> None:
        self._queue.mark(key, urgent=False)
        with self._lock:
            self._seen.pop(key, None)
            self._releases.pop(key, None)
            self._killing.discard(key)
            # A rollout that was refused because of this one may continue now.
            woken = [other for other in self._seen if other.namespace == key.namespace]
        for each in woken:
            self._queue.add(each)

    def changed(self, collection: Collection, kind: str, item: Mapping[str, Any]) -> None:
        """Handle an event of the cache."""
        metadata = item["metadata"]
        if collection == ROLLOUTS:
            self.rollout(kind if kind == "DELETED" else None, item)
        elif collection == JOBS:
            self.job(item)
        elif collection in OF_A_RELEASE:
            labels = metadata.get("labels") or {}
            # Helm's records have the release in `name`, the chart's objects in `release`.
            helm = labels.get("owner") == "helm"
            self.release(metadata["namespace"], labels.get("name" if helm else "release", ""))
        elif collection in (PODS, TASK_PODS) and (kind == "DELETED" or has_ended(item)):
            self.pod_ended()

    def release(self, namespace: str, name: str) -> None:
        """Handle a change of a release's objects: a manual revert is seen at once."""
        if not name:
            return
        with self._lock:
            woken = [
                key
                for key, release in self._releases.items()
                if key.namespace == namespace and release == name
            ]
        for key in woken:
            self._queue.add(key)

    def pod_ended(self) -> None:
        """Handle the end of a pod of Airflow: a kill may have waited for it.

        All kills are woken: a task may run in another namespace, with its own labels.
        """
        with self._lock:
            woken = tuple(self._killing)
        for key in woken:
            self._queue.hasten(key, TOGETHER, APART)

    def job(self, raw: Mapping[str, Any]) -> None:
        """Handle an event of a Job that belongs to a rollout."""
        metadata = raw["metadata"]
        self._versions.note(JOBS.path(metadata["namespace"]), version_of(raw))
        name = (metadata.get("labels") or {}).get(names.LABEL_ROLLOUT)
        if name:
            self._queue.add(Key(metadata["namespace"], name))


def registry_for(wakeups: Wakeups, workers: Workers[Key]) -> kopf.OperatorRegistry:
    """Return the handlers, registered."""
    registry = kopf.OperatorRegistry()

    @kopf.on.startup(registry=registry)
    async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure_kopf(settings)

    @kopf.on.login(registry=registry, id="as-the-operator")
    def login(**_: Any) -> kopf.ConnectionInfo:
        # Read again each time: kopf asks when its credentials are no longer accepted.
        return connection_info(as_operator().access())

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)
    async def rollout_event(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002
        wakeups.rollout(type, body)

    @kopf.on.event("batch", "v1", "jobs", registry=registry)
    async def job_event(body: kopf.Body, **_: Any) -> None:
        wakeups.job(body)

    @kopf.on.probe(registry=registry, id="workers")
    async def workers_alive(**_: Any) -> str:
        if not workers.alive():
            raise kopf.PermanentError("a worker thread has ended")
        return "alive"

    return registry


def connection_info(access: Access) -> kopf.ConnectionInfo:
    """Return kopf's connection to the API server, the same as everything else uses."""
    scheme, _, token = access.authorization.partition(" ")
    return kopf.ConnectionInfo(
        server=access.server,
        scheme=scheme or None,
        token=token or None,
        ca_path=access.trust.ca_file,
        insecure=not access.trust.verify,
        certificate_path=access.trust.certificate_file,
        private_key_path=access.trust.key_file,
        proxy_url=access.proxy_url or None,
    )


class Backoffs:
    """Seconds before each retry of a request, without end.

    By default kopf gives up permanently after a minute, also where a right is missing until
    somebody fixes the Role, or a namespace is created later than the operator.
    """

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0), itertools.repeat(30.0))


def configure_kopf(settings: kopf.OperatorSettings) -> None:
    """Use kopf only as a source of events."""
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = WATCH_SECONDS + 60
    settings.watching.connect_timeout = 30
    settings.networking.error_backoffs = Backoffs()
    settings.watching.label_selectors["batch", "v1", "jobs"] = names.LABEL_ROLLOUT


@contextmanager
def listing(
    namespaces: Iterable[str],
    list_rollouts: ListRollouts,
    wakeups: Wakeups,
    seconds: float = LIST_SECONDS,
) -> Iterator[None]:
    """Periodically pass the rollouts of each namespace to `wakeups`, in a separate thread."""
    ended = threading.Event()

    def run() -> None:
        # What was logged about a namespace that cannot be listed; once is enough.
        logged: dict[str, str] = {}
        while not ended.wait(seconds):
            for namespace in namespaces:
                try:
                    wakeups.listed(namespace, list_rollouts(namespace))
                except Exception as problem:  # noqa: BLE001 - the others are still listed
                    if logged.get(namespace) != str(problem):
                        log.warning(
                            "cannot list rollouts; retrying",
                            extra={"namespace": namespace, "error": str(problem)},
                        )
                    logged[namespace] = str(problem)
                else:
                    logged.pop(namespace, None)

    thread = threading.Thread(target=run, name="listing", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()


def serve(
    namespaces: Iterable[str],
    wakeups: Wakeups,
    workers: Workers[Key],
    list_rollouts: ListRollouts,
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
        with listing(namespaces, list_rollouts, wakeups):
            kopf.run(
                registry=registry_for(wakeups, workers),
                standalone=True,
                clusterwide=everywhere,
                namespaces=() if everywhere else tuple(namespaces),
                liveness_endpoint=liveness,
            )
    finally:
        workers.stop()
