"""Rollouts kept in memory with the guarantees of the API server, for the tests of the loop."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from xcom_rollout.controller.events import Note
from xcom_rollout.stored.rollouts import ConflictError, Raw


class MemoryRollouts:
    """One namespace's rollouts: versions, generations, conflicts, and a count of writes."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Raw] = {}
        self.version = 0
        self.writes = 0
        self.conflicts = 0
        """Number of status writes to come that meet a change by somebody else."""
        self.cached: dict[tuple[str, str], Raw] = {}
        """What a cache shows that is behind; it keeps up with a rollout that is not in here."""

    def put(self, namespace: str, name: str, spec: object) -> Raw:
        key = (namespace, name)
        before = self.objects.get(key, {"metadata": {"generation": 0, "annotations": {}}})
        self.version += 1
        self.objects[key] = before | {
            "spec": copy.deepcopy(spec),
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": f"uid-{name}",
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "annotations": before["metadata"]["annotations"],
                "generation": before["metadata"]["generation"] + 1,
                "resourceVersion": str(self.version),
            },
        }
        return self.objects[key]

    def annotate(self, namespace: str, name: str, annotation: str, value: str) -> None:
        self.version += 1
        metadata = self.objects[namespace, name]["metadata"]
        metadata["annotations"][annotation] = value
        metadata["resourceVersion"] = str(self.version)

    def get(self, namespace: str, name: str, *, glance: bool = False) -> Raw | None:
        key = (namespace, name)
        there = self.cached.get(key) if glance and key in self.cached else self.objects.get(key)
        return copy.deepcopy(there)

    def write_status(self, raw: Raw, status: Mapping[str, Any]) -> Raw:
        metadata = raw["metadata"]
        key = (metadata["namespace"], metadata["name"])
        if self.conflicts:
            self.conflicts -= 1
            self.annotate(*key, "somebody/else", str(self.version))
        stored = self.objects.get(key)
        if stored is None or stored["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
            raise ConflictError("the object has been modified")
        self.version += 1
        self.writes += 1
        stored["status"] = copy.deepcopy(dict(status))
        stored["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(stored)


class Notebook:
    """Keeps what would become Events."""

    def __init__(self) -> None:
        self.notes: list[Note] = []

    def record(self, raw: Mapping[str, Any], notes: Iterable[Note]) -> None:
        assert raw["metadata"]["uid"]
        self.notes += notes
