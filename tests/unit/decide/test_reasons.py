"""Every reason that a step gives to a hold, a wait or an action: one moment in, one finding out.

These words are what users see in conditions and Events. The last test reads the source of `decide`
and fails for a reason that no case here brings about.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

import xcom_rollout.decide
from simulation import START, Simulation, spec
from xcom_rollout.decide import confirming, core, rolling
from xcom_rollout.decide import release_steps as release
from xcom_rollout.decide import rollout_table as rollout
from xcom_rollout.decide.actions import InspectBuilds, RunJob
from xcom_rollout.decide.audits import audited
from xcom_rollout.decide.builds import build_confirmed
from xcom_rollout.decide.calibration import calibrated
from xcom_rollout.decide.decision import Finding, Progress
from xcom_rollout.decide.executors import written_executor
from xcom_rollout.decide.kill import counting, revert, rows, runs, standby, writers
from xcom_rollout.decide.ledger import (
    Audit,
    AuditFinding,
    AuditKind,
    BuildSeen,
    Component,
    Confidence,
    Drift,
    Effect,
    Freshness,
    Kill,
    Ledger,
    NamedCheck,
    OffloadedRun,
    Proof,
    Reader,
    RecoveringRun,
    RunKey,
    RunStage,
    Strategy,
    Verdict,
)
from xcom_rollout.decide.observed import (
    AirflowView,
    Attempt,
    AuditResult,
    CalibrationResult,
    CensusResult,
    DagRun,
    EmptyResult,
    FinishedValues,
    JobKind,
    JobState,
    LoosePod,
    Maker,
    Observed,
    Pod,
    ProbeJob,
    ProbeResult,
    ProofResult,
    RehydrateResult,
    Rival,
    StaleCopy,
)
from xcom_rollout.decide.proofs import proven
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.decide.situation import Situation
from xcom_rollout.decide.way_back import armed

Check = Callable[[Situation], Finding]

VERBS: Final = {"hold": Progress.HELD, "wait": Progress.WAITING, "act": Progress.ACTING}
PATH: Final = "s3://aws_default@bucket/xcom"
ALIEN: Final = BackendSettings(backend="my.Backend")
CHECK: Final = NamedCheck("bucket-exists", "404", "bucket 'x'", "Create the bucket.")
SECOND: Final = timedelta(seconds=1)


def _live() -> tuple[Observed, Any]:
    sim = Simulation([])
    sim.run_until("Live")
    return sim.observe(), sim.now


LIVE, NOW = _live()
BEFORE: Final = replace(Simulation([]).observe(), ledger=Ledger(baseline=BackendSettings()))
assert LIVE.release is not None
assert BEFORE.release is not None
TARGET: Final = LIVE.release.settings
READERS: Final = replace(TARGET, threshold="-1")
LONG_AGO: Final = NOW - timedelta(days=1)
LATER: Final = NOW + timedelta(minutes=1)

ETL: Final = RunKey("etl", "r1")
RUN: Final = RecoveringRun(ETL, 1)
KILL: Final = Kill(1, NOW, "ana", "test", writers_stopped_at=NOW)
REHYDRATE: Final = replace(KILL, strategy=Strategy.REHYDRATE)
IMMEDIATE: Final = replace(
    KILL, strategy=Strategy.IMMEDIATE, writers_stopped_at=None, engaged_at=NOW
)


# -- moments -----------------------------------------------------------------------------------


def before(settings: BackendSettings | None = None, **seen: Any) -> Situation:
    """Return a moment before the first delivery, with what is seen otherwise."""
    return _at(BEFORE, settings, seen)


def live(settings: BackendSettings | None = None, **seen: Any) -> Situation:
    """Return a moment in which values are offloaded."""
    return _at(LIVE, settings, seen)


def killed(
    kill: Kill = KILL,
    *stages: RunStage | RecoveringRun,
    state: str = "running",
    view: AirflowView | None = None,
    settings: BackendSettings = READERS,
    **seen: Any,
) -> Situation:
    """Return a moment of a kill with these runs, which Airflow shows in one state."""
    own = tuple(
        stage
        if isinstance(stage, RecoveringRun)
        else replace(RUN, key=RunKey("etl", f"r{number}"), stage=stage)
        for number, stage in enumerate(stages, 1)
    )
    listed = tuple(DagRun(run.key, state, run.start_date) for run in own)
    seen_view = replace(view or AirflowView(), runs=listed if state else ())
    annotations = {"xcomrollout.dev/kill": '{"by": "ana", "reason": "test"}'}
    observed = replace(
        LIVE,
        rollout=replace(LIVE.rollout, annotations=annotations, finalized=True),
        ledger=replace(LIVE.ledger, kill=kill.with_runs((*kill.runs, *own))),
        airflow=seen_view,
    )
    return _at(observed, settings, seen)


def _at(observed: Observed, settings: BackendSettings | None, seen: dict[str, Any]) -> Situation:
    words = dict(seen)
    now = words.pop("now", NOW)
    of_release = words.pop("helm", {})
    if "the_spec" in words:
        words["rollout"] = replace(observed.rollout, spec=words.pop("the_spec"))
    if "ledger_has" in words:
        words["ledger"] = replace(observed.ledger, **words.pop("ledger_has"))
    if observed.release is not None and (settings is not None or of_release):
        held = replace(observed.release, settings=settings or observed.release.settings)
        words["release"] = replace(held, **of_release)
    return Situation(replace(observed, **words), now)


def with_jobs(step: Check, s: Situation, state: JobState, **told: Any) -> Situation:
    """Return the moment in which the Jobs that `step` asks for one by one are all in a state."""
    for _ in range(4):
        action = step(s).action
        if not isinstance(action, RunJob):
            break
        entry = ProbeJob(
            f"job-{action.kind}",
            action.kind,
            action.component,
            action.attempt,
            action.digest,
            s.now,
            state,
            finished_at=None if state is JobState.RUNNING else s.now,
            **told,
        )
        s = Situation(replace(s.observed, jobs=(*s.observed.jobs, entry)), s.now)
    return s


def running(step: Check, s: Situation) -> Finding:
    return step(with_jobs(step, s, JobState.RUNNING))


def broken(step: Check, s: Situation) -> Finding:
    return step(with_jobs(step, s, JobState.BROKEN, message="OOMKilled"))


def answered(step: Check, s: Situation, result: ProbeResult) -> Finding:
    return step(with_jobs(step, s, JobState.FINISHED, result=result))


def task_pod(**changes: Any) -> Pod:
    pod = Pod("etl-pod", "uid", "worker", LONG_AGO, LONG_AGO, True, False, run=ETL, node="n1")
    return replace(pod, **changes)


def workloads(**changes: Any) -> Any:
    return tuple(replace(load, **changes) for load in LIVE.workloads)


LOST: Final = task_pod(terminating=True, gone_by=LONG_AGO)
ROLLING: Final = workloads(rolled=False, progress="0 of 1 pods replaced")
UNKNOWN_ATTEMPT: Final = Attempt("worker-0", "uid", 77, 1, "airflow task")
AWAY: Final = AirflowView(error="timed out")
PAUSED: Final = AirflowView(paused_dags=frozenset({"etl"}))
HOLDING: Final = (OffloadedRun(ETL, 2, "running"),)
NONE_HOLD: Final = CensusResult(Verdict.PASS, ())
SOME_HOLD: Final = CensusResult(Verdict.PASS, HOLDING)


def proof(verdict: Verdict, **changes: Any) -> dict[str, Any]:
    """Return proofs on record of both components."""
    each = Proof(Component.SCHEDULER, BEFORE.digest, 1, verdict, NOW, "job-proof", **changes)
    both = (each, replace(each, component=Component.WORKER))
    return {"ledger_has": {"proofs": both}}


def audit(verdict: Verdict, *findings: AuditFinding, message: str = "") -> dict[str, Any]:
    found = Audit(
        AuditKind.STATIC, BEFORE.digest, 1, verdict, NOW, "job-audit", findings, message=message
    )
    return {"ledger_has": {"audits": (found,)}}


AUDITING: Final = spec(gates={"audit": {"static": {}}})
CALIBRATING: Final = spec(threshold={"bytes": "1000", "calibrate": {}})
OF_BUILD: Final = spec(gates={"provenance": {"expectedBuild": "0123456"}})
COPY_BACK: Final = spec(killSwitch={"finishedRuns": "Rehydrate"})
KEEP_READERS: Final = spec(killSwitch={"finishedRuns": "Hold"})
IMPATIENT: Final = spec(killSwitch={"stopTasksAfter": "1m"})
BAD_TASK: Final = AuditFinding(Effect.FAILS, Confidence.HIGH, "set", dag_id="etl", task_id="load")


def build_seen(verdict: Freshness) -> Finding:
    s = before(the_spec=OF_BUILD)
    look = build_confirmed(s).action
    assert isinstance(look, InspectBuilds)
    seen = BuildSeen(look.question, verdict, "stamp says fedcba9", s.now)
    ledger = replace(s.ledger, build=seen)
    return build_confirmed(Situation(replace(s.observed, ledger=ledger), s.now))


def looked_into(error: str) -> Finding:
    seen = tuple(
        Reader(pod.name, pod.uid, pod.started_at or NOW, READERS, NOW, error=error)
        for pod in LIVE.pods
    )
    return confirming.fleet_confirmed(live(ledger_has={"readers": seen}), TARGET)


def began_early() -> Finding:
    """Say what is done with a worker that began right after the delivery, with what was before."""
    made = LIVE.config_changed_at
    assert made is not None
    pod = replace(
        LIVE.pods[0], name="w-0", uid="w-0", component="worker", created_at=made, started_at=made
    )
    seen = Reader(pod.name, pod.uid, made, READERS, made)
    s = live(pods=(*LIVE.pods, pod), ledger_has={"readers": (*LIVE.ledger.readers, seen)})
    return confirming.writers_confirmed(s)


# -- the table ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """What a step is to say of a moment."""

    verb: str
    reason: str
    words: tuple[str, ...]
    """What the message has to name."""
    find: Callable[[], Finding]


CASES: list[Case] = []


def case(verb: str, reason: str, words: str, step: Callable[..., Finding], *given: Any) -> None:
    """Add a case; `words` are separated by `|`."""
    CASES.append(Case(verb, reason, tuple(words.split("|")), partial(step, *given)))


# The release and who owns it.
RIVAL = (Rival("first", START - SECOND),)
case("hold", "ReleaseOwnedByAnother", "'first'|delete", release.sole_owner, before(rivals=RIVAL))
case("hold", "ReleaseNotFound", "'airflow'|helm list", release.release_exists, before(release=None))
case(
    "hold",
    "ChartMismatch",
    "spec.delivery.helm.chart|2.0",
    release.release_found,
    before(helm={"chart_version": "2.0"}),
)
case(
    "hold",
    "AirflowConfigNotFound",
    "no values of Airflow",
    release.release_found,
    before(helm={"layout_problem": "no values of Airflow"}),
)
PENDING: dict[str, Any] = {"status": "pending-upgrade", "maker": Maker.OPERATOR, "updated_at": NOW}
case(
    "wait",
    "DeliveryInterrupted",
    "earlier pod of the operator",
    release.no_helm_operation,
    before(helm=PENDING),
)
case(
    "act",
    "DeliveryInterrupted",
    "interrupted: recording that",
    release.no_helm_operation,
    before(helm=PENDING | {"updated_at": LONG_AGO}),
)
case(
    "act",
    "DeliveryInterrupted",
    "interrupted; retrying",
    release.no_helm_operation,
    before(helm=PENDING | {"updated_at": LONG_AGO}, ledger_has={"interrupted": 1}),
)
case(
    "hold",
    "ReleasePending",
    "pending-upgrade|helm rollback airflow",
    release.no_helm_operation,
    before(helm=PENDING | {"maker": Maker.OTHER}),
)
case(
    "hold",
    "ReleaseNotDeployed",
    "failed|helm rollback",
    release.release_deployed,
    before(helm={"status": "failed"}),
)
case(
    "hold",
    "PodsWouldNotRoll",
    "my-pod|tier=airflow",
    release.pods_would_roll,
    before(loose_pods=(LoosePod("my-pod"),)),
)
fleet = rolling.fleet_rolled
case("hold", "NoAirflowPods", "tier=airflow,release=airflow", fleet, live(workloads=()))
case("wait", "PodsBeingReplaced", "0 of 1 pods replaced", fleet, live(workloads=ROLLING))
STALE: Final = (StaleCopy("tasks", "airflow-config"),)
DELIVERED: Final = LIVE.release.updated_at
case(
    *("wait", "ConfigNotCopied", "tasks/airflow-config", fleet),
    live(stale_copies=STALE, now=DELIVERED),
)
case(
    *("hold", "ConfigNotCopied", "kubectl patch configmap airflow-config -n tasks", fleet),
    live(stale_copies=STALE, now=DELIVERED + timedelta(minutes=1)),
)
case(
    *("wait", "OldTasksRunning", "etl/r1", confirming.old_tasks_ended),
    *(live(pods=(*LIVE.pods, task_pod()), now=LATER), START),
)
case(
    "hold",
    "PodsNotReplaced",
    "0 of 1 pods replaced|kubectl describe pod",
    rollout.cut_over_rolled,
    live(workloads=ROLLING, now=NOW + timedelta(days=1)),
)
case(
    *("act", "LookingIntoPods", LIVE.pods[0].name),
    *(rollout.cut_over_confirmed, live(ledger_has={"readers": ()})),
)
case("hold", "PodNotConfirmed", "exec failed|threshold 1000", looked_into, "exec failed")

# The way there.
case(
    "hold", "Suspended", "spec.suspend", rollout.not_suspended, before(the_spec=spec(suspend=True))
)
case("act", "RecordingBaseline", "a kill restores", rollout.baseline_known, before(ledger=Ledger()))
case(
    "hold",
    "ForeignBackend",
    "config.core.xcom_backend|'my.Backend'",
    rollout.baseline_known,
    before(ALIEN, ledger=Ledger()),
)
NOTED = Ledger(bases=(PATH,), offloaded_by_others=True)
case(
    "hold",
    "AlreadyFlipped",
    "docs/runbooks/kill-switch.md",
    rollout.baseline_known,
    before(TARGET, ledger=NOTED),
)
case("act", "RecordingBase", PATH, rollout.readers_delivered, before())
ELSEWHERE = {"type": "ObjectStorage", "objectStorage": {"path": "s3://aws_default@other/xcom"}}
case(
    "hold",
    "PathChanged",
    f"spec.backend.objectStorage.path|s3://aws_default@other/xcom|{PATH}",
    rollout.path_kept,
    live(the_spec=spec(backend=ELSEWHERE)),
)
case("hold", "OffloadingStopped", "helm rollback|1000", rollout.no_drift, live(READERS))
for negative in ("-2", " -1 ", None):
    stopped = live(replace(TARGET, threshold=negative))
    case("hold", "OffloadingStopped", negative or "-1", rollout.no_drift, stopped)
case("hold", "Drifted", "kubectl xbr kill|bare revert", rollout.no_drift, live(BackendSettings()))
case(
    "hold",
    "Drifted",
    "(common.io.xcom_objectstorage_compression is zip, not ",
    rollout.no_drift,
    live(replace(TARGET, compression="zip")),
)
case("act", "RecordingDelivery", "threshold -1", rollout.no_drift, before(READERS))
case("hold", "ExecutorNotSupported", "'LocalExecutor'", written_executor, "LocalExecutor")
case("hold", "CannotObserve", "Secret x", proven, before(problems=("Secret x",)))
SAMPLES = spec(gates={"roundTrip": {"samplesRef": {"name": "mine"}}})
case(
    "hold",
    "SamplesNotFound",
    "spec.gates.roundTrip.samplesRef.name|'mine'",
    proven,
    before(the_spec=SAMPLES, samples_missing=True),
)
case("act", "StartingProof", "scheduler", proven, before())
case("wait", "ProofsRunning", "scheduler|worker", running, proven, before())
GREEN = ProofResult(Verdict.PASS, (), (), (), "KubernetesExecutor")
case("act", "RecordingProof", "scheduler", answered, proven, before(), GREEN)
case(
    "hold",
    "ProofError",
    "OOMKilled|kubectl describe job job-proof",
    proven,
    before(**proof(Verdict.ERROR, message="OOMKilled")),
)
case(
    "hold",
    "ProofFailed",
    "bucket-exists|404|Create the bucket.",
    proven,
    before(**proof(Verdict.FAIL, failed=(CHECK,))),
)
DRIFT = (Drift("json-strings", "a string comes back as the parsed value", ("digits",)),)
case(
    "hold",
    "DriftNotAccepted",
    "acceptedDrift: [json-strings]",
    proven,
    before(**proof(Verdict.PASS, drift=DRIFT, executor="KubernetesExecutor")),
)
case(
    *("wait", "ConfigurationSettling", "a kubelet may be 30 s late"),
    *(
        lambda s: confirming.configuration_settled(s, NOW),
        live(),
    ),
)
case("act", "ReplacingPods", "w-0 started with the configuration from before", began_early)
case(
    *("wait", "TasksNotVisible", "w-0 is asked again", writers.writers_gone),
    killed(unseen_tasks="w-0 is asked again", unseen_since=NOW),
)
case("hold", "TasksNotVisible", "is shut", rollout.tasks_visible, before(unseen_tasks="x is shut"))
case("act", "StartingCalibration", "sizes", calibrated, before(the_spec=CALIBRATING))
case("wait", "Calibrating", "measuring", running, calibrated, before(the_spec=CALIBRATING))
case(
    "act",
    "RecordingCalibration",
    "777",
    answered,
    calibrated,
    before(the_spec=CALIBRATING),
    CalibrationResult(777, ()),
)
case("act", "StartingAudit", "DAG code", audited, before(the_spec=AUDITING))
case("wait", "AuditsRunning", "static", running, audited, before(the_spec=AUDITING))
case(
    "act",
    "RecordingAudit",
    "static",
    answered,
    audited,
    before(the_spec=AUDITING),
    AuditResult(Verdict.PASS, (), 0, (), ()),
)
case(
    "hold",
    "AuditError",
    "OOMKilled|job-audit",
    audited,
    before(the_spec=AUDITING, **audit(Verdict.ERROR, message="OOMKilled")),
)
case(
    "hold",
    "AuditFailed",
    "etl/load|set",
    audited,
    before(the_spec=AUDITING, **audit(Verdict.FAIL, BAD_TASK)),
)
UNREHEARSED = replace(BEFORE.rollout, annotations={})
case(
    "hold",
    "RehearsalRequired",
    "kubectl xbr attest",
    rollout.rehearsed,
    before(rollout=UNREHEARSED),
)
case("act", "LookingForBuild", "0123456", build_confirmed, before(the_spec=OF_BUILD))
case("hold", "BuildUnknown", "stamp says", build_seen, Freshness.UNKNOWN)
case("hold", "BuildDiffers", "stamp says", build_seen, Freshness.STALE)
case("act", "ProvingWayBack", "census", armed, before())
case("wait", "ProvingWayBack", "census", running, armed, before())
case("hold", "NotArmed", "the census fails|OOMKilled", broken, armed, before())
case(
    "act",
    "DeliveringReaders",
    "threshold -1",
    rollout.readers_delivered,
    before(ledger_has={"bases": (PATH,)}),
)
case("act", "CuttingOver", "threshold 1000", rollout.cut_over, live(READERS))

# The kill: its beginning, and the writers.
case(
    "act",
    "KillSwitchEngaged",
    "ana|test|Retrigger",
    writers.begun,
    killed(ledger=replace(LIVE.ledger, kill=None)),
)
case("act", "StrategyChanged", "ana|from Rehydrate to Retrigger", writers.begun, killed(REHYDRATE))
STARTED = replace(KILL, writers_stopped_at=None)
case(
    "hold",
    "ForeignBackend",
    "'my.Backend'|helm upgrade",
    writers.writers_stopped,
    killed(STARTED, settings=ALIEN),
)
case(
    "act",
    "StoppingWriters",
    "threshold -1",
    writers.writers_stopped,
    killed(STARTED, settings=TARGET),
)
case("act", "WritersStopped", "threshold -1", writers.writers_stopped, killed(STARTED))
case("act", "NextRound", "offloads again", writers.writers_stopped, killed(KILL, settings=TARGET))
STUCK_POD: dict[str, Any] = {"pods": (*LIVE.pods, LOST)}
case("hold", "PodsNotEnding", "etl-pod|node n1|--force", writers.writers_gone, killed(**STUCK_POD))
OLD_POD: dict[str, Any] = {"pods": (*LIVE.pods, task_pod())}
case(
    "hold",
    "OldTasksRunning",
    "etl/r1|spec.killSwitch.stopTasksAfter",
    writers.writers_gone,
    killed(pods=(task_pod(),), now=NOW + timedelta(days=1)),
)
case("act", "WritersGone", "no process", writers.writers_gone, killed(now=LATER, pods=()))
BUSY = AirflowView(busy_dags=frozenset({"etl"}))
case(
    "act",
    "HoldingDags",
    "etl",
    writers.writers_stopped,
    killed(IMMEDIATE, view=BUSY, settings=TARGET),
)
case(
    "wait",
    "HoldingDags",
    "timed out",
    writers.writers_stopped,
    killed(IMMEDIATE, view=AWAY, settings=TARGET),
)

# Counting.
case("act", "TakingCensus", "counting", counting.found_counted, killed())
case("wait", "CensusRunning", "counting", running, counting.found_counted, killed())
case("hold", "CensusFailed", "OOMKilled", broken, counting.found_counted, killed())
case("act", "CensusTaken", "etl/r1", answered, counting.found_counted, killed(), SOME_HOLD)
case("wait", "WaitingForWriters", "no process", counting.frozen_counted, killed())
OVERDUE: dict[str, Any] = {"the_spec": IMPATIENT, "now": NOW + timedelta(minutes=2), **OLD_POD}
case(
    "act",
    "OldTasksOverdue",
    "etl/r1",
    answered,
    counting.overdue_counted,
    killed(**OVERDUE),
    SOME_HOLD,
)


def still_overdue() -> Finding:
    """Look again shortly after the runs were looked up, and none was in flight."""
    s = killed(**OVERDUE)
    looked = with_jobs(counting.overdue_counted, s, JobState.FINISHED, result=NONE_HOLD)
    action = counting.overdue_counted(looked).action
    ledger = getattr(action, "ledger")  # noqa: B009 - only a record has one
    return counting.overdue_counted(Situation(replace(s.observed, ledger=ledger), s.now))


case("wait", "OldTasksOverdue", "etl/r1|next check", still_overdue)
DATABASE: dict[str, Any] = {"settings": BackendSettings()}
REVERTED = replace(KILL, reverting=True, reverted_at=NOW)
case("act", "RunsMissed", "etl/r1", answered, counting.last_counted, killed(REVERTED), SOME_HOLD)
case(
    "act",
    "Verified",
    "0 in-flight runs",
    answered,
    counting.last_counted,
    killed(REVERTED),
    NONE_HOLD,
)
SPOILT = replace(RUN, stage=RunStage.RECOVERED, spoilt=True)
case(
    "act",
    "ValuesStillOffloaded",
    "1 in-flight runs",
    answered,
    counting.last_counted,
    killed(REVERTED, SPOILT),
    SOME_HOLD,
)

# The runs.
UNREAD = AirflowView(unread={ETL: "403"})
case("act", "RunsUnread", "etl/r1|403", runs.read, killed(KILL, RunStage.STOPPED, view=UNREAD))
TRIED = replace(RUN, stage=RunStage.STOPPED, error="403", unread=True, next_try=NOW + 9 * SECOND)
case("wait", "RunsUnread", "etl/r1 (403)", runs.read, killed(KILL, TRIED, view=UNREAD))
WORN = replace(RUN, stage=RunStage.STOPPING, error="500", tries=9, next_try=NOW + 9 * SECOND)
case("hold", "RunsStuck", "etl/r1|500|--strategy Rehydrate", runs.none_stuck, killed(KILL, WORN))
case("act", "RunsChosen", "etl/r1: Stopping", runs.chosen, killed(KILL, RunStage.FOUND))
case(
    "hold",
    "AirflowApiUnreachable",
    "etl/r1|timed out",
    runs.chosen,
    killed(KILL, RunStage.FOUND, view=AWAY),
)
WEB_ROLLS = tuple(
    replace(load, rolled=load.component != "webserver", progress="x") for load in LIVE.workloads
)
case(
    "wait",
    "AirflowApiUnreachable",
    "etl/r1|web server",
    runs.chosen,
    killed(KILL, RunStage.FOUND, view=AWAY, workloads=WEB_ROLLS),
)
case("act", "StoppingRuns", "etl/r1", runs.stopped, killed(KILL, RunStage.STOPPING))
case("wait", "StoppingRuns", "etl/r1 (500)", runs.stopped, killed(KILL, WORN))
case("act", "RunsStopped", "etl/r1", runs.stopped, killed(KILL, RunStage.STOPPING, state="failed"))
HALTED = partial(killed, KILL, RunStage.STOPPED, state="failed")
case("act", "EndingOldAttempts", "etl-pod", runs.attempts_ended, HALTED(**OLD_POD))
GOING: dict[str, Any] = {"pods": (task_pod(terminating=True, gone_by=NOW + SECOND),)}
case("wait", "OldAttemptsEnding", "etl-pod", runs.attempts_ended, HALTED(**GOING))
JUST = replace(RUN, stage=RunStage.STOPPED, stopped_at=NOW)
UNKNOWN = partial(killed, KILL, JUST, state="failed", attempts=(UNKNOWN_ATTEMPT,))
case(
    "hold",
    "AttemptsUnknown",
    "77 in worker-0|kill -9 77",
    runs.attempts_ended,
    UNKNOWN(now=NOW + timedelta(hours=1)),
)
case("act", "ClearingRuns", "etl/r1", runs.cleared, killed(KILL, RunStage.EMPTIED, state="failed"))
UNCLEARED = replace(RUN, stage=RunStage.EMPTIED, error="500", tries=1, next_try=NOW + 9 * SECOND)
case("wait", "ClearingRuns", "etl/r1 (500)", runs.cleared, killed(KILL, UNCLEARED, state="failed"))
case("act", "RunsCleared", "etl/r1", runs.cleared, killed(KILL, RunStage.EMPTIED))
case("wait", "RunsWaiting", "after the revert", runs.cleared, killed(IMMEDIATE, RunStage.EMPTIED))
DRAINING = partial(killed, KILL, RunStage.DRAINING)
case("wait", "Draining", "etl/r1", runs.drained, DRAINING())
case(
    "hold",
    "DrainingRunsPaused",
    "1 runs|airflow dags unpause etl|--strategy Rehydrate",
    runs.drained,
    DRAINING(view=PAUSED),
)
case(
    "hold",
    "DrainingLong",
    "etl/r1|--strategy Rehydrate",
    runs.drained,
    DRAINING(now=NOW + timedelta(days=2)),
)

# Their rows.
STOPPED = partial(killed, KILL, RunStage.STOPPED, state="failed")
case("act", "EmptyingRuns", "etl/r1", rows.emptied, STOPPED())
case("wait", "EmptyingRuns", "rows", running, rows.emptied, STOPPED())
case("hold", "EmptyingFailed", "1 stopped runs|OOMKilled", broken, rows.emptied, STOPPED())
GONE = EmptyResult(Verdict.PASS, emptied=(ETL,))
case("act", "RunsEmptied", "1 runs", answered, rows.emptied, STOPPED(), GONE)
COPYING = partial(killed, REHYDRATE, RunStage.FOUND)
case("act", "Rehydrating", "etl/r1", rows.rehydrated, COPYING())
case("wait", "Rehydrating", "1 runs", running, rows.rehydrated, COPYING())
case("hold", "RehydrationFailed", "1 runs|OOMKilled", broken, rows.rehydrated, COPYING())
COPIED = RehydrateResult(Verdict.PASS, copied=3, healed=(ETL,))
case("act", "Rehydrated", "3 values", answered, rows.rehydrated, COPYING(), COPIED)

# The revert, and the end.
case("wait", "Recovering", "etl/r1 (Stopping)", revert.all_safe, killed(KILL, RunStage.STOPPING))
FINISHED = revert.finished_values
BACK = partial(killed, KILL, the_spec=COPY_BACK)
case("act", "RehydratingFinishedRuns", "finished runs", FINISHED, BACK())
case("wait", "RehydratingFinishedRuns", "finished runs", running, FINISHED, BACK())
case(
    "hold", "FinishedRunsRemain", "OOMKilled|spec.killSwitch.finishedRuns", broken, FINISHED, BACK()
)
KEEP = partial(killed, KILL, the_spec=KEEP_READERS)
case("act", "CountingFinishedRuns", "finished runs", FINISHED, KEEP())
case("wait", "CountingFinishedRuns", "finished runs", running, FINISHED, KEEP())
NO_VALUES = CensusResult(Verdict.PASS, (), finished=FinishedValues(0, 0))
case("act", "FinishedRunsSettled", "there are none", answered, FINISHED, KEEP(), NO_VALUES)
case("act", "Reverting", "database", revert.reverted, killed())
REVERTING = replace(KILL, reverting=True)
case("act", "Reverted", "is delivered", revert.reverted, killed(REVERTING, **DATABASE))
HELD = replace(KILL, held_dags=("etl",))
HELD_UNSAFE = replace(HELD, strategy=Strategy.IMMEDIATE)
case("act", "ReleasingDags", "etl", revert.dags_released, killed(HELD, view=PAUSED))
case("act", "DagsReleased", "etl", revert.dags_released, killed(HELD))
case("wait", "DagsHeld", "etl", revert.dags_released, killed(HELD_UNSAFE, view=PAUSED))
case(
    "hold",
    "DagsHeld",
    "etl|spec.killSwitch.stopTasksAfter",
    revert.dags_released,
    killed(HELD_UNSAFE, view=PAUSED, now=NOW + timedelta(hours=1)),
)
QUEUED = replace(KILL, queued_at=NOW)
AGAIN = partial(killed, QUEUED, RunStage.CLEARED)
case("act", "RunsEnded", "etl/r1: Recovered", revert.runs_recovered, AGAIN(state="success"))
case("wait", "RunsRecovering", "etl/r1", revert.runs_recovered, AGAIN())
case(
    "hold",
    "RunsRecovering",
    "etl/r1|check in Airflow",
    revert.runs_recovered,
    AGAIN(now=NOW + timedelta(hours=3)),
)
case(
    "hold",
    "RunsNotScheduled",
    "etl/r1|max_active_runs",
    revert.runs_recovered,
    AGAIN(state="queued", now=NOW + timedelta(hours=1)),
)
LOST_RUN = replace(RUN, stage=RunStage.FAILED, message="the re-run ended as failed")
case(
    "hold",
    "RunsNotRecovered",
    "etl/r1|the re-run ended as failed",
    revert.no_run_lost,
    killed(KILL, LOST_RUN),
)
case("act", "KillFinished", "kill 1|1 runs", revert.finished, killed(KILL, RunStage.HEALED))
WAITING = ProbeJob(
    "waits", JobKind.STANDBY, Component.SCHEDULER, 1, "kill-1.1-standby", NOW, JobState.RUNNING
)
case("act", "StandbyEnded", "no more questions", standby.standby_ended, killed(jobs=(WAITING,)))


# A rollout that is resumed, or deleted.
def decided(s: Situation) -> Finding:
    return core.decide(s.observed, s.now).current.finding


OVER = replace(LIVE.ledger, kill=replace(KILL, finished_at=NOW))
case("act", "Resumed", "starts again", decided, live(ledger=OVER))
DELETED = replace(LIVE.rollout, deleting=True, finalized=True)
case("act", "Deleted", "may be deleted", decided, live(rollout=DELETED))


@pytest.mark.parametrize("entry", CASES, ids=lambda entry: f"{entry.verb} {entry.reason}")
def test_a_step_gives_this_reason_and_names_what_a_user_needs(entry: Case) -> None:
    finding = entry.find()
    assert (finding.progress, finding.reason) == (VERBS[entry.verb], entry.reason)
    for word in entry.words:
        assert word in finding.message


def reasons_in_source() -> Iterator[tuple[str, str]]:
    """Yield verb and reason of each call of `hold`, `wait` and `act` in `decide`."""
    for path in Path(xcom_rollout.decide.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
                continue
            if call.func.id not in VERBS:
                continue
            said = call.args[0]
            chosen = (said.body, said.orelse) if isinstance(said, ast.IfExp) else (said,)
            for reason in chosen:
                where = f"{path.name}:{call.lineno}: write the reason as a literal"
                assert isinstance(reason, ast.Constant), where
                yield call.func.id, str(reason.value)


def test_every_reason_of_a_hold_a_wait_and_an_action_has_a_case() -> None:
    written = set(reasons_in_source())
    cases = {(entry.verb, entry.reason) for entry in CASES}
    assert sorted(written - cases) == []
    assert sorted(cases - written) == []
