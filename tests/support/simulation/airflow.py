"""Airflow: its scheduler, the runs with their tasks, and the rows that the tasks leave."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from simulation.clock import Clock, moment
from simulation.cluster import LOST_AFTER, Cluster, SimPod
from simulation.hazards import Hazards
from simulation.weather import STALE_FOR, Dice, Weather
from xcom_rollout.decide.ledger import RunKey

INLINE: Final = ""
"""What a row is that holds its value; another row holds the base path of its object."""
POKES: Final = 3
"""How often a rescheduled sensor looks."""
NOT_YET: Final = 10**9
POLL: Final = 3
"""Seconds between two looks of a parent at the run that it waits for."""


@dataclass(frozen=True)
class SimTask:
    """A task as its author wrote it."""

    seconds: int = 3
    size: int = 10
    kind: str = "normal"
    """normal, teardown, deferred (the triggerer ends it), resumed (deferred, ended by a pod),
    reschedule, or parent (waits for the run `waits_for`)."""
    beside: bool = False
    """Whether it runs beside the task before it, not after it."""
    only: str = ""
    """`first` or `rerun`: a branch that only these attempts of the run take."""
    retries: int = 0
    """How many tries fail before one succeeds."""
    retry_delay: int = 5
    fails: bool = False
    deaf: bool = False
    """Whether it ignores SIGTERM."""
    across: str = ""
    """A DAG whose runs' rows it reads too (include_prior_dates, a pull from another DAG)."""
    waits_for: RunKey | None = None
    in_pod: bool = False
    """Whether each attempt has a pod of its own, where there are workers, too: as its queue or its
    `executor` says."""


@dataclass(eq=False)
class TaskState:
    """A task instance."""

    state: str = "scheduled"
    """scheduled, queued, running, deferred, waiting (to be scheduled), success, skipped, failed."""
    failed_tries: int = 0
    pokes: int = 0
    pod: SimPod | None = None


@dataclass(eq=False)
class SimRun:
    """A DAG run, with what the test wants to know of it."""

    key: RunKey
    plan: list[tuple[int, int]] | list[SimTask]
    """For each task: seconds it takes, bytes it returns."""
    state: str = "queued"
    start_date: str | None = None
    attempt: int = 1
    rows: dict[int, str] = field(default_factory=dict)
    """Task number -> INLINE, or the base path of the object."""
    authors: dict[int, str] = field(default_factory=dict)
    """Task number -> who had delivered the settings under which its row was written."""
    clears: int = 0
    fails: int = 0
    run_type: str = "manual"
    orphan: bool = False
    """Whether the command that schedules it, a backfill of Airflow 2, is gone."""
    begins: int = 0
    """Second of its creation; no scheduler sees it before. NOT_YET: a parent triggers it."""
    triggered_by: int = 0
    """Attempt of the parent that triggered it."""
    stopped_by_us: bool = False
    """Whether the operator ended it and nobody has cleared it since."""
    stopped_immediately: bool = False
    """Whether an Immediate kill ended it."""
    cleared_by_person: bool = False
    cleared_at: int = -1
    stopping: bool = False
    """Set to failed, and waiting for its teardown."""
    held_until: int = -1
    """Last second at which it held an offloaded row."""
    stops: int = 0
    rounds: set[tuple[int, int]] = field(default_factory=set)
    """Kills and rounds in which it was cleared."""
    states: list[TaskState] = field(default_factory=list)
    attempts: list[SimPod] = field(default_factory=list)
    """Pods, and processes in workers, that were made for it."""

    def __post_init__(self) -> None:
        self.tasks = [
            task if isinstance(task, SimTask) else SimTask(task[0], task[1]) for task in self.plan
        ]
        self.stages: list[list[int]] = []
        for number, task in enumerate(self.tasks):
            if task.beside and self.stages:
                self.stages[-1].append(number)
            else:
                self.stages.append([number])
        self.stage = 0
        self.states = [TaskState() for _ in self.tasks]

    @property
    def in_flight(self) -> bool:
        return self.state in ("queued", "running")

    @property
    def done(self) -> int:
        """How many tasks have succeeded."""
        return sum(entry.state == "success" for entry in self.states)

    def holds(self) -> int:
        """Return how many of its rows are offloaded."""
        return sum(1 for base in self.rows.values() if base)


class Airflow:
    """The scheduler and the processes of the tasks."""

    def __init__(
        self, clock: Clock, dice: Dice, weather: Weather, cluster: Cluster, hazards: Hazards
    ) -> None:
        self.clock, self.dice, self.weather = clock, dice, weather
        self.cluster, self.hazards = cluster, hazards
        self.runs: dict[RunKey, SimRun] = {}
        self.paused: set[str] = set()
        self.missing: set[str] = set()
        """DAGs whose file is gone."""
        self.store_up = True
        self.major = 2
        self.immediate = False
        """Whether a kill of the weaker promise goes on: what it delivers and stops meanwhile is
        not held against it."""
        self.left_as_paths: set[RunKey] = set()
        """Finished runs whose rows such a kill left: it says that it does."""
        self.accepted = False
        """Whether the spec accepts that offloaded values of finished runs are read as paths."""
        self.looked_at: int | None = None
        """When runs in flight were counted last before that was accepted."""
        self.excused_reads: list[str] = []
        """Reads of paths that nobody promised to prevent."""
        self.excused_parents: list[str] = []
        """Parents that failed with a run that an Immediate kill stopped."""
        self.send: Callable[[SimRun, int, TaskState], None] = self.send_to_pod
        """The executor takes a task instance that was queued just now."""
        self.begun: Callable[[SimPod], None] = lambda _: None
        self.notify: Callable[[SimRun], None] = self.notify_pods
        """A run was set to failed: its pods or supervisors may notice."""
        self.alive: Callable[[SimRun], Sequence[SimPod]] = lambda _: ()
        """The attempts of a run in workers."""
        self.cut_off: Callable[[SimPod], None] = lambda _: None
        """A pod that holds attempts is on a lost node."""
        cluster.on_change = self._config_changed
        clock.after_each = self.scan

    # -- scheduler ---------------------------------------------------------------------------

    def scan(self) -> None:
        """One loop of the scheduler."""
        for run in list(self.runs.values()):
            if not run.in_flight or run.begins > self.clock.now or run.orphan:
                continue
            if run.key.dag_id in self.paused or run.key.dag_id in self.missing:
                continue
            if run.state == "queued":
                if run.run_type == "backfill" and run.attempt > 1 and self.major == 2:
                    run.orphan = True  # nobody has it in hand any more
                    continue
                run.state = "running"
                run.start_date = moment(self.clock.now).isoformat()
            for number in run.stages[run.stage]:
                state = run.states[number]
                if state.state == "scheduled":
                    if self._skips(run, number):
                        state.state = "skipped"
                        self._advance(run)
                    else:
                        self._queue(run, number, state)

    def _skips(self, run: SimRun, number: int) -> bool:
        only = run.tasks[number].only
        return (only == "first" and run.attempt > 1) or (only == "rerun" and run.attempt == 1)

    def _queue(self, run: SimRun, number: int, state: TaskState) -> None:
        state.state = "queued"
        self.send(run, number, state)

    def send_to_pod(self, run: SimRun, number: int, _: TaskState) -> None:
        """Let KubernetesExecutor make a pod for a task instance that was queued just now."""
        attempt = run.attempt
        delay = self.dice.between(self.weather.queue)
        self.clock.after(delay, lambda: self._make_pod(run, number, attempt))

    def _make_pod(self, run: SimRun, number: int, attempt: int) -> None:
        # The executor makes it from its queue in memory, whatever has become of run and DAG.
        pod = self.cluster.plain_pod("worker")
        pod.run, pod.attempt, pod.task = run, attempt, number
        pod.started, pod.deaf = None, run.tasks[number].deaf
        self.cluster.tasks.append(pod)
        run.attempts.append(pod)
        self.clock.after(self.dice.between(self.weather.init), lambda: self._start(pod))

    def _config_changed(self) -> None:
        for run in self.runs.values():
            self.look_for_exposure(run)
        if not self.weather.subpath:
            return
        for pod in list(self.cluster.tasks):
            if pod.started is None and pod.created < self.clock.now and pod.run is not None:
                # StartError; the executor makes another one without consuming a try.
                run, number, attempt = pod.run, pod.task, pod.attempt
                self.cluster.remove(pod)
                self.clock.after(2, partial(self._make_pod, run, number, attempt))

    def _advance(self, run: SimRun) -> None:
        while run.in_flight and all(
            run.states[number].state in ("success", "skipped", "failed")
            for number in run.stages[run.stage]
        ):
            if run.stage + 1 == len(run.stages):
                failed = run.stopping or any(state.state == "failed" for state in run.states)
                run.state = "failed" if failed else "success"
                run.stopping = False
                return
            run.stage += 1

    # -- tasks -------------------------------------------------------------------------------

    def _start(self, pod: SimPod) -> None:
        run, number = pod.run, pod.task
        if pod.gone or pod.lost or run is None:
            return
        pod.started = self.clock.now
        pod.settings, pod.author = self.cluster.mount(self.weather.copied_after)
        state = run.states[number]
        if state.state != "queued" or not run.in_flight:
            # What it was made for is over: the process looks, and ends.
            self.clock.after(1, lambda: self.cluster.remove(pod))
            return
        self.begin(pod, run, number)

    def begin(self, pod: SimPod, run: SimRun, number: int) -> None:
        """An attempt begins, whose row is queued."""
        state = run.states[number]
        pod.attempt = run.attempt
        state.state, state.pod = "running", pod
        self.begun(pod)
        if not self._purge(pod, run, number) or not self._read(pod, run, number):
            self.cluster.remove(pod)
            self.fail(run, number)
            return
        task = run.tasks[number]
        if task.kind in ("deferred", "resumed") and state.pokes == 0:
            self.clock.after(1, lambda: self._defer(pod, run, number))
        elif task.kind == "reschedule" and state.pokes < POKES - 1:
            self.clock.after(1, lambda: self._reschedule(pod, run, number))
        elif task.kind == "parent":
            self._trigger(run, task)
            self.clock.after(POLL, lambda: self._poll(pod, run, number))
        else:
            seconds = 1 if task.kind in ("resumed", "reschedule") else task.seconds
            self.clock.after(seconds, lambda: self._end(pod, run, number))

    def current(self, pod: SimPod) -> bool:
        """Whether a pod, or a process in a worker, is what the row of its task names."""
        return pod.run is not None and self._current(pod, pod.run, pod.task)

    def _current(self, pod: SimPod, run: SimRun, number: int) -> bool:
        state = run.states[number]
        return run.in_flight and state.state == "running" and state.pod is pod

    def _purge(self, pod: SimPod, run: SimRun, number: int) -> bool:
        """A task removes its own rows when it starts; whether it could."""
        if run.rows.get(number) and pod.settings.reads_offloaded and not self.store_up:
            return False
        self._set_row(run, number, None)
        return True

    def _read(self, pod: SimPod, run: SimRun, number: int) -> bool:
        """Let a process pull what it can; whether every object could be read."""
        settings = pod.settings
        before = [n for stage in run.stages for n in stage]
        mine = next(stage for stage in run.stages if number in stage)
        rows = [(run, n) for n in before[: before.index(mine[0])]]
        across = run.tasks[number].across
        if across:
            for other in self.runs.values():
                if other.key.dag_id == across and other is not run:
                    rows += [(other, n) for n in other.rows]
        for owner, n in rows:
            base = owner.rows.get(n)
            if not base:
                continue
            if not settings.reads_offloaded or settings.path != base:
                self._path_read(pod, run, number, owner, n)
            elif not self.store_up:
                return False
        return True

    def _path_read(self, pod: SimPod, run: SimRun, number: int, owner: SimRun, n: int) -> None:
        where = "" if owner is run else f" of {owner.key}"
        text = (
            f"{run.key} task {number} read the path of task {n}{where} at {self.clock.now}, with "
            f"the {pod.settings.describe()} in {pod.name}"
        )
        accepted = self.accepted and (owner is not run or self._cleared_too_late(run))
        accepted = accepted or (owner is not run and owner.key in self.left_as_paths)
        if pod.author == "immediate" or self._by_person(pod, owner, n) or accepted:
            self.excused_reads.append(text)
        else:
            self.hazards.path_reads.append(text)

    def _by_person(self, pod: SimPod, owner: SimRun, n: int) -> bool:
        """Whether a person delivered what makes this read wrong: the operator cannot prevent it."""
        if pod.author == "person":
            return True
        if owner.authors.get(n) != "person":
            return False
        if pod.settings.reads_offloaded:
            return True  # below another path, and a process reads one
        # It may have mounted what was there some time before it began.
        behind = 0 if pod.in_worker else self.weather.copied_after
        behind += STALE_FOR if self.weather.stale_mounts else 0
        return any(
            author == "person" and settings.offloads and since >= pod.began - behind
            for since, settings, author in self.cluster.history
        )

    def _cleared_too_late(self, run: SimRun) -> bool:
        """Whether a person cleared it when nobody looked for such runs any more."""
        looked_at = self.looked_at
        return run.cleared_by_person and looked_at is not None and run.cleared_at >= looked_at

    def _defer(self, pod: SimPod, run: SimRun, number: int) -> None:
        if pod.gone or pod.lost:
            return
        self.cluster.remove(pod)
        if not self._current(pod, run, number):
            return
        state, attempt = run.states[number], run.attempt
        state.state = "deferred"
        task = run.tasks[number]

        def fire() -> None:
            if state is not run.states[number] or state.state != "deferred":
                return
            if task.kind == "resumed":
                state.pokes = 1
                state.state = "scheduled"
                return
            triggerer = self.cluster.triggerer
            self._write(triggerer, run, number, attempt)
            state.state = "success"
            self._advance(run)

        self.clock.after(task.seconds, fire)

    def _reschedule(self, pod: SimPod, run: SimRun, number: int) -> None:
        if pod.gone or pod.lost:
            return
        self.cluster.remove(pod)
        if not self._current(pod, run, number):
            return
        state = run.states[number]
        state.state, state.pokes = "waiting", state.pokes + 1
        self._schedule_later(run, number, max(1, run.tasks[number].seconds // POKES))

    def _schedule_later(self, run: SimRun, number: int, seconds: int) -> None:
        state = run.states[number]

        def schedule() -> None:
            if state is run.states[number] and state.state == "waiting":
                state.state = "scheduled"

        self.clock.after(seconds, schedule)

    def _trigger(self, run: SimRun, task: SimTask) -> None:
        """A parent makes the run that it waits for; a re-run of it makes another one."""
        child = self.runs.get(task.waits_for) if task.waits_for is not None else None
        if child is not None and child.begins == NOT_YET:
            child.begins, child.triggered_by = self.clock.now, run.attempt

    def _poll(self, pod: SimPod, run: SimRun, number: int) -> None:
        if pod.gone or pod.lost:
            return
        key = run.tasks[number].waits_for
        child = self.runs.get(key) if key is not None else None
        if child is None or child.state == "success" or child.triggered_by != run.attempt:
            self._end(pod, run, number)
        elif child.state == "failed":
            if self._current(pod, run, number) and child.stopped_by_us:
                # On the database backend nothing may be left to end: part of the weaker promise.
                if child.stopped_immediately:
                    self.excused_parents.append(str(run.key))
                else:
                    self.hazards.failed_parents.append(f"{run.key} failed with {child.key}")
            self.cluster.remove(pod)
            self.fail(run, number, pod)
        else:
            self.clock.after(POLL, lambda: self._poll(pod, run, number))

    def _end(self, pod: SimPod, run: SimRun, number: int) -> None:
        if pod.gone or pod.lost:
            return
        task, current = run.tasks[number], self._current(pod, run, number)
        state = run.states[number]
        self.cluster.remove(pod)
        if not self._read(pod, run, number):
            self.fail(run, number, pod)
            return
        if current and (task.fails or state.failed_tries < task.retries):
            self.fail(run, number, pod)
            return
        if not self._write(pod, run, number, pod.attempt):
            self.fail(run, number, pod)
            return
        if current:
            state.state = "success"
            self._advance(run)
        elif pod.in_worker and self.major == 2:
            self._end_another(pod, run, number)

    def _end_another(self, pod: SimPod, run: SimRun, number: int) -> None:
        """Airflow 2: an attempt that has succeeded sets that in the row, whosever it is by now."""
        state = run.states[number]
        if not run.in_flight or state.state in ("success", "skipped"):
            return
        if pod.attempt != run.attempt and not run.cleared_by_person:
            self._old_attempt(pod, "ended the row of the re-run")
        state.state = "success"
        self._advance(run)

    def _old_attempt(self, pod: SimPod, what: str) -> None:
        self.hazards.old_attempts.append(
            f"{pod.run and pod.run.key} task {pod.task} {what} at {self.clock.now}, in {pod.name}"
        )

    def _write(self, pod: SimPod, run: SimRun, number: int, attempt: int) -> bool:
        task, settings = run.tasks[number], pod.settings
        limit = int(settings.threshold or -1)
        offloads = settings.reads_offloaded and 0 <= limit <= task.size
        if offloads and not self.store_up:
            return False
        if attempt != run.attempt and not run.cleared_by_person:
            self.hazards.spoilt_rows.append(f"{run.key} task {number} at {self.clock.now}")
            if pod.in_worker:
                self._old_attempt(pod, "wrote a row of the re-run")
        run.authors[number] = pod.author
        self._set_row(run, number, (settings.path or "?") if offloads else INLINE)
        return True

    def _set_row(self, run: SimRun, number: int, value: str | None) -> None:
        if run.holds():
            run.held_until = self.clock.now
        if value is None:
            run.rows.pop(number, None)
        else:
            run.rows[number] = value
        if value:
            run.held_until = self.clock.now
            self.look_for_exposure(run)

    def look_for_exposure(self, run: SimRun) -> None:
        """Record a run in flight that holds a path while the operator's database backend is on."""
        cluster = self.cluster
        if not (run.in_flight and run.holds() and cluster.config.is_database):
            return
        if run.stopping or cluster.author != "operator":
            return
        text = f"{run.key} at {self.clock.now}"
        if self.accepted and self._cleared_too_late(run):
            return
        self.hazards.exposed.append(text)

    def fail(self, run: SimRun, number: int, pod: SimPod | None = None) -> None:
        """Let a task fail; nothing where `pod` is not what runs it."""
        state = run.states[number]
        if pod is not None and not self._current(pod, run, number):
            return
        state.failed_tries += 1
        task = run.tasks[number]
        if state.failed_tries <= task.retries and not run.stopping:
            state.state = "waiting"
            self._schedule_later(run, number, task.retry_delay)
            return
        state.state = "failed"
        if self._teardown(run) is not None and number not in run.stages[-1]:
            self._to_teardown(run)
        else:
            run.state, run.stopping = "failed", False

    def _teardown(self, run: SimRun) -> int | None:
        last = len(run.tasks) - 1
        pending = run.tasks[last].kind == "teardown" and run.states[last].state not in (
            "success",
            "failed",
        )
        return last if pending else None

    def _to_teardown(self, run: SimRun) -> None:
        for number, state in enumerate(run.states[:-1]):
            if state.state not in ("success", "skipped"):
                run.states[number] = replace(state, state="failed")
        run.stopping = True
        run.stage = len(run.stages) - 1

    # -- what the API does -------------------------------------------------------------------

    def set_failed(self, run: SimRun) -> None:
        """Set a run to failed, as `PATCH .../dagRuns/{run}` does."""
        if run.key.dag_id in self.missing or not run.in_flight:
            return
        if self._teardown(run) is not None:
            self._to_teardown(run)
        else:
            run.state = "failed"
            for number, state in enumerate(run.states):
                if state.state not in ("success", "skipped"):
                    run.states[number] = replace(state, state="failed")
        self.notify(run)

    def notify_pods(self, run: SimRun) -> None:
        """The pods of a run that was set to failed may notice."""
        if self.weather.heartbeat:
            for pod in list(self.cluster.tasks):
                if pod.run is run and not pod.deaf and not self._current(pod, run, pod.task):
                    self.clock.after(self.weather.heartbeat, partial(self.cluster.remove, pod))

    def clear(self, run: SimRun, *, by_person: bool = False) -> None:
        """Clear a run that is not in flight: it is queued again from its start."""
        if not by_person:
            for pod in self.alive(run):
                self._old_attempt(pod, "lived when its run was cleared")
        run.state, run.start_date, run.stopping = "queued", None, False
        run.attempt += 1
        run.clears += 1
        run.stage = 0
        run.states = [TaskState() for _ in run.tasks]
        run.stopped_by_us = False
        run.cleared_by_person, run.cleared_at = by_person, self.clock.now
        self.look_for_exposure(run)

    def node_lost(self, hit: list[SimPod]) -> None:
        """Airflow takes the tasks of a lost node for failed after a while."""
        for pod in hit:
            if pod.run is not None:
                run, number = pod.run, pod.task
                self.clock.after(LOST_AFTER, partial(self.fail, run, number, pod))
            else:
                self.cut_off(pod)
