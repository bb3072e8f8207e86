"""Only one operator acts: a Lease in each namespace, held by the operator that writes there.

It is acquired before the first write, renewed with later ones, and released at the end of the
process. While there is nothing to do it is not renewed, so that an idle operator costs nothing. An
operator that finds it held by another one writes nothing: neither a status, nor to Airflow.

A holder acts as long as its own clock is certainly within the duration of the Lease. Another one
takes it over when that has expired, by the clock of the API server, which stamped it; or at once
where the holder is certainly gone: its pod no longer exists, or its process on this host. A pod
whose node is cut off exists until Kubernetes, or a person by force, has declared it gone.
"""

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from xcom_rollout.api import names
from xcom_rollout.clients.errors import Conflict, ExternalError, Forbidden, KubeError
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.clients.namespaces import is_terminating_namespace
from xcom_rollout.clients.times import parse_time
from xcom_rollout.release.pods import has_ended

NAME: Final = "xcom-rollout"
DURATION: Final = timedelta(minutes=15)
"""Duration of a Lease; what is started near its end must end within it (`MARGIN`)."""
RENEWAL: Final = timedelta(minutes=7)
"""Age at which a Lease is renewed when something is to be written."""
MARGIN: Final = timedelta(minutes=6)
"""Longest time that one effect takes, plus the difference between the clocks of two API servers. A
delivery that is checked in detail renders some four times, upgrades, and may be rolled back."""
LOOK_AGAIN: Final = timedelta(seconds=30)
"""Time after which an operator that stands by tries again."""

_LONGEST_HOST: Final = 63
_POD: Final = f"{names.GROUP}/holder-pod"
_HOST: Final = f"{names.GROUP}/holder-host"
_API_VERSION: Final = "coordination.k8s.io/v1"

log = logging.getLogger(__name__)


class StandsBy(ExternalError):  # noqa: N818 - named after what happens
    """Another operator acts in this namespace."""


class Unleased(ExternalError):  # noqa: N818 - named after what happens
    """The right to Leases is missing. Raised once for each namespace; then this operator acts."""


@dataclass(frozen=True)
class Holder:
    """The holder of a Lease.

    Attributes:
        identity: name of this operator; a restarted container has the same one.
        pod: `namespace/name` of its pod; empty outside of a cluster.
        host: `name/pid` of its process; empty in a pod.
    """

    identity: str
    pod: str = ""
    host: str = ""

    @staticmethod
    def of_this_process(instance: str, namespace: str | None, pod: str = "") -> "Holder":
        """Return this process as a holder.

        Args:
            namespace: that of its pod; None outside of a cluster.
            pod: name of its pod if known; the host's name is a truncated form of it, so a long one
                is not used.
        """
        host = socket.gethostname()
        if namespace is None:
            return Holder(f"{host}_{instance}", host=f"{host}/{os.getpid()}")
        name = pod or (host if len(host) < _LONGEST_HOST else "")
        return Holder(f"{pod or host}_{instance}", pod=f"{namespace}/{name}" if name else "")

    @property
    def annotations(self) -> dict[str, str]:
        return {_POD: self.pod, _HOST: self.host}


def since_boot() -> float:
    """Return seconds that include time while the machine is suspended, unlike `monotonic`."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Leases:
    """The Leases of one operator. Safe for use by several threads."""

    api: KubeApi
    me: Holder
    monotonic: Callable[[], float] = since_boot
    _held: dict[str, float] = field(default_factory=dict)
    """When each was requested last, in seconds of `monotonic`."""
    _written: dict[str, Json] = field(default_factory=dict)
    """Each as last written. Where it has changed since, a write of it is refused."""
    _unleased: set[str] = field(default_factory=set)
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hold(self, namespace: str) -> None:
        """Ensure that this operator is the one that acts in a namespace.

        Costs nothing where the Lease was acquired or renewed less than RENEWAL ago.

        Raises:
            StandsBy: another one acts there.
            Unleased: the right to Leases is missing; raised once, and not waited for.
            Conflict: another one was faster.
            ExternalError: the Lease could not be read or written. Not raised while one is still
                held for long enough that everything that may start now ends within it.
        """
        with self._lock_of(namespace):
            if namespace in self._unleased:
                return
            since = self._held.get(namespace)
            old = None if since is None else timedelta(seconds=self.monotonic() - since)
            if old is not None and old < RENEWAL:
                return
            try:
                begun = self.monotonic()
                age = self._take(namespace)
                self._held[namespace] = begun - age.total_seconds()
            except (StandsBy, Conflict):
                self._held.pop(namespace, None)
                raise
            except Forbidden as refused:
                # The operator is newer than its Role: a kill must not wait for that.
                self._unleased.add(namespace)
                raise Unleased(
                    f"no Lease is held in the namespace {namespace!r}, so a second operator there "
                    f"could also act: {refused.message}. Grant get, create and update of "
                    "leases.coordination.k8s.io in the operator's Role, and restart the operator"
                ) from refused
            except ExternalError as error:
                if old is None or old >= DURATION - MARGIN:
                    raise
                log.warning(
                    "the Lease could not be renewed; retrying",
                    extra={"namespace": namespace, "error": error.message},
                )

    def release(self) -> None:
        """Release all Leases, so that the next operator need not wait until they expire.

        A Lease that cannot be released expires.
        """
        with self._lock:
            held, self._held = tuple(self._held), {}
            self._written = {}
        for namespace in held:
            with contextlib.suppress(ExternalError):
                lease = self.api.find(_path(namespace, NAME))
                if lease is not None and _holder(lease) == self.me.identity:
                    self._write(namespace, lease, Holder(""))

    def _take(self, namespace: str) -> timedelta:
        """Acquire or renew the Lease; return its age, which is zero where it was written.

        One that an earlier container of the same pod has renewed recently is held already.
        """
        mine = self._written.pop(namespace, None)
        if mine is not None:
            self._write(namespace, mine, self.me)
            return timedelta(0)
        lease = self.api.find(_path(namespace, NAME))
        if lease is not None and (other := self._other(lease)):
            raise StandsBy(
                f"another operator is active in the namespace {namespace!r}: {other} holds the "
                f"Lease {NAME!r}. This operator stands by and takes over when that one stops. "
                "Only one installation should watch a namespace: check the value "
                "`watchNamespaces` of each",
                LOOK_AGAIN.total_seconds(),
            )
        if lease is not None and _holder(lease) == self.me.identity:
            age = self.api.now() - parse_time(lease["spec"]["renewTime"])
            # Answers of the API server contain its time in whole seconds only.
            if -timedelta(seconds=5) <= age < RENEWAL:
                return max(age, timedelta(0))
        self._write(namespace, lease, self.me)
        return timedelta(0)

    def _write(self, namespace: str, lease: Json | None, holder: Holder) -> None:
        now = _micro(self.api.now())
        metadata = dict((lease or {}).get("metadata") or {"name": NAME, "namespace": namespace})
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **holder.annotations}
        before = (lease or {}).get("spec") or {}
        again = lease is not None and _holder(lease) == holder.identity
        body: Json = {
            "apiVersion": _API_VERSION,
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": holder.identity,
                "leaseDurationSeconds": int(DURATION.total_seconds()),
                "acquireTime": before.get("acquireTime", now) if again else now,
                "renewTime": now,
                "leaseTransitions": int(before.get("leaseTransitions") or 0) + (not again),
            },
        }
        if lease is not None:
            answer = self.api.replace(_path(namespace, NAME), body)
            if holder == self.me:
                self._written[namespace] = answer
        elif not self._create(namespace, body):
            raise Conflict(f"another operator took the Lease of {namespace!r}")

    def _create(self, namespace: str, body: Json) -> bool:
        """Return whether it was created, or nobody can, because the namespace is being deleted."""
        try:
            return self.api.create(_path(namespace), body)
        except KubeError:
            if not is_terminating_namespace(self.api, namespace):
                raise
            return True

    def _other(self, lease: Json) -> str:
        """Return which other operator acts; empty where none does."""
        spec = lease.get("spec") or {}
        identity = _holder(lease)
        if identity in ("", self.me.identity):
            return ""
        annotations = lease["metadata"].get("annotations") or {}
        renewed = spec.get("renewTime")
        seconds = int(spec.get("leaseDurationSeconds") or 0)
        until = parse_time(renewed) + timedelta(seconds=seconds) if renewed else None
        if until is None or until <= self.api.now():
            return ""
        if self._is_gone(str(annotations.get(_POD, "")), str(annotations.get(_HOST, ""))):
            return ""
        return identity

    def _is_gone(self, pod: str, host: str) -> bool:
        """Whether a holder has certainly ended; one that cannot be checked may still run."""
        if pod and self.me.pod:
            namespace, _, name = pod.partition("/")
            # In another namespace this operator may have no right to read pods.
            if namespace != self.me.pod.partition("/")[0]:
                return False
            try:
                found = self.api.find(object_path(namespace, "pods", name))
            except Forbidden:
                return False
            # An evicted pod stays as an object, and does not run.
            return found is None or has_ended(found)
        if host and self.me.host:
            name, _, number = host.partition("/")
            here = self.me.host.partition("/")[0]
            return name == here and number.isdigit() and not Path(f"/proc/{number}").exists()
        return False

    def _lock_of(self, namespace: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(namespace, threading.Lock())


def _holder(lease: Json) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "")


def _path(namespace: str, name: str | None = None) -> str:
    return object_path(namespace, "leases", name, version=_API_VERSION)


def _micro(moment: datetime) -> str:
    """Return a time in the form of Kubernetes' MicroTime, UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
