"""The objects of one collection, as its watch told them last."""

import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from xcom_rollout.clients.kube import Json

_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_SHORT: Final = 64
"""Characters up to which a text is likely to be found again elsewhere."""
SILENCE: Final = 150.0
"""Seconds without a word after which a watch is not believed any more; the API server sends a
bookmark about every minute."""


class Store:
    """Objects by namespace and name. Safe for several threads; what it gives out is not changed.

    Attributes:
        version: the resourceVersion up to which the store is complete; 0 before the first list.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Condition()
        self._clock = clock
        self._items: dict[str, dict[str, Json]] = {}
        self._heard = float("-inf")
        self._in_vain = 0
        """The version that its watch was waited for in vain: one that is late is not waited for at
        each read, by everybody, but once."""
        self.version = 0

    def replace(self, items: Iterable[Json], version: int) -> None:
        """Take a list of the whole collection."""
        found: dict[str, dict[str, Json]] = {}
        for item in items:
            metadata = item["metadata"]
            found.setdefault(metadata.get("namespace", ""), {})[metadata["name"]] = _slim(item)
        with self._lock:
            self._items, self.version, self._in_vain = found, version, 0
            self._told(version)

    def put(self, item: Json, version: int) -> None:
        """Take an object that was made or changed."""
        metadata = item["metadata"]
        with self._lock:
            self._items.setdefault(metadata.get("namespace", ""), {})[metadata["name"]] = _slim(
                item
            )
            self._told(version)

    def remove(self, item: Json, version: int) -> None:
        """Take the end of an object."""
        metadata = item["metadata"]
        with self._lock:
            there = self._items.get(metadata.get("namespace", ""), {})
            there.pop(metadata["name"], None)
            if not there:
                self._items.pop(metadata.get("namespace", ""), None)
            self._told(version)

    def bookmark(self, version: int) -> None:
        """Take the word that nothing else has happened up to `version`."""
        with self._lock:
            self._told(version)

    def lost(self) -> None:
        """Believe nothing until the watch, or a list, is heard again."""
        with self._lock:
            self._heard = float("-inf")
            self._lock.notify_all()

    def read(self, namespace: str, at_least: int, wait: float = 0.0) -> list[Json] | None:
        """Return the objects of a namespace, of all for an empty one.

        None where the store may be behind `at_least`, after its watch was waited for for at most
        `wait` seconds; or not, where it is late already.
        """
        with self._lock:
            if not self._serves(at_least, wait):
                return None
            places = [self._items.get(namespace, {})] if namespace else self._items.values()
            return [item for place in places for item in place.values()]

    def find(
        self, namespace: str, name: str, at_least: int, wait: float = 0.0
    ) -> tuple[bool, Json | None]:
        """Return whether the store knows, and the object; None where there is none.

        Args:
            wait: seconds for which its watch is waited for at most, where it is behind and not
                known to be late.
        """
        with self._lock:
            if not self._serves(at_least, wait):
                return False, None
            return True, self._items.get(namespace, {}).get(name)

    def _told(self, version: int) -> None:
        self.version, self._heard = max(self.version, version), self._clock()
        self._lock.notify_all()

    def _serves(self, at_least: int, wait: float) -> bool:
        behind = self._believed() and self.version < at_least
        if behind and wait > 0 and self.version >= self._in_vain:
            told = self._lock.wait_for(
                lambda: self.version >= at_least or not self._believed(), timeout=wait
            )
            if not told:
                self._in_vain = max(self._in_vain, at_least)
        return self._believed() and self.version >= at_least

    def _believed(self) -> bool:
        return self.version > 0 and self._clock() - self._heard <= SILENCE


def _slim(item: Json) -> Json:
    """Return an object without what nobody reads of it here, which is most of its weight.

    Nor is what `kubectl apply` leaves on a Secret kept: all of its content.
    """
    metadata = dict(item["metadata"])
    if "annotations" in metadata:
        metadata["annotations"] = {
            key: value for key, value in metadata["annotations"].items() if key != _APPLIED
        }
    if "managedFields" in metadata:
        metadata["managedFields"] = [
            {key: entry[key] for key in ("manager", "time") if key in entry}
            for entry in metadata["managedFields"]
        ]
    slim: Json = {**item, "metadata": metadata}
    spec = item.get("spec")
    if isinstance(spec, dict) and "containers" in spec:  # a pod
        metadata.pop("managedFields", None)
        kept = {key: spec[key] for key in ("nodeName",) if key in spec}
        slim["spec"] = {**kept, "containers": [_named(each) for each in spec["containers"]]}
    elif isinstance(spec, dict) and "backoffLimit" in spec:  # a Job
        metadata.pop("managedFields", None)
        slim["spec"] = {key: value for key, value in spec.items() if key != "template"}
    shared: Json = _shared(slim)
    return shared


def _named(container: Json) -> Json:
    return {key: container[key] for key in ("name", "image") if key in container}


def _shared(value: Any) -> Any:
    """Return the same value, of texts that all objects share.

    Each event is parsed for itself, so without that each object has a copy of its own of every key
    and of what most values are, such as `True` and `RollingUpdate`: that is half of its weight.
    """
    if isinstance(value, dict):
        return {sys.intern(key): _shared(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_shared(each) for each in value]
    return sys.intern(value) if isinstance(value, str) and len(value) <= _SHORT else value
