"""Kubernetes as Airflow's pods see it: the configuration, the long-lived pods, the nodes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simulation.clock import Clock
from simulation.weather import STALE_FOR, Dice, Weather
from xcom_rollout.decide.observed import Pod
from xcom_rollout.decide.settings import BackendSettings

if TYPE_CHECKING:
    from simulation.airflow import SimRun

COMPONENTS: Final = ("scheduler", "triggerer", "webserver")
NODES: Final = ("node-a", "node-b")
LOST_AFTER: Final = 300
"""Seconds until Kubernetes asks for the end of the pods of a lost node."""


@dataclass(eq=False)
class SimPod:
    """A pod, and the process in it."""

    name: str
    component: str
    created: int
    settings: BackendSettings
    """As mounted at its start; before that, what was there at its creation."""
    author: str
    """Who delivered these settings: operator, person, or immediate (the operator, for an Immediate
    kill)."""
    template: int
    node: str
    run: "SimRun | None" = None
    attempt: int = 0
    task: int = 0
    started: int | None = None
    gone: bool = False
    ended: int | None = None
    """When it was gone."""
    gone_by: int | None = None
    """Set once its end was asked for."""
    deaf: bool = False
    lost: bool = False
    in_worker: bool = False
    """Whether it is not a pod but a process in one."""
    shown: Pod | None = None
    """As the operator saw it last, kept for as long as it stays in the same state."""
    shown_in: tuple[int | None, int | None, bool] | None = None

    @property
    def began(self) -> int:
        """When it mounted its configuration."""
        return self.created if self.started is None else self.started


class Cluster:
    """The configuration with its history, and every pod."""

    def __init__(self, clock: Clock, dice: Dice, weather: Weather) -> None:
        self.clock, self.dice, self.weather = clock, dice, weather
        self.config = BackendSettings()
        self.author = "operator"
        self.changed = -3600
        """When the configuration changed last, whatever changed in it."""
        self.template = 0
        """Counts the changes of the workloads' pod templates."""
        self.serial = 0
        self.roll_seconds = weather.roll
        self.lost_nodes: set[str] = set()
        self.history: list[tuple[int, BackendSettings, str]] = [(-3600, self.config, self.author)]
        self.tasks: list[SimPod] = []
        self.fleet = [self.pod(component, created=-3600) for component in COMPONENTS]
        self.leaving: list[SimPod] = []
        """Long-lived pods that end, beside their successors."""
        self.on_change: Callable[[], None] = lambda: None
        self.make_worker: Callable[[int | None], SimPod] | None = None
        """Makes a pod in which tasks run; None where each task has a pod of its own."""
        self.end_worker: Callable[[SimPod], None] = lambda _: None
        """Asks it to end, once its tasks have."""
        self.kill_worker: Callable[[SimPod], None] = lambda _: None
        """Ends it, and its tasks."""
        self.on_removed: Callable[[SimPod], None] = lambda _: None
        """A pod, or a process in a worker, has ended."""
        self._rolling = False

    # -- configuration -----------------------------------------------------------------------

    def set_config(self, settings: BackendSettings, author: str) -> None:
        """Let the ConfigMap say `settings` from now on."""
        if settings == self.config:
            return
        self.config, self.author = settings, author
        self.changed = self.clock.now
        self.history.append((self.clock.now, settings, author))
        self.on_change()

    def touch(self) -> None:
        """Something else changes in the ConfigMap: a label, or another option."""
        self.changed = self.clock.now

    def mounted(self, second: int) -> tuple[BackendSettings, str]:
        """Return what a kubelet mounts whose view is of `second`."""
        for since, settings, author in reversed(self.history):
            if since <= second:
                return settings, author
        return self.history[0][1:]

    def mount(self, behind: int = 0) -> tuple[BackendSettings, str]:
        """Return what a pod mounts that begins now, and who delivered it.

        Args:
            behind: seconds by which what it mounts is behind the release's own.
        """
        lag = STALE_FOR if self.dice.chance(self.weather.stale_mounts) else 0
        return self.mounted(self.clock.now - behind - lag)

    @property
    def copied(self) -> BackendSettings:
        """What the copy for the task pods says."""
        return self.mounted(self.clock.now - self.weather.copied_after)[0]

    @property
    def copy_changed(self) -> int:
        """When it changed last."""
        after = self.weather.copied_after
        return max(s + after for s, *_ in self.history if s + after <= self.clock.now)

    # -- long-lived pods ---------------------------------------------------------------------

    def pod(self, component: str, created: int | None = None) -> SimPod:
        """Return a new pod with the present configuration."""
        if component == "worker" and self.make_worker is not None:
            return self.make_worker(created)
        return self.plain_pod(component, created)

    def plain_pod(self, component: str, created: int | None = None) -> SimPod:
        """Return a new pod that holds no other attempts than its own."""
        self.serial += 1
        begin = self.clock.now if created is None else created
        # What was there long before anything was changed is what everybody has.
        settings, author = self.mount() if created is None else (self.config, self.author)
        homes = [node for node in NODES if node not in self.lost_nodes] or ["node-c"]
        return SimPod(
            f"{component}-{self.serial}",
            component,
            begin,
            settings,
            author,
            self.template,
            homes[self.serial % len(homes)],
            started=begin,
        )

    def change_workloads(self) -> None:
        """The pod templates change: every long-lived pod is replaced, one after the other."""
        self.template += 1
        self._roll_later(self.roll_seconds)

    def restart(self, number: int) -> None:
        """A long-lived pod is evicted and comes back."""
        if number < len(self.fleet):
            self.kill_worker(self.fleet[number])
            self.fleet[number] = self.pod(self.fleet[number].component)

    def replace(self, name: str) -> None:
        """A long-lived pod that holds no tasks is deleted, and another one comes."""
        for number, pod in enumerate(self.fleet):
            if pod.name == name and pod.component != "worker":
                self.restart(number)
                self._let_leave(pod)

    def _roll_later(self, seconds: int) -> None:
        if not self._rolling:
            self._rolling = True
            self.clock.after(seconds, self._roll)

    def _roll(self) -> None:
        self._rolling = False
        old = [pod for pod in self.fleet if pod.template != self.template]
        if self._one_by_one and any(pod.component == "worker" for pod in self.leaving):
            old = [pod for pod in old if pod.component != "worker"]
        if not old:
            return
        pod = old[0]
        self.fleet.remove(pod)
        if pod.component == "worker":
            self._let_end(pod)
            self._roll_later(1)
            return
        self.fleet.append(self.pod(pod.component))
        if pod.lost or self.weather.fleet_grace:
            self._let_leave(pod)
        self._roll_later(1)

    def _let_leave(self, pod: SimPod) -> None:
        """A long-lived pod is told to end, beside its successor: a second at least."""
        grace = max(1, self.weather.fleet_grace)
        pod.gone_by = self.clock.now + grace
        self.leaving.append(pod)
        if not pod.lost:
            self.clock.after(grace, lambda: self._leave(pod))

    @property
    def _one_by_one(self) -> bool:
        """Whether the workers are a StatefulSet: each is gone before its successor comes."""
        return self.weather.stateful

    def _let_end(self, worker: SimPod) -> None:
        self.leaving.append(worker)
        self.end_worker(worker)
        if not self._one_by_one:
            self.fleet.append(self.pod("worker"))

    def evict(self, worker: SimPod) -> None:
        """A worker is told to end, and another one comes."""
        if worker in self.fleet:
            self.fleet.remove(worker)
            self._let_end(worker)

    def leave(self, worker: SimPod) -> None:
        """A worker that was told to end has ended."""
        if worker in self.leaving:
            self.leaving.remove(worker)
            self._succeed(worker)

    def _succeed(self, worker: SimPod) -> None:
        if self._one_by_one and worker.component == "worker":
            self.fleet.append(self.pod("worker"))
            self._roll_later(1)

    @property
    def web_answers(self) -> bool:
        """Whether the web server has been there for as long as it takes to start."""
        (pod,) = (pod for pod in self.fleet if pod.component == "webserver")
        return self.clock.now - pod.created >= self.weather.web_starts

    def _leave(self, pod: SimPod) -> None:
        if pod in self.leaving and not pod.lost:
            self.leaving.remove(pod)

    @property
    def long_lived(self) -> list[SimPod]:
        return [*self.fleet, *self.leaving]

    @property
    def triggerer(self) -> SimPod:
        """The triggerer whose process ends deferred tasks: the old one for as long as it lives."""
        return next(
            (pod for pod in self.leaving if pod.component == "triggerer"),
            next((pod for pod in self.fleet if pod.component == "triggerer"), self.fleet[0]),
        )

    # -- task pods ---------------------------------------------------------------------------

    def delete(self, pod: SimPod) -> None:
        """Ask for the end of a task pod."""
        if pod.gone or pod.gone_by is not None:
            return
        grace = self.weather.deaf_grace if pod.deaf else self.weather.grace
        pod.gone_by = self.clock.now + grace
        if not pod.lost:
            self.clock.after(grace, lambda: self.remove(pod))

    def remove(self, pod: SimPod) -> None:
        """The pod is gone, and its process with it."""
        if not pod.lost and not pod.gone:
            pod.gone, pod.ended = True, self.clock.now
            if pod in self.tasks:
                self.tasks.remove(pod)
            self.on_removed(pod)

    # -- nodes -------------------------------------------------------------------------------

    def lose(self, node: str) -> list[SimPod]:
        """A node is lost with its processes; its pods are shown as terminating forever."""
        self.lost_nodes.add(node)
        hit = [pod for pod in (*self.tasks, *self.long_lived) if pod.node == node]
        for pod in hit:
            pod.lost = True
            pod.gone_by = pod.gone_by or self.clock.now + LOST_AFTER
        for pod in list(self.fleet):
            if pod.lost:
                self.fleet.remove(pod)
                self.leaving.append(pod)
                if pod.component != "worker" or not self._one_by_one:
                    self.fleet.append(self.pod(pod.component))
        return hit

    def drop_node(self, node: str) -> None:
        """A person removes the lost node from the cluster: its pods are gone."""
        self.lost_nodes.discard(node)
        for pods in (self.tasks, self.leaving):
            for pod in list(pods):
                if pod.lost and pod.node == node:
                    self.kill_worker(pod)
                    pod.gone, pod.ended = True, self.clock.now
                    pods.remove(pod)
                    self._succeed(pod)
