"""Takes a value through the backend, on each way that it can take."""

from __future__ import annotations

import contextlib
import json
from typing import Any, ContextManager

from xcom_probe import ending, redact
from xcom_probe.airflow import backend, encoding, offloading, storage, versions
from xcom_probe.airflow.throwaway import ThrowAwayRun, ThrowAwayTask
from xcom_probe.roundtrip.judge import (
    BASE,
    DRIFT,
    EQUAL,
    FAILURE,
    INLINE,
    LOADED,
    OFFLOADED,
    Outcome,
    Trip,
)
from xcom_probe.values.compare import differences
from xcom_probe.values.drift import PRECISION
from xcom_probe.values.sample import Sample

# A row with a path is short; longer ones are not even decoded.
_LONGEST_PATH = 65536


class Traveller:
    """Sends values through the class that is loaded, and through BaseXCom.

    Args:
        run: the open run that the rows belong to.
        loaded: the XCom class of this pod.
        base: the backend's base path as it is written into rows, without a slash at the end; None
            if `loaded` is not the object storage backend.
        threshold: bytes; which way a value is configured to take is judged by this, not by what
            the pod says.
    """

    def __init__(self, run: ThrowAwayRun, loaded: Any, base: str | None, threshold: int) -> None:
        self._run = run
        self._loaded = loaded
        self._base = base
        self._threshold = threshold
        self.offloaded = False
        """Whether the backend has written an object since."""
        # What came back changed of the value that is under way, by way.
        self._changed: dict[str, Any] = {}
        self._tasks: dict[tuple[bool, str, int], ThrowAwayTask] = {}

    def take(self, sample: Sample) -> Outcome:
        """All trips of one value."""
        try:
            value = sample.make()
        except Exception as problem:  # noqa: BLE001 - its package, or the zone, is not here
            skipped = f"cannot be created here: {redact.error(problem)}"
            return Outcome(sample.name, sample.kind, None, {}, "", sample.known, skipped)
        size = encoding.encoded_size(value)
        configured, others = self._ways(size, sample.sized)
        self._changed = {}
        trips = {configured: self._trip(sample, value, configured)}
        for way in others:
            with self._forced(way):
                trips[way] = self._trip(sample, value, way)
        if configured != BASE and (not sample.sized or trips[configured].verdict != EQUAL):
            trips[BASE] = self._trip(sample, value, BASE)
            trips = {way: self._compared(trip, way) for way, trip in trips.items()}
        self._changed = {}
        return Outcome(sample.name, sample.kind, size, trips, configured, sample.known)

    def _compared(self, trip: Trip, way: str) -> Trip:
        """The trip with what a task would notice of the change from BaseXCom, if both drift."""
        if way == BASE or way not in self._changed or BASE not in self._changed:
            return trip
        found = differences(self._changed[BASE], self._changed[way])
        return trip._replace(as_base=all(one.drift == PRECISION for one in found))

    def _ways(self, size: int | None, only_configured: bool) -> tuple[str, list[str]]:
        """The configured way, and those to be tried beside it and BaseXCom.

        Every fleet passes through a stage in which nothing is offloaded, so each value is tried
        inline; and where anything is offloaded, values like this one can be as large.
        """
        if self._loaded is backend.base_class():
            return BASE, []
        if self._base is None:
            return LOADED, []
        offloaded = size is not None and 0 <= self._threshold <= size
        configured = OFFLOADED if offloaded else INLINE
        if only_configured or self._threshold < 0:
            return configured, []
        return configured, [INLINE if offloaded else OFFLOADED]

    def _forced(self, way: str) -> ContextManager[None]:
        if way == OFFLOADED:
            return offloading.threshold(offloading.ALWAYS)
        if way == INLINE:
            return offloading.threshold(offloading.NEVER)
        return contextlib.nullcontext()

    def _task(self, sample: Sample, way: str) -> ThrowAwayTask:
        of_base = way == BASE
        place = (of_base, sample.task_id, sample.map_index)
        if place not in self._tasks:
            xcom = backend.base_class() if of_base else self._loaded
            task_id = f"{sample.task_id}.base" if of_base else sample.task_id
            self._tasks[place] = self._run.task(xcom, task_id, sample.map_index)
        return self._tasks[place]

    def _trip(self, sample: Sample, value: Any, way: str) -> Trip:
        task = self._task(sample, way)
        key = sample.key or sample.name
        # A write that is on its way has to be waited for: its object could not be removed.
        with ending.held():
            try:
                task.write(key, value)
            except Exception as problem:  # noqa: BLE001 - this is what is asked
                return Trip(FAILURE, (), f"cannot be written: {redact.error(problem)}")
            try:
                path = self._path(task.stored(key), value)
                trip = self._read(task, key, value, path, way)
                self.offloaded = self.offloaded or path is not None
                if path is not None and sample.sized:
                    # As Airflow does before a task runs again. All others go at the end, at once.
                    task.purge(path)
                return trip
            except Exception as problem:  # noqa: BLE001 - the other values are still to be tried
                return Trip(FAILURE, (), redact.error(problem))

    def _read(self, task: ThrowAwayTask, key: str, value: Any, path: str | None, way: str) -> Trip:
        offloaded = path is not None
        if offloaded != (way == OFFLOADED):
            was = "was offloaded" if offloaded else "stayed in the row"
            return Trip(FAILURE, (), f"{was}, where it should not have been", offloaded)
        try:
            read = task.read(key)
        except Exception as failure:  # noqa: BLE001 - this is what is asked
            return Trip(FAILURE, (), f"cannot be read: {redact.error(failure)}", offloaded)
        found = differences(value, read)
        if not found:
            return Trip(EQUAL, (), "", offloaded)
        if path is not None and isinstance(read, str) and read == path:
            # The backend swallows the error of a missing object, or of one that it cannot decode.
            there = storage.storage_path(path).exists()
            why = "cannot be decoded" if there else "is not in the store"
            problem = f"the path of its object came back, without an error: the object {why}"
            return Trip(FAILURE, (), problem, offloaded)
        self._changed[way] = read
        classes = tuple(sorted({difference.drift for difference in found}))
        return Trip(DRIFT, classes, redact.text(found[0].text), offloaded)

    def _path(self, stored: bytes, value: Any) -> str | None:
        """The path of an object that a row holds, None if it holds the value itself."""
        if not self._base or len(stored) > _LONGEST_PATH:
            return None
        try:
            text = json.loads(stored.decode("utf-8"))
        except ValueError:
            return None
        folder = f"{self._base}/{ThrowAwayRun.DAG_ID}/{self._run.run_id}/"
        is_value = isinstance(value, str) and text == value
        is_path = isinstance(text, str) and text.startswith(folder) and not is_value
        return text if is_path else None


def is_object_backend(xcom: Any) -> bool:
    """Whether this class is the object storage backend itself."""
    return backend.qualified_name(xcom) == versions.OBJECT_BACKEND
