"""A model of Airflow, Helm and Kubernetes with the hazards that were measured, for pure tests.

Time goes in whole seconds. A task pod keeps the settings of its creation, writes what they say
when it ends, and does so even if its run was failed or cleared meanwhile; a clear counts up the
attempt; a scheduler starts the next task of every run whose DAG is not paused. What must never
take place is counted: `path_reads` (a task of the database environment read an offloaded value),
`spoilt_rows` (an attempt wrote over a later one's value), `blind_offloads` (offloading began
while some pod could not read offloaded values), `unaudited` (something was delivered on the way
there without the audits that the spec asks for), `unconfirmed` (the same without a fresh look at
the build of the pods).
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from xcom_rollout.api.status import RolloutStatus
from xcom_rollout.api.v1alpha1 import RolloutSpec
from xcom_rollout.decide import decide
from xcom_rollout.decide.actions import (
    Action,
    ClearRuns,
    ConfirmReaders,
    DeletePods,
    FailRuns,
    ForgetDelivery,
    LookForBuild,
    PauseDags,
    RunJob,
    SetValues,
    UnpauseDags,
    WriteLedger,
)
from xcom_rollout.decide.decision import Decision
from xcom_rollout.decide.ledger import (
    BuildSeen,
    Component,
    Freshness,
    Ledger,
    Leg,
    OffloadedRun,
    Reader,
    RunKey,
    Verdict,
)
from xcom_rollout.decide.observed import (
    AirflowView,
    AuditResult,
    CalibrationResult,
    CensusResult,
    DagRun,
    JobKind,
    JobState,
    Maker,
    Observed,
    Pod,
    ProbeJob,
    ProbeResult,
    ProofResult,
    Release,
    Rollout,
    Workload,
)
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.decide.summarize import Status, summarize

START = datetime(2026, 1, 1, tzinfo=UTC)
COMPONENTS = ("scheduler", "triggerer", "webserver")
BUILD = "0123456789abcdef0123456789abcdef01234567"
ATTESTATION = (
    '{"by": "ana", "at": "2025-12-31T00:00:00Z", "evidence": "https://example.org/1", '
    '"expiresAt": "2026-01-20T00:00:00Z"}'
)


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


@dataclass
class SimPod:
    name: str
    component: str
    created: datetime
    settings: BackendSettings
    run: "SimRun | None" = None
    attempt: int = 0
    task: int = 0
    ends: datetime | None = None
    gone_at: datetime | None = None


@dataclass
class SimRun:
    key: RunKey
    tasks: list[tuple[int, int]]
    """For each task: seconds it takes, bytes it returns."""
    state: str = "queued"
    start_date: str | None = None
    attempt: int = 1
    done: int = 0
    rows: dict[int, bool] = field(default_factory=dict)
    """Task number -> whether its value is offloaded."""
    clears: int = 0
    fails: int = 0


@dataclass
class SimJob:
    job: ProbeJob
    request: RunJob
    ready_at: datetime


class Simulation:
    """The world, and the operator's loop around it."""

    def __init__(self, runs: list[SimRun], *, the_spec: RolloutSpec | None = None) -> None:
        self.spec = the_spec or spec()
        self.now = START
        self.annotations = {"xcomrollout.dev/rehearsal-attestation": ATTESTATION}
        self.settings = BackendSettings()
        self.revision = 1
        self.status = "deployed"
        self.maker = Maker.OTHER
        self.interrupted_from: BackendSettings | None = None
        self.changed = START - timedelta(hours=1)
        self.ledger = Ledger()
        self.serial = 0
        self.runs = {run.key: run for run in runs}
        self.paused: set[str] = set()
        self.fleet = [self._pod(c, created=START - timedelta(hours=1)) for c in COMPONENTS]
        self.tasks: list[SimPod] = []
        self.jobs: list[SimJob] = []
        self.proof = ProofResult(Verdict.PASS, (), (), (), "KubernetesExecutor")
        self.audits = dict.fromkeys(
            (JobKind.AUDIT_STATIC, JobKind.AUDIT_DYNAMIC), AuditResult(Verdict.PASS, (), 0, (), ())
        )
        self.calibration = CalibrationResult(1000, ())
        self.broken: set[JobKind] = set()
        """Kinds of Jobs that end without a result."""
        self.content = "content"
        """What the pods are made of and configured with, as far as the digest tells."""
        self.build: str | None = BUILD
        """The commit that all of the release is of; None where it does not tell."""
        self.looks: list[tuple[datetime, str | None, set[str]]] = []
        """When the pods were looked into, what they showed, and which pods they were."""
        self.worker_executor = "LocalExecutor"
        self.api_error = ""
        self.job_seconds = 3
        self.roll_seconds = 4
        self.actions: list[Action] = []
        self.path_reads: list[str] = []
        self.spoilt_rows: list[str] = []
        self.blind_offloads: list[str] = []
        self.unaudited: list[str] = []
        self.unconfirmed: list[str] = []
        self.touched: set[RunKey] = set()

    # -- the world goes on -------------------------------------------------------------------

    def tick(self) -> None:
        """Let one second pass."""
        self.now += timedelta(seconds=1)
        self._end_tasks()
        self._schedule()
        self._roll()

    def _pod(self, component: str, created: datetime | None = None) -> SimPod:
        self.serial += 1
        return SimPod(f"{component}-{self.serial}", component, created or self.now, self.settings)

    def _end_tasks(self) -> None:
        for pod in list(self.tasks):
            run = pod.run
            assert run is not None
            if pod.gone_at is not None and self.now >= pod.gone_at:
                self.tasks.remove(pod)
            elif pod.ends is not None and self.now >= pod.ends:
                self.tasks.remove(pod)
                size = run.tasks[pod.task][1]
                limit = int(pod.settings.threshold or -1)
                offloaded = pod.settings.reads_offloaded and 0 <= limit <= size
                if pod.attempt != run.attempt and offloaded:
                    self.spoilt_rows.append(f"{run.key} task {pod.task}")
                run.rows[pod.task] = offloaded
                if pod.attempt == run.attempt and run.state == "running":
                    run.done = pod.task + 1
                    if run.done == len(run.tasks):
                        run.state = "success"

    def _schedule(self) -> None:
        for run in self.runs.values():
            if run.key.dag_id in self.paused or run.state not in ("queued", "running"):
                continue
            if run.state == "queued":
                run.state = "running"
                run.start_date = self.now.isoformat()
            if any(p.run is run and p.attempt == run.attempt for p in self.tasks):
                continue
            pod = self._pod("worker")
            pod.run, pod.attempt, pod.task = run, run.attempt, run.done
            pod.ends = self.now + timedelta(seconds=run.tasks[run.done][0])
            self.tasks.append(pod)
            if pod.settings.is_database and any(run.rows.get(number) for number in range(run.done)):
                self.path_reads.append(f"{run.key} task {run.done}")

    def _roll(self) -> None:
        old = [pod for pod in self.fleet if pod.settings != self.settings]
        if old and self.now >= self.changed + timedelta(seconds=self.roll_seconds):
            self.fleet.remove(old[0])
            self.fleet.append(self._pod(old[0].component))

    # -- what the operator sees --------------------------------------------------------------

    def observe(self) -> Observed:
        return Observed(
            rollout=Rollout("airflow", "demo", "uid", 1, START, self.spec, dict(self.annotations)),
            rivals=(),
            release=Release(
                self.revision,
                self.status,
                "airflow",
                "1.0",
                self.settings,
                self.changed,
                self.maker,
            ),
            digest=f"digest-{self.spec.threshold.bytes}-{self.content}",
            config_changed_at=self.changed,
            workloads=tuple(self._workload(component) for component in COMPONENTS),
            pods=tuple(self._seen(pod) for pod in (*self.fleet, *self.tasks)),
            jobs=tuple(self._job(entry) for entry in self.jobs),
            ledger=self.ledger,
            airflow=self._view(),
        )

    def _workload(self, component: str) -> Workload:
        rolled = all(
            pod.settings == self.settings for pod in self.fleet if pod.component == component
        )
        return Workload("Deployment", component, component, 1, rolled, "0 of 1 pods replaced")

    def _seen(self, pod: SimPod) -> Pod:
        return Pod(
            pod.name,
            pod.name,
            pod.component,
            pod.created,
            pod.created,
            ready=True,
            terminating=pod.gone_at is not None,
            run=pod.run.key if pod.run else None,
        )

    def _job(self, entry: SimJob) -> ProbeJob:
        if self.now < entry.ready_at:
            return entry.job
        if entry.job.state is JobState.RUNNING:
            broken = entry.job.kind in self.broken
            entry.job = replace(
                entry.job,
                state=JobState.BROKEN if broken else JobState.FINISHED,
                finished_at=self.now,
                result=None if broken else self._result(entry.request),
                message="OOMKilled" if broken else "",
            )
        return entry.job

    def _result(self, request: RunJob) -> ProbeResult:
        if request.kind in self.audits:
            return self.audits[request.kind]
        if request.kind is JobKind.CALIBRATION:
            return self.calibration
        if request.kind is JobKind.PROOF:
            if request.component is Component.WORKER:
                return replace(self.proof, executor=self.worker_executor)
            return self.proof
        wanted = set(request.runs)
        runs = [
            OffloadedRun(run.key, sum(run.rows.values()), run.state)
            for run in self.runs.values()
            if (run.key in wanted if wanted else run.state in ("queued", "running"))
            and (any(run.rows.values()) or run.key in wanted)
        ]
        return CensusResult(Verdict.PASS, tuple(runs))

    def _view(self) -> AirflowView:
        if self.api_error:
            return AirflowView(error=self.api_error)
        kill = self.ledger.kill
        recorded = {run.key for run in kill.runs} if kill else set()
        held = set(kill.held_dags) if kill else set()
        runs = tuple(
            DagRun(run.key, run.state, run.start_date)
            for run in self.runs.values()
            if run.state in ("queued", "running") or run.key in recorded
        )
        dags = {run.key.dag_id for run in runs if run.state in ("queued", "running")} | held
        return AirflowView(runs, frozenset(dags - self.paused))

    # -- what the operator does --------------------------------------------------------------

    def step(self, *, stop_before: bool = False, most_of_batch: int | None = None) -> Decision:
        """Make one pass. `stop_before`: stopped before the action; `most_of_batch`: in it."""
        decision = decide(self.observe(), self.now)
        if decision.action is not None and not stop_before:
            self.perform(decision.action, most_of_batch)
        return decision

    def peek(self) -> Decision:
        """Return what would be decided now, and do nothing."""
        return decide(self.observe(), self.now)

    def perform(self, action: Action, most: int | None = None) -> None:
        self.actions.append(action)
        match action:
            case WriteLedger(ledger=ledger):
                self.ledger = ledger
            case RunJob():
                self._run_job(action)
            case SetValues(settings=settings):
                self._set_values(settings)
            case ForgetDelivery(revision=revision):
                assert revision == self.revision
                assert self.interrupted_from is not None
                self.settings, self.interrupted_from = self.interrupted_from, None
                self.revision -= 1
                self.status, self.maker = "deployed", Maker.OTHER
            case ConfirmReaders(pods=pods):
                self._confirm(pods)
            case LookForBuild():
                self._look(action)
            case PauseDags(dag_ids=dag_ids):
                self.paused |= set(dag_ids[:most])
            case UnpauseDags(dag_ids=dag_ids):
                self.paused -= set(dag_ids[:most])
            case FailRuns(runs=runs):
                for key in runs[:most]:
                    self.touched.add(key)
                    self.runs[key].state = "failed"
                    self.runs[key].fails += 1
            case DeletePods(pods=pods):
                for pod in self.tasks:
                    if (pod.name, pod.name) in pods[:most]:
                        pod.gone_at = self.now + timedelta(seconds=2)
            case ClearRuns(runs=runs):
                for key in runs[:most]:
                    self._clear(self.runs[key])

    def _clear(self, run: SimRun) -> None:
        self.touched.add(run.key)
        assert run.state not in ("queued", "running"), f"{run.key} was cleared while {run.state}"
        run.state, run.start_date = "queued", None
        run.attempt += 1
        run.done = 0
        run.clears += 1

    def _run_job(self, request: RunJob) -> None:
        job = ProbeJob(
            f"{request.kind}-{request.component}-{request.attempt}",
            request.kind,
            request.component,
            request.attempt,
            request.digest,
            self.now,
            JobState.RUNNING,
            old_runs=request.old_runs,
        )
        if all(entry.job.name != job.name for entry in self.jobs):
            ready = self.now + timedelta(seconds=self.job_seconds)
            self.jobs.append(SimJob(job, request, ready))

    def _set_values(self, settings: BackendSettings) -> None:
        if settings.reads_offloaded:
            self.unaudited += self._not_audited()
            self.unconfirmed += self._not_confirmed()
        if settings.offloads:
            self.blind_offloads += [
                pod.name for pod in (*self.fleet, *self.tasks) if not pod.settings.reads_offloaded
            ]
        self.settings = settings
        self.revision += 1
        self.changed = self.now

    def _not_audited(self) -> list[str]:
        """Name the audits that a delivery lacks now; judged without the operator's own code."""
        gate = self.spec.gates.audit
        wanted = [] if gate is None else [("static", gate.static), ("dynamic", gate.dynamic)]
        digest = self.observe().digest
        taken = {
            str(audit.kind): audit
            for audit in self.ledger.audits
            if audit.digest == digest
            and audit.verdict is not Verdict.ERROR
            and self.now - audit.observed_at < timedelta(hours=24)
        }
        dags = {entry.dag_id for entry in gate.accepted} if gate else set()
        return [
            name
            for name, asked in wanted
            if asked is not None
            and (name not in taken or any(f.dag_id not in dags for f in taken[name].findings))
        ]

    def _not_confirmed(self) -> list[str]:
        """Say what a delivery lacks now; judged without the operator's own code."""
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

    def interrupt_delivery(self, settings: BackendSettings, maker: Maker) -> None:
        """Leave the release as a Helm process does that is killed half-way."""
        self.interrupted_from = self.settings
        self._set_values(settings)
        self.status, self.maker = "pending-upgrade", maker

    def _confirm(self, pods: tuple[str, ...]) -> None:
        seen = tuple(
            Reader(pod.name, pod.name, pod.created, pod.settings, self.now)
            for pod in self.fleet
            if pod.name in pods
        )
        names = {reader.uid for reader in seen}
        others = tuple(reader for reader in self.ledger.readers if reader.uid not in names)
        self.ledger = replace(self.ledger, readers=(*others, *seen))

    def _look(self, action: LookForBuild) -> None:
        asked = action.question
        verdict = Freshness.FRESH if self.build == asked.expected else Freshness.STALE
        if self.build is None:
            verdict = Freshness.UNKNOWN
        seen = BuildSeen(
            asked,
            verdict,
            f"the pods are {self.build}",
            self.now,
            differing=(Leg.STAMP,) if verdict is Freshness.STALE else (),
            unseen=(Leg.STAMP,) if verdict is Freshness.UNKNOWN else (),
            readings=(f"stamp of the pod scheduler is {self.build}",),
        )
        self.looks.append((self.now, self.build, {pod.name for pod in self.fleet}))
        self.ledger = replace(self.ledger, build=seen)

    def kill(self) -> None:
        self.annotations["xcomrollout.dev/kill"] = '{"by": "ana", "reason": "test"}'

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
            decision = decide(observed, self.now)
            status = summarize(observed, decision, self.now, status)
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
