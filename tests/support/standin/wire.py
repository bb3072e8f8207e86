"""The seams of the operator under test: its connections, watched, stopped and disturbed.

A write is a request that may change something: to the API server, to Airflow's REST API, or a
`helm upgrade`. `Wire` numbers them in the order in which they were sent. Events are left out: they
are for people and never read back.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from xcom_rollout.clients.connection import Answer, Connection, unreachable
from xcom_rollout.clients.errors import KubeError
from xcom_rollout.clients.helm import HelmRunner
from xcom_rollout.clients.memory_file import MemoryFile
from xcom_rollout.clients.pod_process import Printed
from xcom_rollout.clients.streams import OpenStreams

_WRITES = ("POST", "PUT", "PATCH", "DELETE")


class Stopped(BaseException):
    """The operator has been stopped. No `except Exception` gets hold of it, as of a SIGKILL."""


@dataclass
class Wire:
    """What one life of the operator sent. Safe for use by several threads.

    Args:
        stop_after: number of the write after whose sending the operator is stopped.
    """

    stop_after: int | None = None
    writes: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """Every request, reads too, as `GET configmaps`; helm's own go another way."""
    stopped: bool = False
    doing: str = ""
    """The action that is being performed, in words; it distinguishes writes to the same object."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Let nothing more be sent by an operator that has been stopped."""
        if self.stopped:
            raise Stopped

    def sent(self, write: str) -> None:
        """Count a write that has taken effect."""
        with self._lock:
            self.writes.append(f"{write} ({self.doing})" if self.doing else write)
            if len(self.writes) == self.stop_after:
                self.stopped = True
        self.check()


@dataclass(frozen=True)
class Storm:
    """How often requests fail, and in which ways.

    Args:
        reads, writes: the share of requests that fail.
        kinds: `409`, `500` (refused), `drop` (not sent); and `500-late`, `drop-late`: the request
            takes effect, and its answer is lost. A read that fails is a `500` or a `drop`.
    """

    seed: int
    reads: float
    writes: float
    kinds: tuple[str, ...]


class Faults:
    """The faults of a storm, one draw for each request. Safe for use by several threads."""

    def __init__(self, storm: Storm) -> None:
        self._random = random.Random(storm.seed)  # noqa: S311  repeatable on purpose
        self._lock = threading.Lock()
        self._storm = storm
        self.seen: Counter[str] = Counter()

    def draw(self, *, write: bool) -> str:
        """Return the fault of the next request; empty for none."""
        storm = self._storm
        kinds = [kind for kind in storm.kinds if write or kind in ("500", "drop")]
        with self._lock:
            if not kinds or self._random.random() >= (storm.writes if write else storm.reads):
                return ""
            kind = self._random.choice(kinds)
            self.seen[kind] += 1
            return kind


class WatchedConnection(Connection):
    """A way to the API server that reports every write to the wire, and disturbs as the faults say.

    Watches are let through: what they miss, a pass asks for.
    """

    def __init__(self, inner: Connection, wire: Wire, faults: Faults | None = None) -> None:
        self._inner, self._wire, self._faults = inner, wire, faults
        self.server, self.namespace = inner.server, inner.namespace
        self.context, self.kubeconfig = inner.context, inner.kubeconfig

    def close(self) -> None:
        self._inner.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        write = method in _WRITES and not path.endswith(
            ("/selfsubjectaccessreviews", "/selfsubjectrulesreviews")
        )
        fault = self._disturb(method, path, write=write)
        if fault in ("409", "500"):
            return _refused(int(fault), method, path)
        answer = self._inner.send(method, path, query=query, headers=headers, body=body)
        if write and not answer.is_error and "/events" not in path:
            self._wire.sent(f"{method} {_short(path)}")
        if fault == "500-late":
            return _refused(500, method, path)
        if fault == "drop-late":
            raise _dropped(method, path)
        return answer

    @contextmanager
    def stream(
        self,
        path: str,
        open_streams: OpenStreams,
        *,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None,
        silence: float,
    ) -> Iterator[Answer | Iterator[bytes]]:
        with self._inner.stream(
            path, open_streams, query=query, headers=headers, silence=silence
        ) as pieces:
            yield pieces

    def run(
        self, path: str, query: Sequence[tuple[str, str]], stdin: bytes, *, timeout: float
    ) -> Printed | Answer:
        fault = self._disturb("GET", path, write=False)
        if fault == "500":
            return _refused(500, "GET", path)
        return self._inner.run(path, query, stdin, timeout=timeout)

    def _disturb(self, method: str, path: str, *, write: bool) -> str:
        self._wire.check()
        self._wire.asked.append(f"{method} {_short(path)}")
        fault = self._faults.draw(write=write) if self._faults else ""
        if fault == "drop":
            raise _dropped(method, path)
        return fault


def _dropped(method: str, path: str) -> KubeError:
    return unreachable(method, path, ConnectionError("the test dropped the connection"))


def _refused(code: int, method: str, path: str) -> Answer:
    return Answer(method, path, code, json.dumps(_status(code)).encode())


def _only_asks(request: httpx2.Request) -> bool:
    """Whether a request changes nothing, as Airflow's clear with `dry_run`."""
    if request.method != "POST" or not request.url.path.endswith("/clear"):
        return False
    return bool(json.loads(request.read() or b"{}").get("dry_run", True))


class Watched(httpx2.BaseTransport):
    """The way to Airflow's REST API, watched and disturbed in the same manner."""

    def __init__(
        self, inner: httpx2.BaseTransport, wire: Wire, faults: Faults | None = None
    ) -> None:
        self._inner, self._wire, self._faults = inner, wire, faults

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._wire.check()
        path = urlsplit(str(request.url)).path
        asked = f"{request.method} airflow {_short(path)}"
        self._wire.asked.append(asked)
        write = request.method in _WRITES and not _only_asks(request)
        fault = self._faults.draw(write=write) if self._faults else ""
        if fault in ("409", "500"):
            return _refusal(int(fault), request)
        if fault == "drop":
            raise httpx2.ConnectError("the test dropped the connection", request=request)
        response = self._inner.handle_request(request)
        if fault:
            response.read()
            response.close()
        if write and response.status_code < 400:
            self._wire.sent(asked)
        if fault == "500-late":
            return _refusal(500, request)
        if fault == "drop-late":
            raise httpx2.ReadError("the test dropped the connection", request=request)
        return response

    def close(self) -> None:
        self._inner.close()


@dataclass(frozen=True)
class WatchedHelm(HelmRunner):
    """The helm command, of which upgrades and rollbacks are writes."""

    wire: Wire = field(default_factory=Wire)

    def run(
        self,
        arguments: Sequence[str],
        *,
        stdin: str | None = None,
        files: Sequence[MemoryFile] = (),
        explains: bool = False,
    ) -> str:
        self.wire.check()
        output = super().run(arguments, stdin=stdin, files=files, explains=explains)
        if arguments[0] in ("upgrade", "rollback") and not any(
            word.startswith("--dry-run") for word in arguments
        ):
            self.wire.sent(f"helm {arguments[0]}")
        return output


def watched_helm(helm: HelmRunner, wire: Wire) -> WatchedHelm:
    return WatchedHelm(helm.binary, Path(helm.home), helm.global_arguments, helm.environment, wire)


def _short(path: str) -> str:
    """Return the path without API group, namespace and the changing part of generated names."""
    _, _, tail = path.partition("/namespaces/")
    rest = tail.partition("/")[2] if tail else path.strip("/").removeprefix("api/v1")
    return rest.strip("/")


def _refusal(code: int, request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(code, json=_status(code), request=request)


def _status(code: int) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the test refused this request",
        "reason": {409: "Conflict", 500: "InternalError"}[code],
        "code": code,
    }
