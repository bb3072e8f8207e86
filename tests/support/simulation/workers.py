"""Celery: a queue of messages, and workers, long-lived pods in which an attempt is a process.

Beside them a task may have pods of its own (`SimTask.in_pod`), by KubernetesExecutor.

What is modelled was measured (docs/airflow.md, "Executors"); what is not known is as nasty as it
may be: a process writes its row of XCom whatever has become of its task instance.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from simulation.airflow import Airflow, SimRun, TaskState
from simulation.clock import Clock
from simulation.cluster import Cluster, SimPod
from simulation.weather import Dice, Weather
from xcom_rollout.decide.ledger import RunKey
from xcom_rollout.decide.observed import Attempt

TICKS: Final = 100
"""Of the clock of a machine, in a second."""
IDLE_ENDS: Final = 1
"""Seconds from the request to end until a worker without tasks has ended."""
DEAF_MORE: Final = 60
"""Airflow 2: seconds from SIGTERM to SIGKILL (`killed_task_cleanup_time`)."""
LOST_ROW: Final = 2
"""Airflow 3: seconds until the row of a task is failed whose supervisor was lost."""
STUCK_IN_QUEUE: Final = 600
"""Seconds until a row that stays queued gets another message (`task_queued_timeout`)."""


@dataclass(eq=False)
class Message:
    """An attempt that is to be made. It holds no settings."""

    run: SimRun
    task: int
    instance: tuple[int, int, int]
    """The try that it was sent for. Airflow 3 looks at that; Airflow 2 at the task of the run."""


def _instance(run: SimRun, state: TaskState) -> tuple[int, int, int]:
    return run.attempt, state.failed_tries, state.pokes


@dataclass(eq=False)
class SimProcess(SimPod):
    """The processes of one attempt in a worker: they look and end like a pod of it."""

    worker: "SimWorker" = None  # type: ignore[assignment]  # follows fields with defaults
    message: Message = None  # type: ignore[assignment]
    pid: int = 0
    ticks: int = 0
    orphan: bool = False
    """Whether its supervisor was lost: it does not learn that its run was failed."""
    unnamed: bool = False
    """Whether its title does not name its run."""

    @property
    def began(self) -> int:
        """When its worker did, of which it is a fork."""
        return self.worker.began


@dataclass(eq=False)
class SimWorker(SimPod):
    """A worker, whose forks all have the settings that it had at its start."""

    closing: bool = False
    """Whether it takes no further messages and ends with its last task."""
    processes: list[SimProcess] = field(default_factory=list)


@dataclass(frozen=True)
class Look:
    """What the operator has seen in the workers, and when."""

    second: int
    attempts: tuple[Attempt, ...]
    unseen: str
    """Why one of them could not be looked into."""
    stopped: frozenset[RunKey] = frozenset()
    """The runs that had been seen stopped before it."""
    workers: frozenset[str] = frozenset()
    unseen_since: int | None = None
    """Since when one of them gave no answer, where that may pass."""


class Workers:
    """The broker, the workers and what runs in them."""

    def __init__(self, clock: Clock, dice: Dice, weather: Weather, airflow: Airflow) -> None:
        self.clock, self.dice, self.weather, self.airflow = clock, dice, weather, airflow
        self.cluster: Cluster = airflow.cluster
        self.messages: list[Message] = []
        self.exec_refused = False
        """Whether the operator may not execute anything in a pod."""
        self._looked: Look | None = None
        self._silent: dict[str, int] = {}
        """Since when each worker that gave no answer does so."""
        self.ended_by_operator: list[SimProcess] = []
        self.ended = 0
        """Processes that have ended."""
        self.attempts = self.in_pods = self.orphans = self.killed = self.dropped = (
            self.ended_by_force
        ) = 0
        """How often each has happened."""
        if weather.workers:
            airflow.send = self.send
            airflow.notify = self.notify_supervisors
            airflow.begun = self.begun
            airflow.alive = self.alive_of
            airflow.cut_off = self.cut_off
            self.cluster.make_worker = self.make
            self.cluster.end_worker = self.shut_down
            self.cluster.kill_worker = self.kill
            self.cluster.on_removed = self._removed

    # -- pods --------------------------------------------------------------------------------

    def make(self, created: int | None = None) -> SimWorker:
        """Return a new worker, which takes messages when it has started."""
        cluster = self.cluster
        pod = cluster.plain_pod("worker", created)
        worker = SimWorker(
            pod.name,
            "worker",
            pod.created,
            pod.settings,
            pod.author,
            pod.template,
            pod.node,
            started=pod.created,
        )
        self.clock.after(self.weather.worker_starts, self.hand_out)
        return worker

    @property
    def all(self) -> list[SimWorker]:
        """Every worker that lives, seen or not."""
        return [pod for pod in self.cluster.long_lived if isinstance(pod, SimWorker)]

    def processes(self) -> Iterable[SimProcess]:
        for worker in self.all:
            yield from worker.processes

    def alive_of(self, run: SimRun) -> list[SimPod]:
        """Return the attempts of a run that have begun and have not ended."""
        return [entry for entry in self.processes() if entry.run is run and entry.attempt]

    def shut_down(self, worker: SimPod) -> None:
        """Tell a worker to end: it takes no more, and is killed at the end of its grace period."""
        if not isinstance(worker, SimWorker) or worker.gone_by is not None:
            return
        worker.closing = not worker.lost
        worker.gone_by = self.clock.now + self.weather.worker_grace
        if not worker.lost:
            self.clock.at(worker.gone_by, partial(self._grace_over, worker))
            self.clock.after(IDLE_ENDS, partial(self._end_if_idle, worker))

    def replace(self, name: str) -> None:
        """Delete a worker's pod: it is told to end, and another one comes."""
        for worker in self.all:
            if worker.name == name:
                self.cluster.evict(worker)

    def _grace_over(self, worker: SimWorker) -> None:
        if not worker.gone and not worker.lost:
            self.kill(worker)
            self.cluster.leave(worker)

    def _end_if_idle(self, worker: SimWorker) -> None:
        if worker.closing and not worker.gone and not worker.lost and not worker.processes:
            worker.gone = True
            self.cluster.leave(worker)

    def kill(self, worker: SimPod) -> None:
        """End a worker at once, with all that runs in it: rows stay as they are for a long time."""
        if not isinstance(worker, SimWorker) or worker.gone:
            return
        worker.gone = True
        self._lose_processes(worker)

    def crash(self, worker: SimWorker) -> None:
        """The container ends and begins again in the same pod."""
        if worker.gone or worker.lost or worker.closing:
            return
        self._lose_processes(worker)
        worker.started = self.clock.now
        worker.settings, worker.author = self.cluster.mounted(self.clock.now)
        self.clock.after(self.weather.worker_starts, self.hand_out)

    def _lose_processes(self, worker: SimWorker) -> None:
        for process in list(worker.processes):
            self.ended += 1
            process.gone, process.ended = True, self.clock.now
            worker.processes.remove(process)
            if process.attempt:
                self.killed += 1
                self._miss_heartbeats(process)
            else:
                self._redeliver(process.message, self.weather.again or STUCK_IN_QUEUE)

    def _miss_heartbeats(self, process: SimProcess) -> None:
        if process.run is not None:
            fail = partial(self.airflow.fail, process.run, process.task, process)
            self.clock.after(self.weather.heartbeats, fail)

    def cut_off(self, worker: SimPod) -> None:
        """The node of a worker is lost: its processes live on, and nobody sees them."""
        if isinstance(worker, SimWorker):
            for process in worker.processes:
                if process.attempt:
                    self._miss_heartbeats(process)

    # -- messages ----------------------------------------------------------------------------

    def send(self, run: SimRun, number: int, state: TaskState) -> None:
        """Send the message of a task instance that was queued just now, or let it have a pod."""
        if run.tasks[number].in_pod:
            self.airflow.send_to_pod(run, number, state)
            return
        message = Message(run, number, _instance(run, state))
        self._redeliver(message, self.dice.between(self.weather.queue))
        if self.dice.chance(self.weather.doubled):
            self._redeliver(message, self.dice.between((0, 30)))

    def _redeliver(self, message: Message, seconds: int) -> None:
        def arrive() -> None:
            self.messages.append(message)
            self.hand_out()

        self.clock.after(seconds, arrive)

    def hand_out(self) -> None:
        """Let workers with free slots take what waits."""
        while self.messages:
            free = [
                worker
                for worker in self.all
                if not worker.closing
                and not worker.gone
                and len(worker.processes) < self.weather.slots
                and self._has_started(worker)
            ]
            if not free:
                return
            free.sort(key=lambda worker: len(worker.processes))
            self._take(free[0], self.messages.pop(0))

    @property
    def have_started(self) -> bool:
        """Whether every worker that shall stay has started."""
        return all(self._has_started(worker) for worker in self.all if worker.gone_by is None)

    def _has_started(self, worker: SimWorker) -> bool:
        since = worker.created if worker.started is None else worker.started
        return self.clock.now - since >= self.weather.worker_starts

    def _take(self, worker: SimWorker, message: Message) -> None:
        taken = {process.pid for process in worker.processes}
        pid = next(number for number in range(20, 1000) if number not in taken)
        process = SimProcess(
            f"{worker.name}:{pid}",
            "worker",
            self.clock.now,
            worker.settings,
            worker.author,
            worker.template,
            worker.node,
            run=message.run,
            attempt=0,
            task=message.task,
            deaf=message.run.tasks[message.task].deaf,
            in_worker=True,
            worker=worker,
            message=message,
            pid=pid,
            ticks=self.clock.now * TICKS + self.dice.between((0, TICKS - 1)),
            unnamed=self.dice.chance(self.weather.unnamed),
        )
        worker.processes.append(process)
        message.run.attempts.append(process)
        self.clock.after(self.dice.between(self.weather.init), partial(self._look, process))
        if self.weather.again:
            # It is acknowledged at the end, so it belongs to the worker for so long only.
            self._redeliver_unless_done(process)

    def _redeliver_unless_done(self, process: SimProcess) -> None:
        def come_again() -> None:
            if not process.gone:
                self.messages.append(process.message)
                self.hand_out()

        self.clock.after(self.weather.again, come_again)

    def _look(self, process: SimProcess) -> None:
        """A process looks whether the row is queued: else what it was made for is over."""
        run, message = process.run, process.message
        if process.gone or run is None:
            return
        process.started = self.clock.now
        state = run.states[message.task]
        known = self.airflow.major == 2 or message.instance == _instance(run, state)
        if not known or state.state != "queued" or not run.in_flight:
            self.dropped += 1
            self.clock.after(1, partial(self.cluster.remove, process))
            return
        self.airflow.begin(process, run, message.task)

    # -- processes ---------------------------------------------------------------------------

    def begun(self, pod: SimPod) -> None:
        """An attempt has begun; its supervisor may be lost later."""
        if not isinstance(pod, SimProcess):
            self.in_pods += 1
            return
        self.attempts += 1
        if self.dice.chance(self.weather.orphaned):
            run = pod.run
            most = 1 if run is None else run.tasks[pod.task].seconds
            self.clock.after(self.dice.between((1, most)), partial(self.lose_supervisor, pod))

    def lose_supervisor(self, process: SimProcess) -> None:
        """Only the pool's process is killed, as where memory runs out; the task goes on."""
        if process.gone or process.orphan or not process.attempt or process.run is None:
            return
        process.orphan = True
        self.orphans += 1
        if self.airflow.major > 2:
            fail = partial(self.airflow.fail, process.run, process.task, process)
            self.clock.after(LOST_ROW, fail)

    def notify_supervisors(self, run: SimRun) -> None:
        """The supervisors of a run that was set to failed ask Airflow, and see that."""
        self.airflow.notify_pods(run)
        for process in list(self.processes()):
            if process.run is run and process.attempt and not self.airflow.current(process):
                seconds = self.dice.between(self.weather.notices)
                self.clock.after(seconds, partial(self._notice, process))

    def _notice(self, process: SimProcess) -> None:
        run = process.run
        if process.gone or process.orphan or process.worker.lost or run is None:
            return
        if self.airflow.major > 2:
            self.cluster.remove(process)
            return
        if run.states[process.task].state == "running":
            return  # of another attempt, but that is not looked at
        self.clock.after(DEAF_MORE if process.deaf else 0, partial(self.cluster.remove, process))

    def _removed(self, pod: SimPod) -> None:
        self.ended += 1
        if isinstance(pod, SimProcess) and pod in pod.worker.processes:
            pod.worker.processes.remove(pod)
            self._end_if_idle(pod.worker)
            self.hand_out()

    # -- the operator ------------------------------------------------------------------------

    def look(self, stopped: frozenset[RunKey]) -> Look:
        """Return what was seen in the workers: now, or at a look that is not too old for it.

        Args:
            stopped: the runs that the kill has seen stopped; an older look was made for all these.
        """
        last, workers = self._looked, frozenset(worker.name for worker in self.all)
        young = last is not None and self.clock.now - last.second < self.weather.look_pace
        if last is None or not young or not stopped <= last.stopped or not workers <= last.workers:
            last = self._looked = self._look_into_each(stopped, workers)
        return last

    def _look_into_each(self, stopped: frozenset[RunKey], workers: frozenset[str]) -> Look:
        found: list[Attempt] = []
        wrong: dict[str, str] = {}
        for worker in self.all:
            error = self._refusal(worker)
            if error:
                wrong[worker.name] = f"{worker.name}: {error}"
            else:
                found += [
                    self._shown(process)
                    for process in worker.processes
                    if process.started is not None
                ]
        self._silent = {name: self._silent.get(name, self.clock.now) for name in wrong}
        since = None if self.exec_refused else min(self._silent.values(), default=None)
        unseen = "; ".join(wrong.values())
        return Look(self.clock.now, tuple(found), unseen, stopped, workers, since)

    def _refusal(self, worker: SimWorker) -> str:
        if self.exec_refused:
            return "pods/exec is forbidden"
        if worker.lost:
            return f"no answer from the node {worker.node}"
        if not self._has_started(worker):
            return "container not found"
        return "exec timed out" if self.dice.chance(self.weather.look_faults) else ""

    def _shown(self, process: SimProcess) -> Attempt:
        run, message = process.run, process.message
        listed = self.airflow.major == 2 or (
            run is not None and message.instance == _instance(run, run.states[message.task])
        )
        return Attempt(
            pod=process.worker.name,
            pod_uid=process.worker.name,
            pid=process.pid,
            started=process.ticks,
            title=f"airflow task {process.name}",
            run=run.key if run is not None and listed and not process.unnamed else None,
        )

    def end(self, attempt: Attempt) -> str:
        """End a process by force, if it is still that one; return what is wrong."""
        # As the layer `act` does: what was seen before no longer counts.
        self._looked = None
        worker = next((pod for pod in self.all if pod.name == attempt.pod), None)
        if worker is None:
            return ""
        error = self._refusal(worker)
        if not error and self.dice.chance(self.weather.end_faults):
            error = "exec timed out"
        named = [
            process
            for process in worker.processes
            if (process.pid, process.ticks) == (attempt.pid, attempt.started)
        ]
        # A request that timed out may have been done.
        if named and (not error or (not worker.lost and self.dice.chance(30))):
            self._end(named[0])
        return error

    def _end(self, process: SimProcess) -> None:
        self.ended_by_operator.append(process)
        self.ended_by_force += 1
        current, run = self.airflow.current(process), process.run
        self.cluster.remove(process)
        if current and run is not None:
            self.airflow.fail(run, process.task)  # its supervisor sees its exit code
