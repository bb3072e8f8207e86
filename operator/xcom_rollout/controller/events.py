"""Kubernetes Events about a rollout: what changed, what is done, what is wrong.

An Event's name is made from what it says, so the same thing said again, also after a restart,
raises the count of the one that is there.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Protocol

import httpx2
from lightkube import ApiError, Client
from lightkube.core.exceptions import ConfigError
from lightkube.models.core_v1 import EventSource, ObjectReference
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Event
from lightkube.types import PatchType

from xcom_rollout.api.names import API_VERSION, KIND, MANAGER, Condition
from xcom_rollout.controller.status_diff import Transition, worth_telling
from xcom_rollout.decide.calibration import BELOW_RECOMMENDATION

MESSAGE_LIMIT: Final = 1024
"""Longest message of an Event, in characters: the API server refuses longer ones."""

log = logging.getLogger(__name__)


class Severity(StrEnum):
    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True)
class Note:
    """Something to tell about a rollout."""

    severity: Severity
    reason: str
    message: str


class Recorder(Protocol):
    def record(self, raw: Mapping[str, Any], notes: Iterable[Note]) -> None:
        """Tell `notes` about the rollout `raw`. Never raises for what the API server answers."""


class ClusterRecorder:
    """Writes Events to the namespace of the rollout."""

    def __init__(
        self, kube: Client, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._kube = kube
        self._now = now

    def record(self, raw: Mapping[str, Any], notes: Iterable[Note]) -> None:
        for note in notes:
            try:
                self._write(raw["metadata"], note)
            except (httpx2.HTTPError, ConfigError) as error:
                # The status tells the same; an Event is no reason to stop the rollout.
                log.warning(
                    "event not written",
                    extra={"reason": note.reason, "message_": note.message, "error": str(error)},
                )

    def _write(self, about: Mapping[str, Any], note: Note) -> None:
        now = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        name = event_name(about, note)
        event = Event(
            metadata=ObjectMeta(name=name, namespace=about["namespace"]),
            involvedObject=ObjectReference(
                apiVersion=API_VERSION,
                kind=KIND,
                name=about["name"],
                namespace=about["namespace"],
                uid=about["uid"],
            ),
            type=str(note.severity),
            reason=note.reason,
            message=shortened(note.message),
            source=EventSource(component=MANAGER),
            reportingComponent=MANAGER,
            reportingInstance=MANAGER,
            firstTimestamp=now,  # type: ignore[arg-type]  # sent as it is
            lastTimestamp=now,  # type: ignore[arg-type]
            count=1,
        )
        try:
            self._kube.create(event)
        except ApiError as error:
            if error.status.code != 409:
                raise
            present = self._kube.get(Event, name, namespace=about["namespace"])
            self._kube.patch(
                Event,
                name,
                {"count": (present.count or 1) + 1, "lastTimestamp": now},
                namespace=about["namespace"],
                patch_type=PatchType.MERGE,
            )


def event_name(about: Mapping[str, Any], note: Note) -> str:
    """Return the name of the Event that tells `note` about the object with metadata `about`."""
    said = "\0".join((about["uid"], note.severity, note.reason, note.message))
    return f"{about['name']}.{hashlib.sha256(said.encode()).hexdigest()[:16]}"


def shortened(message: str) -> str:
    """Return `message` within what an Event may hold."""
    if len(message) <= MESSAGE_LIMIT:
        return message
    return f"{message[: MESSAGE_LIMIT - 5]} ..."


def notes_of(changes: Iterable[Transition]) -> list[Note]:
    """Return what to tell of changed conditions, each thing once."""
    told: dict[tuple[str, str], Note] = {}
    for change in worth_telling(changes):
        warning = change.type == Condition.STALLED or change.reason == BELOW_RECOMMENDATION
        severity = Severity.WARNING if warning else Severity.NORMAL
        key = (change.reason, change.message)
        if warning or key not in told:
            told[key] = Note(severity, change.reason, change.message)
    return list(told.values())
