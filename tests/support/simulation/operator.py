"""The world around one rollout, and the operator's loop in it."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, assert_never

from simulation.airflow import Airflow, SimRun
from simulation.airflow_api import AirflowApi, ApiDownError, Cleared
from simulation.clock import START, Clock, moment
from simulation.cluster import COMPONENTS, Cluster, SimPod
from simulation.hazards import Hazards
from simulation.helm import Helm, HelmFailedError
from simulation.jobs import Jobs, RefusedError, SimJob
from simulation.people import KILL, People
from simulation.weather import Dice, Weather
from simulation.workers import Look, Workers
from xcom_rollout.api.status import RolloutStatus
from xcom_rollout.api.v1alpha1 import RolloutSpec
from xcom_rollout.controller.failures import PATIENCE_IN_KILL
from xcom_rollout.controller.reconcile import MOST_ON_ONE_LOOK
from xcom_rollout.decide import decide
from xcom_rollout.decide.actions import (
    Action,
    ClearRuns,
    ConfirmReaders,
    DeletePods,
    EndAttempts,
    EndStandby,
    ForgetDelivery,
    InspectBuilds,
    PauseDags,
    ProveWayBack,
    ReplacePods,
    RunJob,
    SetFinalizer,
    SetValues,
    StopRuns,
    UnpauseDags,
    WriteLedger,
)
from xcom_rollout.decide.aside import Asides, put_aside, taken_up
from xcom_rollout.decide.decision import Decision, Progress
from xcom_rollout.decide.kill.outcomes import asked_to_stop, with_errors
from xcom_rollout.decide.kill.same_look import serves_on
from xcom_rollout.decide.kill.writers import limit_is_over
from xcom_rollout.decide.ledger import (
    BuildSeen,
    BuildSource,
    Component,
    Freshness,
    Kill,
    Ledger,
    Reader,
    RunKey,
    RunStage,
    Strategy,
    Verdict,
    WayBack,
)
from xcom_rollout.decide.observed import (
    Attempt,
    AuditResult,
    CalibrationResult,
    JobKind,
    LoosePod,
    Maker,
    Observed,
    Pod,
    ProbeResult,
    ProofResult,
    Release,
    Rollout,
    StaleCopy,
    Workload,
)
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.decide.summarize import Status, summarize

BUILD: Final = "0123456789abcdef0123456789abcdef01234567"
ATTESTATION: Final = (
    '{"by": "ana", "at": "2025-12-31T00:00:00Z", "evidence": "https://example.org/1", '
    '"expiresAt": "2026-01-20T00:00:00Z"}'
)
FAILED_PASS: Final = 3
"""Seconds until the next pass after one that failed."""
AWAY: Final = 7
"""Seconds for which an operator is away that was stopped."""
MOST_PASSES: Final = 3000
"""Passes after which nobody looks any more: what was found last counts as the end."""
MOST_AT_ONCE: Final = 100
"""Actions within one second after which a loop is taken for one without an end."""


def spec(**changes: object) -> RolloutSpec:
    """Return the spec of the examples, with top-level members replaced."""
    base: dict[str, object] = {
        "airflow": {
            "release": "airflow",
            "api": {"service": "web", "credentialsSecretRef": {"name": "api"}},
        },
        "backend": {
            "type": "ObjectStorage",
            "objectStorage": {"path": "s3://aws_default@bucket/xcom"},
        },
        "threshold": {"bytes": "1000"},
        "delivery": {
            "type": "Helm",
            "helm": {
                "chart": {"repository": "https://example.org", "name": "airflow", "version": "1.0"}
            },
        },
    }
    return RolloutSpec.model_validate(base | changes)


class Simulation:
    """The world, and the operator's loop in it. Kind unless a `Weather` says otherwise."""

    def __init__(
        self,
        runs: list[SimRun],
        *,
        the_spec: RolloutSpec | None = None,
        weather: Weather | None = None,
    ) -> None:
        self.spec = the_spec or spec()
        self.weather = weather or Weather()
        dice = Dice(self.weather.seed)
        self.dice = dice
        self.clock = Clock()
        self.hazards = Hazards()
        self.cluster = Cluster(self.clock, dice, self.weather)
        self.helm = Helm(self.clock, dice, self.weather, self.cluster)
        self.helm.on_delivery = self._look_at_delivery
        self.airflow = Airflow(self.clock, dice, self.weather, self.cluster, self.hazards)
        self.airflow.runs = {run.key: run for run in runs}
        self.workers = Workers(self.clock, dice, self.weather, self.airflow)
        self.api = AirflowApi(self.clock, dice, self.weather, self.airflow)
        self.cleared = Cleared(self.airflow)
        self.job_list = Jobs(self.clock, dice, self.weather, self.airflow, self._answer)
        self.people = People(self)
        self.annotations = {"xcomrollout.dev/rehearsal-attestation": ATTESTATION}
        self.present = True
        self.deleting = False
        self.finalized = False
        self.generation = 1
        self.ledger = Ledger()
        self.proof = ProofResult(Verdict.PASS, (), (), (), "KubernetesExecutor")
        self.audits = dict.fromkeys(
            (JobKind.AUDIT_STATIC, JobKind.AUDIT_DYNAMIC), AuditResult(Verdict.PASS, (), 0, (), ())
        )
        self.calibration = CalibrationResult(1000, ())
        self.content = "content"
        """What the pods are made of and configured with, as far as the digest shows."""
        self.build: str | None = BUILD
        """The commit that all of the release is of; None where it is not known."""
        self.looks: list[tuple[datetime, str | None, set[str]]] = []
        """When the pods were looked into, what they showed, and which pods they were."""
        self.worker_executor = "LocalExecutor"
        self.executor = ""
        """As it is written for the scheduler; empty where it is not."""
        self.problems: tuple[str, ...] = ()
        """What cannot be observed, in words."""
        self.wont_roll = ""
        """Why the triggerer does not replace its own pods, in words."""
        self.own_since: datetime | None = None
        """When the pod of a component was made that is not the chart's; None without one."""
        self.loose: tuple[LoosePod, ...] = ()
        """Pods that belong to no workload."""
        self.shut = False
        """Whether the operator may not look into the namespace of the task pods."""
        self.unclear = ""
        """Why airflow.cfg is not known where the newest revision is a person's."""
        self.not_armed: tuple[str, ...] = ()
        """What a kill would lack, in words."""
        self.actions: list[Action] = []
        self.touched: set[RunKey] = set()
        self.touched_world = 0
        """Counts what people do: each of it wakes the operator."""
        self.engaged = 0
        """When the kill began, by the world's own clock."""
        self.paused_by_us: set[str] = set()
        self.stops: dict[int, str] = {}
        """Before which action (1 is the first), or in it, the operator is stopped."""
        self.passes = 0
        self.acted = 0
        self.last: Decision | None = None
        self.asides: Asides = {}
        """Steps of the operator whose action failed: in the memory of its process."""
        self.failing_since: int | None = None
        """Since when an action fails that everything else waits for."""

    # -- names that tests use ----------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return moment(self.clock.now)

    @now.setter
    def now(self, when: datetime) -> None:
        self.clock.now = int((when - START).total_seconds())

    @property
    def seen_now(self) -> datetime:
        """The time by the operator's clock."""
        return moment(self.clock.now + self.weather.skew)

    @property
    def settings(self) -> BackendSettings:
        return self.helm.newest.settings

    @property
    def revision(self) -> int:
        return self.helm.newest.number

    @property
    def status(self) -> str:
        return self.helm.newest.status

    @status.setter
    def status(self, word: str) -> None:
        """Let somebody's operation stand so."""
        self.helm.revisions[-1] = replace(self.helm.newest, status=word, maker=Maker.OTHER)

    @property
    def fleet(self) -> list[SimPod]:
        return self.cluster.fleet

    @property
    def tasks(self) -> list[SimPod]:
        return self.cluster.tasks

    @property
    def jobs(self) -> list[SimJob]:
        return self.job_list.jobs

    @property
    def broken(self) -> set[JobKind]:
        return self.job_list.broken

    @broken.setter
    def broken(self, kinds: set[JobKind]) -> None:
        self.job_list.broken = kinds

    @property
    def runs(self) -> dict[RunKey, SimRun]:
        return self.airflow.runs

    @runs.setter
    def runs(self, runs: dict[RunKey, SimRun]) -> None:
        self.airflow.runs = runs

    @property
    def paused(self) -> set[str]:
        return self.airflow.paused

    @paused.setter
    def paused(self, dags: set[str]) -> None:
        self.airflow.paused = dags

    @property
    def api_error(self) -> str:
        return self.api.error

    @api_error.setter
    def api_error(self, error: str) -> None:
        self.api.away = error

    @property
    def job_seconds(self) -> int:
        return self.job_list.seconds[0]

    @job_seconds.setter
    def job_seconds(self, seconds: int) -> None:
        self.job_list.seconds = (seconds, seconds)

    @property
    def roll_seconds(self) -> int:
        return self.cluster.roll_seconds

    @roll_seconds.setter
    def roll_seconds(self, seconds: int) -> None:
        self.cluster.roll_seconds = seconds

    @property
    def path_reads(self) -> list[str]:
        return self.hazards.path_reads

    @property
    def spoilt_rows(self) -> list[str]:
        return self.hazards.spoilt_rows

    @property
    def blind_offloads(self) -> list[str]:
        return self.hazards.blind_offloads

    @property
    def unaudited(self) -> list[str]:
        return self.hazards.unaudited

    @property
    def unconfirmed(self) -> list[str]:
        return self.hazards.unconfirmed

    def _pod(self, component: str) -> SimPod:
        return self.cluster.pod(component)

    def _clear(self, run: SimRun) -> None:
        """A person clears the run."""
        self.airflow.clear(run, by_person=True)

    def _set_values(self, settings: BackendSettings) -> None:
        """A person delivers; all of it has happened at once."""
        self.helm.set_at_once(settings)

    def interrupt_delivery(self, settings: BackendSettings, maker: Maker) -> None:
        """Leave the release as a Helm process does that is killed half-way."""
        self.helm.interrupt(settings, maker)

    # -- the world goes on -------------------------------------------------------------------

    def tick(self) -> None:
        """Let one second pass."""
        self.clock.advance(self.clock.now + 1)

    def collect(self) -> None:
        """Kubernetes removes a resource that is deleted and has no finalizer."""
        if self.deleting and not self.finalized:
            self.present = False

    def _answer(self, request: RunJob) -> ProbeResult | None:
        if request.kind in self.audits:
            return self.audits[request.kind]
        if request.kind is JobKind.CALIBRATION:
            return self.calibration
        if request.kind is JobKind.PROOF:
            if request.component is Component.WORKER:
                return replace(self.proof, executor=self.worker_executor)
            return self.proof
        return None

    # -- what the operator sees --------------------------------------------------------------

    def observe(self) -> Observed:
        newest, cluster = self.helm.newest, self.cluster
        kill = self.ledger.kill
        config = cluster.config
        look = self._look_into_workers()
        return Observed(
            rollout=Rollout(
                namespace="airflow",
                name="demo",
                uid=f"uid-{self.generation}",
                generation=1,
                created_at=START,
                spec=self.spec,
                annotations=dict(self.annotations),
                deleting=self.deleting,
                finalized=self.finalized,
            ),
            rivals=(),
            release=Release(
                revision=newest.number,
                status=newest.status,
                chart_name="airflow",
                chart_version=self.helm.chart_version,
                settings=newest.settings,
                updated_at=moment(newest.updated),
                maker=newest.maker,
                layout_problem=self.unclear if newest.maker is Maker.OTHER else "",
            ),
            digest=f"digest-{self.spec.threshold.bytes}-{self.content}",
            config_changed_at=moment(max(cluster.changed, cluster.copy_changed)),
            backend_hash="|".join(map(str, (config, cluster.copied))),
            copies_changed_at=moment(cluster.copy_changed) if self.weather.copied_after else None,
            stale_copies=(StaleCopy("tasks", "airflow-config"),)
            if cluster.copied != config
            else (),
            workloads=(*map(self._workload, self._components()), *self._own()),
            pods=tuple(self._seen(pod) for pod in self._visible()),
            jobs=tuple(entry.job for entry in self.jobs),
            ledger=self.ledger,
            airflow=self.api.view(kill),
            executor=self.executor,
            loose_pods=self.loose,
            problems=self.problems,
            unseen_tasks=f"{self.weather.tasks_in!r} is shut" if self.shut else look.unseen,
            unseen_since=(
                None if self.shut or look.unseen_since is None else self._seen_at(look.unseen_since)
            ),
            attempts=look.attempts,
        )

    def _seen_at(self, second: int) -> datetime:
        """Return a second by the operator's clock."""
        return moment(second + self.weather.skew)

    def _look_into_workers(self) -> Look:
        """Nobody looks into workers but a kill that has stopped runs, or has to."""
        kill = self.open_kill()
        runs = kill.runs if kill is not None else ()
        stopped = frozenset(run.key for run in runs if run.stage is RunStage.STOPPED)
        asked = kill is not None and limit_is_over(self.spec, kill, self.seen_now)
        return self.workers.look(stopped) if stopped or asked else Look(self.clock.now, (), "")

    def _components(self) -> tuple[str, ...]:
        return (*COMPONENTS, "worker") if self.weather.workers else COMPONENTS

    def _visible(self) -> list[SimPod]:
        if self.weather.unseen or self.shut:
            return self.cluster.long_lived
        return [*self.cluster.long_lived, *self.cluster.tasks]

    def _workload(self, component: str) -> Workload:
        cluster = self.cluster
        rolled = all(
            pod.template == cluster.template for pod in cluster.fleet if pod.component == component
        ) and not any(pod.component == component for pod in cluster.leaving)
        if component == "webserver":
            rolled = rolled and cluster.web_answers
        if component == "worker":
            rolled = rolled and self.workers.have_started
        names = ", ".join(pod.name for pod in cluster.leaving if pod.component == component)
        progress = f"{names} is terminating" if names else "0 of 1 pods replaced"
        wont_roll = self.wont_roll if component == "triggerer" else ""
        staying = [pod for pod in cluster.fleet if pod.component == component]
        only_ends = (
            bool(names)
            and all(pod.template == cluster.template for pod in staying)
            and (component != "worker" or (bool(staying) and self.workers.have_started))
        )
        return Workload(
            "Deployment",
            component,
            component,
            1,
            rolled,
            progress,
            wont_roll=wont_roll,
            only_ends=only_ends,
        )

    def _own(self) -> list[Workload]:
        if self.own_since is None:
            return []
        name, since = "my-api", self.own_since
        return [Workload("Deployment", name, name, 1, True, "1 of 1", oldest_pod=since)]

    def _seen(self, pod: SimPod) -> Pod:
        state = (pod.started, pod.gone_by, pod.lost)
        if pod.shown is None or pod.shown_in != state:
            pod.shown, pod.shown_in = self._show(pod), state
        return pod.shown

    def _show(self, pod: SimPod) -> Pod:
        return Pod(
            name=pod.name,
            uid=pod.name,
            component=pod.component,
            created_at=moment(pod.created),
            started_at=None if pod.started is None else moment(pod.started),
            ready=pod.started is not None and not pod.lost,
            terminating=pod.gone_by is not None,
            run=pod.run.key if pod.run else None,
            namespace=self.weather.tasks_in if pod.run else "",
            node=pod.node,
            gone_by=None if pod.gone_by is None else moment(pod.gone_by),
        )

    # -- what the operator does --------------------------------------------------------------

    def step(self, *, stop_before: bool = False, most_of_batch: int | None = None) -> Decision:
        """Make one pass. `stop_before`: stopped before the action; `most_of_batch`: in it."""
        decision = decide(self.observe(), self.seen_now)
        if decision.action is not None and not stop_before:
            self.perform(decision.action, most_of_batch)
        return decision

    def peek(self) -> Decision:
        """Return what would be decided now, and do nothing."""
        return decide(self.observe(), self.seen_now)

    def perform(self, action: Action, most: int | None = None, *, recorded: bool = True) -> None:
        """Do it. `most`: stopped within the batch; not `recorded`: before its errors are.

        Raises:
            ApiDownError, HelmFailedError: the whole of it failed.
        """
        self.actions.append(action)
        match action:
            case WriteLedger(ledger=ledger):
                self._write(ledger)
            case RunJob():
                if action.kind is JobKind.EMPTY:
                    for key in action.runs:
                        self._look_at_deed(key, "emptied")
                self.job_list.run(action)
            case EndStandby(jobs=names):
                self.job_list.end_standby(names)
            case SetValues(settings=settings):
                if action.beside is not None and self.weather.standby:
                    self.job_list.run(action.beside)
                self.helm.author = "immediate" if self.airflow.immediate else "operator"
                self.helm.operator_delivers(settings, action.from_revision)
            case ForgetDelivery(revision=revision):
                self.helm.forget(revision)
            case ConfirmReaders(pods=pods):
                self._confirm(pods)
            case InspectBuilds():
                self._look(action)
            case PauseDags(dag_ids=dag_ids):
                for dag in dag_ids[:most]:
                    self.api.set_paused(dag, paused=True)
                    self.paused_by_us.add(dag)
                    # A person who paused it in the second before leaves no trace.
                    self.people.paused.discard(dag)
            case UnpauseDags(dag_ids=dag_ids):
                for dag in dag_ids[:most]:
                    self._unpause(dag)
            case StopRuns(runs=runs):
                asked, errors = self._stop(runs[:most])
                self._note(errors, recorded, asked)
            case DeletePods(pods=doomed):
                there = self.weather.tasks_in or "airflow"
                self._delete_pods({pod.uid for pod in doomed[:most] if pod.namespace == there})
            case ReplacePods(pods=early):
                for pod in early[:most]:
                    self.workers.replace(pod.uid)
                    self.cluster.replace(pod.uid)
            case EndAttempts(attempts=attempts):
                self._note(self._end_attempts(attempts[:most]), recorded)
            case ClearRuns(runs=runs):
                self._note(self._clear_runs(runs[:most]), recorded)
            case ProveWayBack(digest=digest):
                self.ledger = replace(
                    self.ledger, way_back=WayBack(digest, self.seen_now, self.not_armed)
                )
            case SetFinalizer(present=present):
                self.finalized = present
                self.collect()
            case _:
                assert_never(action)
        if self.deleting:
            self.collect()

    def _write(self, ledger: Ledger) -> None:
        before, kill = self.ledger.kill, ledger.kill
        if kill is not None and (before is None or before.attempt != kill.attempt):
            self.engaged = self.clock.now
            self.airflow.excused_parents.clear()
        if kill is not None:
            self.cleared.round = (kill.attempt, kill.round)
        self.airflow.immediate = kill is not None and kill.strategy is Strategy.IMMEDIATE
        if self.airflow.immediate:
            ended = (run for run in self.runs.values() if not run.in_flight and run.holds())
            self.airflow.left_as_paths.update(run.key for run in ended)
        if before is not None and kill is not None:
            self._look_at_conclusions(before, kill)
        self.ledger = ledger

    def _look_at_conclusions(self, before: Kill, kill: Kill) -> None:
        known = {run.key: run.stage for run in before.runs}
        concluded = {RunStage.CLEARED, RunStage.RECOVERED}
        if kill.strategy is not Strategy.REHYDRATE:
            concluded.add(RunStage.HEALED)
        self.hazards.blind_deeds += [
            f"{run.key} is taken for {run.stage}"
            for run in kill.runs
            if run.key in self.api.blind and run.stage in concluded
            if known.get(run.key) is not run.stage
        ]

    def _look_at_deed(self, key: RunKey, deed: str) -> None:
        if key in self.api.blind:
            self.hazards.blind_deeds.append(f"{key} is {deed} at {self.clock.now}")

    def _note(
        self, errors: Mapping[RunKey, str], recorded: bool, asked: Collection[RunKey] = ()
    ) -> None:
        """Record what came of it for each run, as the layer `act` does."""
        if recorded and (errors or asked):
            ledger = with_errors(self.ledger, errors, self.seen_now)
            self._write(asked_to_stop(ledger, asked, self.seen_now) if asked else ledger)

    def _stop(self, keys: tuple[RunKey, ...]) -> tuple[set[RunKey], dict[RunKey, str]]:
        asked, errors = set(), {}
        for key in keys:
            run = self.runs.get(key)
            self._look_at_deed(key, "stopped")
            before = 0 if run is None else run.fails
            wrong = None if run is None else self.api.stop(run)
            if wrong is None:
                asked.add(key)
            else:
                errors[key] = wrong
            self.touched.add(key)
            if run is not None and run.fails > before:
                self._look_at_need(run)
        return asked, errors

    def _look_at_need(self, run: SimRun) -> None:
        if self.airflow.immediate:
            return
        limit = self.spec.stop_tasks_after()
        overdue = limit is not None and self._has_old_task(run, int(limit.total_seconds()))
        if run.run_type == "backfill" and self.airflow.major == 2:
            self.hazards.stopped_without_need.append(f"{run.key} is a backfill")
        elif run.key in self.api.refused or run.key.dag_id in self.airflow.missing:
            self.hazards.stopped_without_need.append(f"{run.key} cannot be cleared")
        elif not run.holds() and run.held_until < self.engaged and not overdue:
            self.hazards.stopped_without_need.append(f"{run.key} holds no path")

    def _has_old_task(self, run: SimRun, limit: int) -> bool:
        """Whether a task of it outlasted the limit with what was there before -1."""
        over = self.engaged + limit
        changed = max(self.cluster.changed, self.cluster.copy_changed)
        return self.clock.now >= over and any(
            pod.settings != self.cluster.config or pod.created < changed
            for pod in run.attempts
            if pod.ended is None or pod.ended >= over
        )

    def _clear_runs(self, keys: tuple[RunKey, ...]) -> dict[RunKey, str]:
        errors = {}
        for key in keys:
            run = self.runs.get(key)
            self._look_at_deed(key, "cleared")
            wrong = None if run is None else self.api.clear(run, self.cleared)
            if wrong is not None:
                errors[key] = wrong
            self.touched.add(key)
        return errors

    def _delete_pods(self, uids: set[str]) -> None:
        for pod in list(self.cluster.tasks):
            if pod.name in uids:
                run = pod.run
                if run is not None:
                    self._look_at_deed(run.key, f"deprived of {pod.name}")
                again = run is not None and run.in_flight and pod.attempt == run.attempt
                if run is not None and again and not run.stopped_by_us:
                    self.hazards.stopped_without_need.append(
                        f"{pod.name} of {run.key}, which goes on, at {self.clock.now}"
                    )
                self.cluster.delete(pod)

    def _end_attempts(self, attempts: tuple[Attempt, ...]) -> dict[RunKey, str]:
        errors = {}
        for attempt in attempts:
            if attempt.run is None:
                self.hazards.blind_deeds.append(f"{attempt.title} is ended, of an unknown run")
                continue
            self._look_at_deed(attempt.run, f"deprived of {attempt.title}")
            error = self.workers.end(attempt)
            if error:
                errors[attempt.run] = error
        self.hazards.stopped_without_need += [
            f"{process.name} of {process.run.key}, which goes on, at {self.clock.now}"
            for process in self.workers.ended_by_operator
            if process.run is not None
            and process.run.in_flight
            and process.attempt == process.run.attempt
            and not process.run.stopped_by_us
        ]
        self.workers.ended_by_operator.clear()
        return errors

    def _unpause(self, dag: str) -> None:
        if dag in self.people.paused and dag in self.paused:
            self.hazards.unpaused_of_person.append(dag)
        self.api.set_paused(dag, paused=False)
        self.paused_by_us.discard(dag)

    def _look_at_delivery(self, settings: BackendSettings) -> None:
        if settings.reads_offloaded and self.ledger.kill is None:
            self.hazards.unaudited += self._not_audited()
            self.hazards.unconfirmed += self._not_confirmed()
        if settings.offloads:
            self.hazards.blind_offloads += [
                pod.name
                for pod in (*self.cluster.long_lived, *self.tasks)
                if not pod.settings.reads_offloaded and pod.started is not None
            ]

    def _not_audited(self) -> list[str]:
        """Return the audits that a delivery lacks; judged without the operator's own code."""
        gate = self.spec.gates.audit
        wanted = [("static", gate.static), ("dynamic", gate.dynamic)] if gate is not None else []
        taken = {str(audit.kind): audit for audit in self.ledger.audits}
        dags = {entry.dag_id for entry in gate.accepted} if gate else set()
        return [
            name
            for name, asked in wanted
            if asked is not None
            and (name not in taken or any(f.dag_id not in dags for f in taken[name].findings))
        ]

    def _not_confirmed(self) -> list[str]:
        """Return what a delivery lacks now; judged without the operator's own code."""
        gate = self.spec.gates.provenance
        if gate is None:
            return []
        if not self.looks:
            return ["nobody looked"]
        at, build, pods = self.looks[-1]
        if build != gate.expected_build:
            return [f"the pods showed {build}"]
        if pods != {pod.name for pod in self.fleet}:
            return ["other pods were looked into"]
        return ["too long ago"] if self.now - at >= timedelta(minutes=5) else []

    def _confirm(self, pods: tuple[Pod, ...]) -> None:
        running = [*self.cluster.long_lived, *self.tasks]
        asked = {pod.uid for pod in pods}
        seen = tuple(
            self._look_into(pod)
            for pod in running
            if pod.name in asked and pod.started is not None and not pod.gone
        )
        names = {reader.uid for reader in seen}
        others = tuple(reader for reader in self.ledger.readers if reader.uid not in names)
        self.ledger = replace(self.ledger, readers=(*others, *seen))

    def _look_into(self, pod: SimPod) -> Reader:
        swapped = self.weather.in_place and pod.settings != self.cluster.config
        error = "its configuration was changed after it began" if swapped else ""
        if pod.lost:
            error = f"no answer from the node {pod.node}"
        if self.workers.exec_refused:
            error = "pods/exec is forbidden"
        return Reader(
            pod=pod.name,
            uid=pod.name,
            started_at=moment(pod.created if pod.started is None else pod.started),
            settings=BackendSettings() if error else pod.settings,
            seen_at=self.seen_now,
            error=error,
            outdated=swapped and error.startswith("its configuration"),
        )

    def _look(self, action: InspectBuilds) -> None:
        asked = action.question
        verdict = Freshness.FRESH if self.build == asked.expected else Freshness.STALE
        if self.build is None:
            verdict = Freshness.UNKNOWN
        seen = BuildSeen(
            asked,
            verdict,
            f"the pods are {self.build}",
            self.now,
            differing=(BuildSource.STAMP,) if verdict is Freshness.STALE else (),
            unseen=(BuildSource.STAMP,) if verdict is Freshness.UNKNOWN else (),
            readings=(f"stamp of the pod scheduler is {self.build}",),
        )
        self.looks.append((self.now, self.build, {pod.name for pod in self.fleet}))
        self.ledger = replace(self.ledger, build=seen)

    def kill(self) -> None:
        """A person engages the kill-switch."""
        self.annotations[KILL] = '{"by": "ana", "reason": "test"}'
        self.touched_world += 1

    # -- ways to go on -----------------------------------------------------------------------

    def go(self, seconds: int) -> Decision:
        """Make one pass a second, and return the last decision."""
        decision = self.step()
        for _ in range(seconds):
            self.tick()
            decision = self.step()
        return decision

    def summarized(self, passes: int, status: Status | None = None) -> Status:
        """Go on for so many passes; return the last status. Each one is of its schema.

        Args:
            status: as it was before.
        """
        status = status or {}
        for _ in range(passes):
            observed = self.observe()
            decision = decide(observed, self.seen_now)
            status = summarize(observed, decision, self.seen_now, status)
            RolloutStatus.model_validate(status)
            if decision.action is not None:
                self.perform(decision.action)
            else:
                self.tick()
        return status

    def run_until(self, phase: str, seconds: int = 600) -> Decision:
        """Go on until the phase is reached and nothing is left to do."""
        decision = self.step()
        for _ in range(seconds):
            for _ in range(60):
                decision = self.step()
                if decision.action is None:
                    break
            if decision.phase == phase and decision.action is None:
                return decision
            self.tick()
        raise AssertionError(
            f"{phase} was not reached in {seconds} s; last: {decision.phase}, {decision.current}"
        )

    def serve(self, until: int) -> None:
        """Run the operator until a second of the simulation, as it asks to be woken.

        Time jumps: where nothing happens, nobody looks. The operator is slow, and stopped, as the
        weather and `stops` say.
        """
        calm = 0
        before: tuple[object, ...] = ()
        at_once, second = 0, -1
        while self.clock.now < until:
            if not self.present:
                self._sleep(until)
                continue
            self.passes += 1
            at_once = at_once + 1 if second == self.clock.now else 0
            second = self.clock.now
            if self.passes > MOST_PASSES:
                return
            if at_once > MOST_AT_ONCE:
                reason = self.last.current.finding.reason if self.last else ""
                self.hazards.endless.append(f"acts for ever: {reason}")
                return
            observed = self.observe()
            decision = self.last = decide(observed, self.seen_now, self.asides)
            for _ in range(MOST_ON_ONE_LOOK - 1):
                if decision.action is None:
                    break
                before_it = self.ledger
                self._act(decision)
                recorded = isinstance(decision.action, WriteLedger)
                if self.acted in self.stops:
                    break  # another process has seen nothing yet
                if not (recorded and serves_on(before_it, self.ledger)):
                    break
                # The same look serves once more; the world has gone on.
                observed = replace(observed, ledger=self.ledger)
                decision = self.last = decide(observed, self.seen_now, self.asides)
            if decision.action is not None:
                calm = 0
                continue
            self.failing_since = None
            seen = self._signature()
            calm = calm + 1 if seen == before else 0
            before = seen
            asked = max(1, round(decision.requeue_after.total_seconds() * self.weather.slow))
            # Where nothing changes only time can matter: it is looked at less and less often.
            latest = self.clock.now + min(asked * 2 ** min(calm + 2, 9), max(asked, 600))
            self._wait(min(self.clock.now + asked, until), min(latest, until))

    def _signature(self) -> tuple[object, ...]:
        """Return what the operator could see changed, in short."""
        cluster, newest = self.cluster, self.helm.newest
        return (
            self.ledger,
            self.touched_world,
            cluster.serial,
            cluster.changed,
            len(cluster.tasks),
            len(cluster.leaving),
            self.workers.ended,
            newest.number,
            newest.status,
            tuple(entry.job.state for entry in self.jobs),
            tuple(run.state for run in self.runs.values()),
        )

    def _sleep(self, until: int) -> None:
        upcoming = self.clock.next()
        self.clock.advance(
            until if upcoming is None else max(self.clock.now + 1, min(upcoming, until))
        )

    def _wait(self, soonest: int, latest: int) -> None:
        """Let time pass until something has changed, or `latest`, and at least until `soonest`.

        A person's deed wakes the operator at once.
        """
        deeds, seen = self.touched_world, self._signature()
        while self.clock.now < latest and self.touched_world == deeds:
            if self.clock.now >= soonest and self._signature() != seen:
                return
            upcoming = self.clock.next()
            target = latest if upcoming is None else max(self.clock.now, min(upcoming, latest))
            if self.clock.now < soonest < target:
                target = soonest
            self.clock.advance(target)

    def _act(self, decision: Decision) -> None:
        current, action = decision.current, decision.action
        if action is None:
            return
        if self.weather.latency:
            self.clock.advance(self.clock.now + self.dice.between((0, self.weather.latency)))
        self.acted += 1
        stop = self.stops.get(self.acted, "")
        try:
            if stop == "before":
                pass
            elif stop == "within":
                self.perform(action, 1, recorded=False)
            else:
                self.perform(action, recorded=stop != "unrecorded")
        except (ApiDownError, HelmFailedError, RefusedError) as error:
            if current.blocking or isinstance(action, WriteLedger):
                if self.failing_since is None:
                    self.failing_since = self.clock.now
                self.clock.advance(self.clock.now + FAILED_PASS)
            else:
                self.asides = put_aside(self.asides, current.step, str(error), self.seen_now)
        else:
            self.asides = taken_up(self.asides, current.step)
            self.failing_since = None
        if stop:
            self.asides = {}
            self.helm.another_pod()
            self.job_list.forget_answers()
            self.clock.advance(self.clock.now + AWAY)

    def open_kill(self) -> Kill | None:
        """Return the kill that goes on, None where none does."""
        kill = self.ledger.kill
        return kill if kill is not None and kill.finished_at is None else None

    def held(self) -> bool:
        """Whether a person is needed: by what was found, or because all passes fail."""
        found = self.last is not None and self.last.current.finding.progress is Progress.HELD
        return found or self.fails_for_long()

    def fails_for_long(self) -> bool:
        since = self.failing_since
        return since is not None and self.clock.now - since >= PATIENCE_IN_KILL.total_seconds()

    def at_rest(self) -> bool:
        """Whether the last pass found all done."""
        return (
            self.last is not None
            and self.last.action is None
            and self.last.current.finding.progress is Progress.DONE
        )
