"""Keeps a store up to date: a list, then a watch from there, for ever."""

import logging
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from xcom_rollout.cache.kept import AS_OBJECTS, Form
from xcom_rollout.cache.store import SILENCE, Store
from xcom_rollout.clients.errors import ExternalError, Forbidden, KubeError
from xcom_rollout.clients.kube import Json, version_of

WATCH_SECONDS: Final = (3600, 7200)
"""How long a watch lasts, at least and at most: watches that began together do not end so. Where
none has anything to tell, beginning them again is most of what rest costs."""
FIRST_RETRY: Final = 1.0
LONGEST_RETRY: Final = 30.0
LONGEST_WITHOUT_RIGHT: Final = 300.0
"""The same where a right is missing: it is asked for by everything else meanwhile."""

log = logging.getLogger(__name__)


class Source(Protocol):
    """A collection of the API server."""

    def listed(self) -> tuple[Iterable[Json], int]:
        """Return the objects, and the resourceVersion at which they were so; 0 where it is none.

        The objects may be asked for while they are taken.

        Raises:
            ExternalError: they cannot be listed; also while they are taken.
        """

    def events(self, since: int, seconds: int, silence: float) -> Iterator[Json]:
        """Yield what happens since a resourceVersion: `type` and `object`, and bookmarks.

        Raises:
            ExternalError: the watch is refused or lost, or that is too long ago.
        """


class Reflector:
    """A thread that lists and watches one collection.

    After a watch that was lost the collection is listed again, for what a watch goes on from may be
    of another time: an etcd that was restored counts from an earlier version. Until then the store
    serves nobody, who then asks the API server instead: slower, and as right.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        on_change: Callable[[str, Json], None],
        pause: Callable[[float], object] | None = None,
        *,
        form: Form = AS_OBJECTS,
    ) -> None:
        """Make the reflector; `start` begins.

        Args:
            name: of the collection, for people.
            source: what to watch.
            on_change: called with `ADDED`, `MODIFIED` or `DELETED` and the object, in the
                reflector's thread; after a list for each object of it as `ADDED`.
            pause: waits a number of seconds; tests do not wait.
            form: how the objects are kept.
        """
        self.store = Store(form)
        self.name = name
        self._source = source
        self._on_change = on_change
        self._ended = threading.Event()
        self._pause = pause or self._ended.wait
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"watch {name}", daemon=True)
        self.trouble = ""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end. A watch that waits for a word has to be ended beside it."""
        self._ended.set()

    def join(self) -> None:
        """Wait until the end."""
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                if self.store.version or self._list():
                    self._watch()
            except ExternalError as error:
                self._failed(error)
            except Exception as error:
                log.exception("a watch failed; restarting it", extra={"watch": self.name})
                self._failed(error)

    def _list(self) -> bool:
        """Return whether there is a version to watch from."""
        items, version = self._source.listed()
        if version == 0:
            # Nothing could be compared; all is read from the API server itself.
            self._pause(LONGEST_RETRY)
            return False
        self.store.replace(items, version)
        for item in self.store.every():
            self._on_change("ADDED", item)
        return True

    def _watch(self) -> None:
        seconds = random.randint(*WATCH_SECONDS)  # noqa: S311 - no secret
        heard = False
        for event in self._source.events(self.store.version, seconds, SILENCE):
            heard = True
            self._heard()
            self._take(event["type"], event["object"])
            if self._ended.is_set():
                return
        if not heard:
            # A proxy that cannot stream, or a server that goes away: a bookmark comes each minute.
            raise KubeError("the watch ended without a message")

    def _take(self, kind: str, item: Json) -> None:
        version = version_of(item)
        if kind == "BOOKMARK":
            self.store.bookmark(version)
        elif kind == "DELETED":
            self.store.remove(item, version)
            self._on_change(kind, item)
        elif kind in ("ADDED", "MODIFIED"):
            self.store.put(item, version)
            self._on_change(kind, item)

    def _heard(self) -> None:
        if self._failures:
            log.info("watch restored", extra={"watch": self.name})
        self._failures, self.trouble = 0, ""

    def _failed(self, error: Exception) -> None:
        self.store.lost()
        self.store.version = 0
        if self._ended.is_set():
            return
        self._failures += 1
        self.trouble = str(error)
        if self._failures == 1:
            remedy = "grant the verb watch in the Role of the operator's chart; until then "
            log.warning(
                "a watch was lost; %severy pass asks the API server instead",
                remedy if isinstance(error, Forbidden) else "until it is back ",
                extra={"watch": self.name, "error": str(error)},
            )
        longest = LONGEST_WITHOUT_RIGHT if isinstance(error, Forbidden) else LONGEST_RETRY
        delay = min(FIRST_RETRY * 2.0 ** min(self._failures - 1, 10), longest)
        self._pause(delay * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
