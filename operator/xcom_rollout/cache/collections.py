"""Which collections are watched, where, and who is told of their changes."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from xcom_rollout.api import names
from xcom_rollout.cache.kept import AS_OBJECTS, COMPRESSED, Form
from xcom_rollout.cache.reflector import Reflector
from xcom_rollout.cache.selectors import Selector, covers, parse_selector
from xcom_rollout.cache.store import Store
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.kube_path import object_path


@dataclass(frozen=True)
class Collection:
    """Objects of a kind that the operator reads again and again.

    Attributes:
        labels: selector of the watch: what else there is of the kind is never asked for.
        metadata_only: whether only metadata is kept; contents are read when they are new.
        form: how the cache keeps the objects.
    """

    plural: str
    api_version: str = "v1"
    labels: str = ""
    metadata_only: bool = False
    form: Form = COMPRESSED

    @property
    def selector(self) -> Selector:
        return parse_selector(self.labels)

    def path(self, namespace: str | None) -> str:
        """Return the path of the collection in a namespace; None: in all."""
        path = object_path(namespace or "all", self.plural, version=self.api_version)
        return path if namespace else path.replace("/namespaces/all/", "/")


ROLLOUTS: Final = Collection(names.PLURAL, names.API_VERSION)
RELEASES: Final = Collection("secrets", metadata_only=True)
CONFIG_MAPS: Final = Collection("configmaps", metadata_only=True)
DEPLOYMENTS: Final = Collection("deployments", "apps/v1", "tier=airflow")
STATEFUL_SETS: Final = Collection("statefulsets", "apps/v1", "tier=airflow")
JOBS: Final = Collection("jobs", "batch/v1", names.LABEL_ROLLOUT)
PODS: Final = Collection("pods", labels="tier=airflow", form=AS_OBJECTS)
# KubernetesExecutor puts this on every pod of a task, whatever its template says.
TASK_PODS: Final = Collection("pods", labels="kubernetes_executor=True", form=AS_OBJECTS)
JOB_PODS: Final = Collection("pods", labels=names.LABEL_ROLLOUT)
OF_A_RELEASE: Final = (RELEASES, CONFIG_MAPS, DEPLOYMENTS, STATEFUL_SETS)
WATCHED: Final = (
    ROLLOUTS,
    JOBS,
    PODS,
    TASK_PODS,
    JOB_PODS,
    DEPLOYMENTS,
    STATEFUL_SETS,
    CONFIG_MAPS,
    RELEASES,
)

PAGE: Final = 50
"""Objects of a list that are requested at a time. A page of 500 Deployments takes some 15 MiB when
parsed, and a process seldom gives memory back to the system."""

OnChange = Callable[[Collection, str, Json], None]
"""Called with the collection, `ADDED`, `MODIFIED` or `DELETED`, and the object."""


@dataclass(frozen=True)
class _Watched:
    """A collection of the API server."""

    api: KubeApi
    collection: Collection
    path: str

    def listed(self) -> tuple[Iterator[Json], int]:
        return self.api.pages(
            self.path,
            labels=self.collection.labels,
            metadata_only=self.collection.metadata_only,
            page=PAGE,
        )

    def events(self, since: int, seconds: int, silence: float) -> Iterator[Json]:
        return self.api.watch(
            self.path,
            since,
            labels=self.collection.labels,
            metadata_only=self.collection.metadata_only,
            seconds=seconds,
            silence=silence,
        )


class Cache:
    """The watched collections of namespaces.

    A namespace is watched from the first look at it on: one without a rollout costs nothing.
    """

    def __init__(
        self,
        api: KubeApi,
        on_change: OnChange,
        *,
        everywhere: bool = False,
    ) -> None:
        """Make the cache. Nobody is asked anything yet.

        Args:
            api: a connection of its own: each watch keeps one open.
            on_change: called in the threads of the watches.
            everywhere: whether one watch serves all namespaces; else each has its own.
        """
        self._api = api
        self._everywhere = everywhere
        self._on_change = on_change
        self._lock = threading.Lock()
        self._reflectors: dict[tuple[Collection, str | None], Reflector] = {}

    def begin(self, namespace: str) -> None:
        """Watch all collections of a namespace, if that has not begun yet."""
        for collection in WATCHED:
            self.watch(collection, namespace)

    def serves(self, namespace: str) -> bool:
        """Return whether all collections of a namespace are known; begin to watch it."""
        stores = [self.watch(collection, namespace) for collection in WATCHED]
        return all(store is not None and store.is_current() for store in stores)

    def watch(self, collection: Collection, namespace: str) -> Store | None:
        """Return the store of a collection; the first time, begin to watch it.

        None where it is asked for in all namespaces (an empty one) and each is watched for itself.
        """
        if not namespace and not self._everywhere:
            return None
        place = None if self._everywhere else namespace
        with self._lock:
            found = self._reflectors.get((collection, place))
            if found is None:
                path = collection.path(place)
                found = Reflector(
                    f"{path}?{collection.labels}".rstrip("?"),
                    _Watched(self._api, collection, path),
                    lambda kind, item: self._on_change(collection, kind, item),
                    form=collection.form,
                )
                self._reflectors[collection, place] = found
                found.start()
        return found.store

    def troubles(self) -> tuple[str, ...]:
        """Return which watches are lost, and why."""
        with self._lock:
            reflectors = tuple(self._reflectors.values())
        return tuple(f"{each.name}: {each.trouble}" for each in reflectors if each.trouble)

    def stop(self) -> None:
        """End all watches for good; after it their connections may be closed.

        Not before: a thread that reads from a connection which was closed under it eats the first
        bytes of whatever is opened next.
        """
        with self._lock:
            reflectors = tuple(self._reflectors.values())
        for reflector in reflectors:
            reflector.stop()
        self._api.end_watches()
        for reflector in reflectors:
            reflector.join()


def serving(plural: str, api_version: str, selector: Selector) -> Collection | None:
    """Return the watched collection that holds all that a selector selects; None without one."""
    for collection in WATCHED:
        same = (collection.plural, collection.api_version) == (plural, api_version)
        if same and covers(collection.selector, selector):
            return collection
    return None


def is_alone(collection: Collection) -> bool:
    """Whether no other watched collection is of the same kind."""
    return [each.plural for each in WATCHED].count(collection.plural) == 1
