"""What persons, and accidents, do in the middle of it all."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from simulation.airflow import SimRun
from simulation.airflow_api import BROKEN, FORBIDDEN
from simulation.workers import SimWorker
from xcom_rollout.decide.ledger import RunKey
from xcom_rollout.decide.observed import JobKind
from xcom_rollout.decide.settings import NEVER_OFFLOAD, BackendSettings
from xcom_rollout.decide.situation import target_of

if TYPE_CHECKING:
    from simulation.operator import Simulation

KILL: Final = "xcomrollout.dev/kill"


class People:
    """Verbs by their name, so that a plan is plain data."""

    def __init__(self, sim: "Simulation") -> None:
        self.sim = sim
        self.paused: set[str] = set()
        """DAGs that a person paused last."""
        self.done = 0
        self._verbs: dict[str, Callable[[str], None]] = {
            "reflip": lambda _: self._deliver(target_of(sim.spec)),
            "minus-one": lambda _: self._deliver(
                replace(target_of(sim.spec), threshold=NEVER_OFFLOAD)
            ),
            "other-path": lambda path: self._deliver(replace(target_of(sim.spec), path=path)),
            "other-path-read": lambda path: self._deliver(
                replace(target_of(sim.spec), path=path, threshold=NEVER_OFFLOAD)
            ),
            "revert": lambda _: self._deliver(BackendSettings()),
            "chart": sim.helm.person_upgrades_chart,
            "label": lambda _: sim.cluster.touch(),
            "option": lambda _: self._option(),
            "pause": self._pause,
            "unpause": self._unpause,
            "clear": self._clear,
            "backfill-dies": self._orphan,
            "remove": lambda key: self._remove(key),
            "delete": lambda _: self._delete(),
            "create": self._create,
            "take-back": lambda _: self._take_back(),
            "kill": self._kill,
            "store-down": lambda _: self._store(up=False),
            "store-up": lambda _: self._store(up=True),
            "api-down": lambda _: self._api("connection refused"),
            "api-up": lambda _: self._api(""),
            "node-lost": self._node_lost,
            "node-dropped": sim.cluster.drop_node,
            "dag-gone": sim.airflow.missing.add,
            "dag-back": sim.airflow.missing.discard,
            "refuse": self._refuse,
            "allow": self._allow,
            "hide": lambda what: self._unread(what, FORBIDDEN),
            "break": lambda what: self._unread(what, BROKEN),
            "show": lambda what: self._unread(what, ""),
            "worker-evicted": lambda number: self._worker(int(number), sim.cluster.evict),
            "worker-killed": lambda number: self._worker(int(number), self._kill_worker),
            "worker-crashes": lambda number: self._worker(int(number), sim.workers.crash),
            "supervisors-lost": lambda number: self._worker(int(number), self._lose_supervisors),
            "refuse-exec": lambda _: self._exec(refused=True),
            "allow-exec": lambda _: self._exec(refused=False),
            "restart": lambda number: sim.cluster.restart(int(number)),
            "new-operator": lambda _: sim.helm.another_pod(),
            "rollback": lambda _: sim.helm.roll_back(),
            "refuse-jobs": lambda kind: sim.job_list.refused.add(JobKind(kind)),
            "take-jobs": lambda kind: sim.job_list.refused.discard(JobKind(kind)),
            "accept-finished": lambda _: self._accept(),
        }

    def does(self, verb: str, argument: str = "") -> None:
        """Let it happen now."""
        self.done += 1
        self._verbs[verb](argument)
        self.sim.touched_world += 1

    def will(self, second: int, verb: str, argument: str = "") -> None:
        """Let it happen at `second` of the simulation."""
        self.sim.clock.at(second, lambda: self.does(verb, argument))

    def _deliver(self, settings: BackendSettings) -> None:
        self.sim.helm.person_delivers(settings)

    def _option(self) -> None:
        self.sim.cluster.touch()
        self.sim.cluster.change_workloads()

    def _pause(self, dag: str) -> None:
        kill = self.sim.open_kill()
        held = set(kill.dags_still_held) if kill else set()
        if dag not in self.sim.airflow.paused | held:  # anybody else who paused it leaves no trace
            self.paused.add(dag)
        self.sim.airflow.paused.add(dag)

    def _unpause(self, dag: str) -> None:
        self.paused.discard(dag)
        self.sim.airflow.paused.discard(dag)

    def _run(self, text: str) -> SimRun | None:
        return self.sim.airflow.runs.get(RunKey(*text.split("/", 1)))

    def _clear(self, text: str) -> None:
        run = self._run(text)
        if run is not None and not run.in_flight and run.key.dag_id not in self.sim.airflow.missing:
            self.sim.airflow.clear(run, by_person=True)

    def _orphan(self, text: str) -> None:
        run = self._run(text)
        if run is not None and run.run_type == "backfill" and self.sim.airflow.major == 2:
            run.orphan = True

    def _remove(self, text: str) -> None:
        run = self._run(text)
        if run is not None and not run.in_flight:
            del self.sim.airflow.runs[run.key]

    def _delete(self) -> None:
        if self.sim.present:
            self.sim.deleting = True
            self.sim.collect()

    def _create(self, path: str) -> None:
        if self.sim.present:
            if self.sim.deleting:  # kubectl apply fails until it is gone; people try again
                self.sim.clock.after(30, lambda: self._create(path))
            return
        self.sim.present, self.sim.deleting, self.sim.finalized = True, False, False
        self.sim.annotations.pop(KILL, None)
        self.sim.generation += 1
        if path:
            storage = self.sim.spec.backend.object_storage.model_copy(update={"path": path})
            backend = self.sim.spec.backend.model_copy(update={"object_storage": storage})
            self.sim.spec = self.sim.spec.model_copy(update={"backend": backend})

    def _take_back(self) -> None:
        self.sim.annotations.pop(KILL, None)

    def _kill(self, strategy: str) -> None:
        if self.sim.present:
            word = f', "strategy": "{strategy}"' if strategy else ""
            self.sim.annotations[KILL] = f'{{"by": "ana", "reason": "test"{word}}}'

    def _store(self, *, up: bool) -> None:
        self.sim.airflow.store_up = up

    def _api(self, error: str) -> None:
        self.sim.api.away = error

    def _node_lost(self, node: str) -> None:
        self.sim.airflow.node_lost(self.sim.cluster.lose(node))

    def _worker(self, number: int, do: Callable[[SimWorker], None]) -> None:
        there = self.sim.workers.all
        if there:
            do(there[number % len(there)])

    def _kill_worker(self, worker: SimWorker) -> None:
        """Its pod is deleted by force, or its container has run out of memory while it ended."""
        cluster = self.sim.cluster
        if worker.lost:
            return  # that needs its node
        self.sim.workers.kill(worker)
        if worker in cluster.fleet:
            cluster.fleet[cluster.fleet.index(worker)] = cluster.pod("worker")
        cluster.leave(worker)

    def _lose_supervisors(self, worker: SimWorker) -> None:
        for process in list(worker.processes):
            self.sim.workers.lose_supervisor(process)

    def _exec(self, *, refused: bool) -> None:
        self.sim.workers.exec_refused = refused

    def _refuse(self, text: str) -> None:
        self.sim.api.refused[RunKey(*text.split("/", 1))] = "403 Forbidden: POST .../clear"

    def _allow(self, text: str) -> None:
        self.sim.api.refused.pop(RunKey(*text.split("/", 1)), None)

    def _unread(self, what: str, answer: str) -> None:
        """Let a run (DAG/RUN) or a DAG be refused when it is read, until it is shown again."""
        self.sim.api.unread.pop(what, None)
        if answer:
            self.sim.api.unread[what] = answer

    def _accept(self) -> None:
        switch = self.sim.spec.kill_switch.model_copy(update={"finished_runs": "Accept"})
        self.sim.spec = self.sim.spec.model_copy(update={"kill_switch": switch})
        self.sim.airflow.accepted = True
