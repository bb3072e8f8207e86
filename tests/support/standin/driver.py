"""The operator's loop in this process, over the wire of a test, beside the stand-ins.

An operator that was stopped leaves nothing: the next one starts from scratch, with new connections.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import httpx2

from harness import tools
from standin.kube import Json
from standin.place import ROLLOUT, Place
from standin.wire import Faults, Stopped, Watched, WatchedConnection, Wire, watched_helm
from xcom_rollout.act import perform
from xcom_rollout.cache import Cache, CachedKube
from xcom_rollout.clients.connection import Connection
from xcom_rollout.clients.errors import ExternalError
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.kubeconfig import from_kubeconfig
from xcom_rollout.controller.events import ClusterRecorder
from xcom_rollout.controller.lease import Holder, Leases, since_boot
from xcom_rollout.controller.reconcile import Key, Reconciler, utc_now
from xcom_rollout.decide.actions import Action, WriteLedger
from xcom_rollout.decide.observed import Observed, Rollout
from xcom_rollout.observe import observe, same_look
from xcom_rollout.stored.rollouts import ClusterRollouts, ConflictError
from xcom_rollout.wiring import Clients, open_clients

MOUNT_LAG = timedelta(seconds=2)
"""How late the operator takes the kubelet to be, which by default sees a change at once
(`Node.late`)."""
PATIENCE = 420.0
"""Longest time until a goal. An action that a storm makes fail again and again is put off for up to
a minute at a time: with a quarter of all writes refused, some three minutes in a row do happen."""
_PAUSE = 0.05
"""Seconds between two looks at a world in which only the clock can change something."""


@dataclass(frozen=True)
class Operator:
    """One life of the operator, and its connections."""

    make_passes: Reconciler
    connections: tuple[httpx2.Client | Connection, ...]
    leases: Leases
    cache: Cache | None = None

    def end(self) -> None:
        """Close its connections, as the end of a process does."""
        if self.cache is not None:
            self.cache.stop()
        for connection in self.connections:
            connection.close()


def start_operator(
    place: Place,
    wire: Wire,
    faults: Faults | None = None,
    now: Callable[[], datetime] = utc_now,
    *,
    cached: bool = False,
    identity: str = "operator",
    monotonic: Callable[[], float] = since_boot,
    mount_lag: timedelta = MOUNT_LAG,
) -> Operator:
    """Return an operator that remembers nothing, with all its connections over `wire`.

    Args:
        cached: whether it glances at a cache, whose watches are over no wire.
        identity: of its pod.
        monotonic: seconds by which it measures the age of its Lease.
    """
    beside = from_kubeconfig(str(place.site.kubeconfig))
    kube = WatchedConnection(beside, wire, faults)
    opened = open_clients(
        kube, probe=place.site.probe, helm=str(tools.tool("helm")), work=place.site.work
    )
    airflow = Watched(httpx2.HTTPTransport(), wire, faults)
    world = replace(
        opened,
        helm=watched_helm(opened.helm, wire),
        airflow_url="http://127.0.0.1:{port}",
        mount_lag=mount_lag,
        http=httpx2.Client(transport=airflow, timeout=5, trust_env=False),
    )

    def act(there: Clients, observed: Observed, action: Action) -> str:
        # What a batch holds depends on what an earlier life has done of it; a record does not.
        wire.doing = action.describe() if isinstance(action, WriteLedger) else type(action).__name__
        said = perform(there, observed, action)
        wire.doing = ""
        return said

    cache = Cache(KubeApi(beside), lambda *_: None) if cached else None
    glanced = replace(world, api=CachedKube(world.api, cache)) if cache else None

    def look(rollout: Rollout) -> Observed:
        if cache is not None:
            cache.begin(rollout.namespace)
        return observe(world, rollout)

    leases = Leases(world.api, Holder(identity), monotonic)
    reconciler = Reconciler(
        rollouts=ClusterRollouts(world.api, glanced.api if glanced else None),
        recorder=ClusterRecorder(world.api),
        observe=look,
        glance=(lambda rollout: observe(glanced, rollout)) if glanced else None,
        perform=partial(act, world),
        upkeep=partial(act, glanced) if glanced else None,
        same_look=lambda observed: same_look(world, observed),
        now=now,
        hold=leases.hold,
    )
    return Operator(reconciler, (kube, world.http), leases, cache)


@dataclass(frozen=True)
class Stops:
    """When the operator is stopped.

    Args:
        after: numbers of the writes, of all its lives together, right after which it is.
        downtime: ticks that pass in the world before it is started again.
    """

    after: Sequence[int] = ()
    downtime: int = 0


NEVER = Stops()


class Driver:
    """Makes passes and lets time pass, in turns, until something is to be seen."""

    def __init__(
        self,
        place: Place,
        stops: Stops = NEVER,
        faults: Faults | None = None,
        *,
        cached: bool = False,
        identity: str = "operator",
        mount_lag: timedelta = MOUNT_LAG,
    ) -> None:
        self.place = place
        self.errors: list[str] = []
        """What passes ended with; the operator tries again after these."""
        self.stopped_after: list[str] = []
        self.ahead = timedelta(0)
        """How far the clock of its decisions is ahead, so that nobody waits for a next try."""
        self._stops, self._faults, self._cached, self._identity = stops, faults, cached, identity
        self._mount_lag = mount_lag
        self._lives: list[Wire] = []
        self._start()

    @property
    def writes(self) -> list[str]:
        """Every write that was sent, and where the operator was stopped."""
        return [write for life in self._lives for write in life.writes]

    def until(self, what: str, goal: Callable[[Json], bool], seconds: float = PATIENCE) -> None:
        """Go on until `goal` holds for the status while the operator rests.

        Raises:
            AssertionError: the deadline passed; what was seen last is in the message.
        """
        deadline = time.monotonic() + seconds
        pause = threading.Event()
        while True:
            rest = self._pass()
            if rest is not None:
                if rest > timedelta(0) and goal(self.place.status()):
                    return
                self.place.tick()
                pause.wait(min(_PAUSE, rest.total_seconds()))
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{self.place.namespace}: {what} not seen in {seconds} s; last seen:\n"
                    f"{self.place.said()}\nerrors: {self.errors[-3:]}\n"
                    f"runs: {self.place.airflow.runs}\n"
                    f"last writes: {self.writes[-20:]}"
                )

    def until_gone(self, seconds: float = PATIENCE) -> None:
        """Go on until the resource is gone.

        Raises:
            AssertionError: the deadline passed; what was seen last is in the message.
        """
        deadline = time.monotonic() + seconds
        while self.place.rollout() is not None:
            self._pass()
            self.place.tick()
            assert time.monotonic() < deadline, f"still there:\n{self.place.said()}"

    def exit(self) -> None:
        """Let the operator end in good order, as after SIGTERM."""
        self._operator.leases.release()
        self._operator.end()

    def turns(self, count: int) -> None:
        """Make passes and let a tick pass, so many times."""
        for _ in range(count):
            self._pass()
            self.place.tick()

    def _start(self) -> None:
        sent = len(self.writes)
        after = next((stop - sent for stop in self._stops.after if stop > sent), None)
        self._lives.append(Wire(after))
        self._operator = start_operator(
            self.place,
            self._lives[-1],
            self._faults,
            lambda: utc_now() + self.ahead,
            cached=self._cached,
            identity=self._identity,
            mount_lag=self._mount_lag,
        )

    def _pass(self) -> timedelta | None:
        """Make passes until the operator rests; None where it was stopped.

        Returns when it wants to look again: at once where a pass failed, which does not count as
        rest.
        """
        try:
            rest = self._operator.make_passes(Key(self.place.namespace, ROLLOUT))
        except Stopped:
            # Of writes that are sent side by side, others may have been under way.
            life = self._lives[-1]
            self.stopped_after += life.writes[(life.stop_after or 0) - 1 :]
            self._operator.end()
            for _ in range(self._stops.downtime):
                self.place.tick()
            self._start()
            return None
        except (ExternalError, ConflictError, httpx2.HTTPError) as error:
            self.errors.append(f"{type(error).__name__}: {error}")
            return timedelta(0)
        return timedelta(0) if rest is None else rest
