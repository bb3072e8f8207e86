"""Kubernetes Events about a rollout: what changed, what is done, what is wrong.

An Event's name is derived from its content, so a repetition, also after a restart, increases the
count of the existing one.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from xcom_rollout.api.names import API_VERSION, KIND, MANAGER, Condition
from xcom_rollout.clients.errors import ExternalError
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.controller.status_diff import Transition, worth_reporting
from xcom_rollout.decide.calibration import BELOW_RECOMMENDATION

MESSAGE_LIMIT: Final = 1024
"""Longest message of an Event, in characters: the API server refuses longer ones."""

log = logging.getLogger(__name__)


class Severity(StrEnum):
    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True)
class Note:
    """Something to report about a rollout."""

    severity: Severity
    reason: str
    message: str


class Recorder(Protocol):
    def record(self, raw: Mapping[str, Any], notes: Iterable[Note]) -> None:
        """Report `notes` about the rollout `raw`. Never raises for errors of the API server."""


class ClusterRecorder:
    """Writes Events to the namespace of the rollout."""

    def __init__(
        self, api: KubeApi, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._api = api
        self._now = now

    def record(self, raw: Mapping[str, Any], notes: Iterable[Note]) -> None:
        for note in notes:
            try:
                self._write(raw["metadata"], note)
            except ExternalError as error:
                # The status reports the same; an Event is not a reason to stop the rollout.
                log.warning(
                    "event not written",
                    extra={"reason": note.reason, "message_": note.message, "error": str(error)},
                )

    def _write(self, about: Mapping[str, Any], note: Note) -> None:
        now = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        name = event_name(about, note)
        namespace = about["namespace"]
        event: Json = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": about["name"],
                "namespace": namespace,
                "uid": about["uid"],
            },
            "type": str(note.severity),
            "reason": note.reason,
            "message": shortened(note.message),
            "source": {"component": MANAGER},
            "reportingComponent": MANAGER,
            "reportingInstance": MANAGER,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        if self._api.create(object_path(namespace, "events"), event):
            return
        path = object_path(namespace, "events", name)
        present = self._api.get(path)
        self._api.patch(path, {"count": (present.get("count") or 1) + 1, "lastTimestamp": now})


def event_name(about: Mapping[str, Any], note: Note) -> str:
    """Return the name of the Event with `note` about the object with metadata `about`."""
    said = "\0".join((about["uid"], note.severity, note.reason, note.message))
    return f"{about['name']}.{hashlib.sha256(said.encode()).hexdigest()[:16]}"


def shortened(message: str) -> str:
    """Return `message`, shortened to the limit of an Event."""
    if len(message) <= MESSAGE_LIMIT:
        return message
    return f"{message[: MESSAGE_LIMIT - 5]} ..."


def notes_of(changes: Iterable[Transition]) -> list[Note]:
    """Return what to report about changed conditions, each thing once."""
    notes: dict[tuple[str, str], Note] = {}
    for change in worth_reporting(changes):
        warning = change.type == Condition.STALLED or change.reason == BELOW_RECOMMENDATION
        severity = Severity.WARNING if warning else Severity.NORMAL
        key = (change.reason, change.message)
        if warning or key not in notes:
            notes[key] = Note(severity, change.reason, change.message)
    return list(notes.values())
