"""The seams of the operator under test: its connections, watched, stopped and disturbed.

A write is a request that may change something: to the API server, to Airflow's REST API, or a
`helm upgrade`. `Wire` numbers them in the order in which they were sent. Events are left out: they
are told to people and never read back.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from xcom_rollout.clients.helm import HelmRunner

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
    """The action that is being performed, in words; it tells apart writes to the same object."""
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


def _only_asks(request: httpx2.Request) -> bool:
    """Whether a request changes nothing, as Airflow's clear with `dry_run`, or one for rights."""
    if request.url.path.endswith(("/selfsubjectaccessreviews", "/selfsubjectrulesreviews")):
        return True
    if request.method != "POST" or not request.url.path.endswith("/clear"):
        return False
    return bool(json.loads(request.read() or b"{}").get("dry_run", True))


class Watched(httpx2.BaseTransport):
    """A transport that tells the wire of every write, and disturbs what the faults say."""

    def __init__(
        self, inner: httpx2.BaseTransport, wire: Wire, prefix: str, faults: Faults | None = None
    ) -> None:
        self._inner, self._wire, self._prefix, self._faults = inner, wire, prefix, faults

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._wire.check()
        path = urlsplit(str(request.url)).path
        self._wire.asked.append(f"{request.method} {self._prefix}{_short(path)}")
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
        if write and response.status_code < 400 and "/events" not in path:
            self._wire.sent(f"{request.method} {self._prefix}{_short(path)}")
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

    def run(self, arguments: Sequence[str], *, stdin: str | None = None) -> str:
        self.wire.check()
        output = super().run(arguments, stdin=stdin)
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
    words = (tail.partition("/")[2] if tail else path.removeprefix("/api/v1")).strip("/").split("/")
    return "/".join(words)


def _refusal(code: int, request: httpx2.Request) -> httpx2.Response:
    reason = {409: "Conflict", 500: "InternalError"}[code]
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the test refused this request",
        "reason": reason,
        "code": code,
    }
    return httpx2.Response(code, json=status, request=request)
