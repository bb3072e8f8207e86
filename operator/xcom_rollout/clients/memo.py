"""A bounded memory for results that follow from an immutable input.

Its content may be dropped at any time without any change in behaviour.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

MOST: Final = 16384
"""Results kept: about ten for each of a thousand rollouts, most of them a hash."""

T = TypeVar("T")


class Memo:
    """Keeps results by key; the least recently used are dropped. Thread-safe."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` returned for this key before, or returns now.

        The key must identify the input completely. `make` may run twice at once; nothing is kept
        when it raises.
        """
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                found: T = self._values[key]
                return found
        value = make()
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return value

    def put(self, key: Hashable, value: object) -> None:
        """Keep a value that was obtained in another way."""
        self.forget(key)
        self.get(key, lambda: value)

    def find(self, key: Hashable) -> Any:
        """Return what is kept by this key, None for nothing."""
        with self._lock:
            return self._values.get(key)

    def forget(self, key: Hashable) -> None:
        """Drop what is kept by this key."""
        with self._lock:
            self._values.pop(key, None)
