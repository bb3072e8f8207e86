"""The objects of one collection, as its watch told them last."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from xcom_rollout.cache.kept import AS_OBJECTS, Form
from xcom_rollout.clients.kube import Json

SILENCE: Final = 150.0
"""Seconds without a word after which a watch is not believed any more; the API server sends a
bookmark about every minute."""


class Store:
    """Objects by namespace and name. Safe for several threads; what it gives out is not changed.

    Attributes:
        version: the resourceVersion up to which the store is complete; 0 before the first list.
    """

    def __init__(
        self, form: Form = AS_OBJECTS, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lock = threading.Condition()
        self._form = form
        self._clock = clock
        self._items: dict[str, dict[str, Any]] = {}
        """By namespace and name, in the store's form."""
        self._heard = float("-inf")
        self._in_vain = 0
        """The version that its watch was waited for in vain: one that is late is not waited for at
        each read, by everybody, but once."""
        self.version = 0

    def replace(self, items: Iterable[Json], version: int) -> None:
        """Take a list of the whole collection, one object after the other."""
        found: dict[str, dict[str, Any]] = {}
        for item in items:
            metadata = item["metadata"]
            there = found.setdefault(metadata.get("namespace", ""), {})
            there[metadata["name"]] = self._form.pack(item)
        with self._lock:
            self._items, self.version, self._in_vain = found, version, 0
            self._told(version)

    def put(self, item: Json, version: int) -> None:
        """Take an object that was made or changed."""
        metadata, packed = item["metadata"], self._form.pack(item)
        with self._lock:
            there = self._items.setdefault(metadata.get("namespace", ""), {})
            there[metadata["name"]] = packed
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
            kept = self._kept(namespace)
        return [self._form.unpack(item) for item in kept]

    def is_current(self) -> bool:
        """Return whether it was listed, and its watch is believed."""
        with self._lock:
            return self._believed()

    def every(self) -> Iterator[Json]:
        """Yield what is there now, believed or not, one object after the other."""
        with self._lock:
            kept = self._kept("")
        return map(self._form.unpack, kept)

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
            item = self._items.get(namespace, {}).get(name)
        return True, None if item is None else self._form.unpack(item)

    def _kept(self, namespace: str) -> list[Any]:
        places = [self._items.get(namespace, {})] if namespace else self._items.values()
        return [item for place in places for item in place.values()]

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
