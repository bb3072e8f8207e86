"""The cluster as the cache shows it; what it does not hold, or not surely, is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from xcom_rollout.cache.collections import Cache, Collection, is_alone, serving
from xcom_rollout.cache.selectors import matches, parse_selector
from xcom_rollout.clients.kube import Json, KubeApi, Listed

BEHIND: Final = 0.5
"""Seconds for which a watch is waited for that is yet to tell of what this process has seen or
written: it does within some milliseconds, so waiting is cheaper than asking."""


@dataclass(frozen=True)
class _Place:
    """What a path of the Kubernetes API names; without a namespace, what is in all."""

    api_version: str
    namespace: str
    plural: str
    name: str = ""


class CachedKube(KubeApi):
    """Reads as `KubeApi` does, from the cache where that is as new as what was seen before.

    What it returns belongs to the cache: it is read and never changed.
    """

    def __init__(self, api: KubeApi, cache: Cache) -> None:
        super().__init__(api.connection, api.versions)
        self._api = api
        self._cache = cache

    def find(self, path: str) -> Json | None:
        place = _place(path)
        if place is not None and place.name:
            collection = serving(place.plural, place.api_version, ())
            if collection is not None and not collection.metadata_only:
                known, item = self._find(collection, place, path)
                if known:
                    return item
        return self._api.find(path)

    def list_at(
        self, path: str, *, labels: str = "", fields: str = "", metadata_only: bool = False
    ) -> Listed:
        place = _place(path)
        if place is not None and not place.name and not fields:
            found = self._list(place, path, labels, metadata_only=metadata_only)
            if found is not None:
                return found, 0
        return self._api.list_at(path, labels=labels, fields=fields, metadata_only=metadata_only)

    def known_version(self, path: str) -> str | None:
        place = _place(path)
        collection = None if place is None else serving(place.plural, place.api_version, ())
        if place is None or not place.name or collection is None:
            return None
        known, item = self._find(collection, place, path)
        if not known:
            return None
        return "" if item is None else str(item["metadata"]["resourceVersion"])

    def _list(
        self, place: _Place, path: str, labels: str, *, metadata_only: bool
    ) -> list[Json] | None:
        selector = parse_selector(labels)
        collection = serving(place.plural, place.api_version, selector)
        if collection is None or (collection.metadata_only and not metadata_only):
            return None
        store = self._cache.watch(collection, place.namespace)
        if store is None:
            return None
        items = store.read(place.namespace, self.versions.seen(path, labels), _wait(collection))
        if items is None:
            return None
        # In the order of the API server's own lists.
        chosen = [item for item in items if matches(selector, _labels(item))]
        return sorted(chosen, key=lambda item: str(item["metadata"]["name"]))

    def _find(self, collection: Collection, place: _Place, path: str) -> tuple[bool, Json | None]:
        store = self._cache.watch(collection, place.namespace)
        at_least = self.versions.seen(path.rpartition("/")[0])
        if store is None:
            return False, None
        return store.find(place.namespace, place.name, at_least, _wait(collection))


def _wait(collection: Collection) -> float:
    # What was seen of pods may be in another watch of them: this one hears of that in a minute.
    return BEHIND if is_alone(collection) else 0.0


def _labels(item: Json) -> Mapping[str, str]:
    return item["metadata"].get("labels") or {}


def _place(path: str) -> _Place | None:
    """Return what a path names; None for what is below an object."""
    parts = path.split("/")
    prefix, parts = (parts[0], parts[1:]) if parts[0] == "api" else ("", parts[1:])
    width = 1 if prefix else 2
    version, rest = "/".join(parts[:width]), parts[width:]
    if len(rest) == 1:
        return _Place(version, "", rest[0])
    if len(rest) not in (3, 4) or rest[0] != "namespaces":
        return None
    return _Place(version, rest[1], rest[2], rest[3] if len(rest) == 4 else "")
