"""What a task of Airflow 3 runs under: a supervisor that answers the messages of the Task SDK.

A task there has no database. It gets everything from Airflow, values and connections included,
through its supervisor, which asks the API server. A bare process in the pod has no supervisor: it
sees no connection of the metadata database, and silently falls back to default credentials.

So the probe has one, in its own process. Messages go through the same encodings as in a task: the
SDK's frames to and from the supervisor, and the SDK's client to and from the server, so that what
cannot be encoded fails here as it does there. Only the sockets are left out.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import Any, Iterator

from xcom_probe import runtime
from xcom_probe.airflow.execution_api import ExecutionApi
from xcom_probe.model import CannotLook

_SDK = "airflow.sdk.execution_time"
# The length of a frame comes first.
_HEADER = 4

_installed: list[Supervisor] = []


def install() -> None:
    """Make this process one with a supervisor, if its Task SDK speaks in frames."""
    if _installed:
        return
    if not hasattr(importlib.import_module(f"{_SDK}.comms"), "_ResponseFrame"):
        return
    _installed.append(Supervisor())
    runner: Any = importlib.import_module(f"{_SDK}.task_runner")
    runner.SUPERVISOR_COMMS = _installed[0]


def is_installed() -> bool:
    """Whether this process has a supervisor."""
    return bool(_installed)


def current() -> Supervisor:
    """The supervisor of this process.

    Raises:
        CannotLook: there is none, because this Task SDK is not known.
    """
    if not _installed:
        raise CannotLook(
            f"Airflow {runtime.airflow_version()} communicates with its tasks in an unknown way; "
            "3.0.3 is the first supported version"
        )
    return _installed[0]


class Supervisor:
    """Stands where a task has its connection to the supervisor (`SUPERVISOR_COMMS`)."""

    def __init__(self) -> None:
        self._comms: Any = importlib.import_module(f"{_SDK}.comms")
        self._api = ExecutionApi()
        self._client: Any = importlib.import_module("airflow.sdk.api.client").Client(
            # Not given with `dry_run`, which stands for a transport that is not HTTP.
            base_url=None,
            token="",
            dry_run=True,
            transport=self._api,
        )
        self._client.base_url = "http://in-process.invalid/"

    @contextlib.contextmanager
    def serving(self, session: Any) -> Iterator[None]:
        """Write and read XCom rows in this session meanwhile."""
        self._api.session = session
        try:
            yield
        finally:
            self._api.session = None

    def send(self, msg: Any) -> Any:
        """Answer a message of the task."""
        answer = self._handle(type(msg).model_validate(self._received(self._request(msg))))
        if answer is None:
            return None
        return type(answer).model_validate(self._received(self._response(answer)))

    async def asend(self, msg: Any) -> Any:
        """The same, for who awaits it."""
        return self.send(msg)

    def _request(self, msg: Any) -> Any:
        return self._comms._RequestFrame(id=0, body=msg.model_dump())

    def _response(self, answer: Any) -> Any:
        # By alias, because a connection's `schema` has another name in Python.
        body = answer.model_dump(exclude_unset=True, by_alias=True)
        return self._comms._ResponseFrame(id=0, body=body)

    def _received(self, frame: Any) -> dict[str, Any]:
        """The body of a frame, after its way through a socket."""
        decoder = importlib.import_module("msgspec").msgpack.Decoder(type(frame))
        return dict(decoder.decode(memoryview(frame.as_bytes())[_HEADER:]).body)

    def _handle(self, msg: Any) -> Any:
        """What the supervisor does with the messages that XCom and connections need."""
        client, comms = self._client, self._comms
        kind = type(msg).__name__
        if kind == "SetXCom":
            client.xcoms.set(msg.dag_id, msg.run_id, msg.task_id, msg.key, msg.value, msg.map_index)
        elif kind == "GetXCom":
            found = client.xcoms.get(msg.dag_id, msg.run_id, msg.task_id, msg.key, msg.map_index)
            return comms.XComResult.from_xcom_response(found)
        elif kind == "GetXComSequenceSlice":
            found = client.xcoms.get_sequence_slice(
                msg.dag_id, msg.run_id, msg.task_id, msg.key, msg.start, msg.stop, msg.step
            )
            return comms.XComSequenceSliceResult.from_response(found)
        elif kind == "DeleteXCom":
            client.xcoms.delete(msg.dag_id, msg.run_id, msg.task_id, msg.key, msg.map_index)
        elif kind == "GetConnection":
            found = client.connections.get(msg.conn_id)
            if isinstance(found, comms.ErrorResponse):
                return found
            return comms.ConnectionResult.from_conn_response(found)
        elif kind == "GetVariable":
            found = client.variables.get(msg.key)
            if isinstance(found, comms.ErrorResponse):
                return found
            return comms.VariableResult.from_variable_response(found)
        # Everything else (such as secrets to mask in the log) has no answer.
        return None
