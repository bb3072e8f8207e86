"""Objects of one kind in a namespace, listed once and read when they are new."""

from collections.abc import Callable
from typing import TypeVar

from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.clients.memo import Memo

T = TypeVar("T")


class Catalog:
    """The ConfigMaps or Secrets of a namespace, as one pass sees them.

    Their metadata is one request, whatever their number. Content is requested only where this
    version of the object is not cached, so that a pass over an unchanged world is cheap.
    """

    def __init__(
        self, api: KubeApi, memo: Memo, namespace: str, plural: str, *, labels: str = ""
    ) -> None:
        self._api = api
        self._memo = memo
        self._namespace, self._plural = namespace, plural
        self._labels = labels
        self._listed: dict[str, Json] | None = None
        self._read: dict[str, Json | None] = {}

    def metadata(self, name: str) -> Json | None:
        """Return the object's metadata, None where there is no such object.

        Raises:
            KubeError: the cluster could not be asked.
        """
        if self._listed is None:
            path = object_path(self._namespace, self._plural)
            items = self._api.list(path, labels=self._labels, metadata_only=True)
            self._listed = {item["metadata"]["name"]: item["metadata"] for item in items}
        return self._listed.get(name)

    def read(self, name: str) -> Json | None:
        """Return the whole object, None where there is none.

        Raises:
            KubeError: the cluster could not be asked.
        """
        if name not in self._read:
            self._read[name] = self._api.find(object_path(self._namespace, self._plural, name))
        return self._read[name]

    def fact(self, name: str, derive: Callable[[Json], T]) -> T | None:
        """Return the result of `derive`, a function of a module, for the object; None without one.

        Raises:
            KubeError: the cluster could not be asked.
        """
        metadata = self.metadata(name)
        if metadata is None:
            return None

        def make() -> T | None:
            item = self.read(name)
            return None if item is None else derive(item)

        key = (derive.__module__, derive.__qualname__, metadata["uid"], metadata["resourceVersion"])
        return self._memo.get(key, make)


def config_maps(api: KubeApi, memo: Memo, namespace: str) -> Catalog:
    return Catalog(api, memo, namespace, "configmaps")


def secrets(api: KubeApi, memo: Memo, namespace: str) -> Catalog:
    """Return the Secrets, without the large ones in which Helm keeps its releases."""
    return Catalog(api, memo, namespace, "secrets", labels="owner!=helm")
