"""Stop the writers: threshold -1 is delivered, and every process that could still offload ends."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from xcom_rollout.api.v1alpha1 import RolloutSpec
from xcom_rollout.decide.actions import PauseDags, SetFinalizer, SetValues, WriteLedger
from xcom_rollout.decide.bases import offloading_noted
from xcom_rollout.decide.confirming import (
    POD_PATIENCE,
    configuration_settled,
    old_tasks,
    tasks_confirmed,
    workers_seen,
    writers_confirmed,
)
from xcom_rollout.decide.copies import config_not_copied
from xcom_rollout.decide.decision import Finding, Progress
from xcom_rollout.decide.kill.common import (
    BATCH,
    baseline_of,
    is_immediate,
    kill_of,
    nothing_delivered,
    record,
    tasks_unseen,
    view_of,
)
from xcom_rollout.decide.kill.standby import standby
from xcom_rollout.decide.ledger import Kill, Ledger, RunKey, RunStage, Strategy
from xcom_rollout.decide.observed import Pod
from xcom_rollout.decide.requests import KillRequest
from xcom_rollout.decide.rolling import fleet_rolled, no_longer_patient
from xcom_rollout.decide.settings import NEVER_OFFLOAD, BackendSettings, object_storage
from xcom_rollout.decide.situation import Situation, some
from xcom_rollout.decide.table import act, done, hold, wait

PAUSE_PATIENCE: Final = timedelta(seconds=20)
"""How long an Immediate kill tries to pause DAGs before it delivers without."""
TASK_PATIENCE: Final = timedelta(hours=1)
"""How long tasks from before the kill are waited for until that is reported."""


def new_kill(ledger: Ledger, request: KillRequest, s: Situation, *, why: str = "") -> Kill:
    """Return the kill that `request` asks for, with the next number."""
    numbers = [kill.attempt for kill in ledger.past_kills]
    if ledger.kill is not None:
        numbers.append(ledger.kill.attempt)
    return Kill(
        attempt=max(numbers, default=0) + 1,
        engaged_at=s.now,
        by=request.by,
        reason=why or request.reason,
        strategy=request.strategy,
    )


def begun(s: Situation) -> Finding:
    """The kill has a number, and follows the strategy that is requested now."""
    request = s.kill_request
    if s.ledger.kill is None:
        if request is None:
            raise LookupError("the kill table is only for a rollout that is being killed")
        kill = new_kill(s.ledger, request, s)
        return act(
            "KillSwitchEngaged",
            f"engaged by {request.by}: {request.reason} (strategy {kill.strategy})",
            WriteLedger(replace(s.ledger, kill=kill), f"the start of kill {kill.attempt}"),
        )
    kill = s.ledger.kill
    if request is not None and request.strategy is not kill.strategy:
        # A run that was left to end, or that could not be stopped, may be healed another way.
        again = tuple(
            run.at(RunStage.FOUND)
            for run in kill.runs
            if run.stage in (RunStage.DRAINING, RunStage.STOPPING)
        )
        changed = replace(kill, strategy=request.strategy).with_runs(again)
        if is_immediate(kill) and kill.reverting:
            # The other strategies need every process to read both kinds of rows.
            changed = next_round(changed)
        return act(
            "StrategyChanged",
            f"{request.strategy_by} changed the strategy from {kill.strategy} to "
            f"{request.strategy}",
            record(s, changed, f"the strategy {request.strategy}"),
        )
    return done("KillBegun", f"kill {kill.attempt} by {kill.by}, strategy {kill.strategy}")


def kept(s: Situation) -> Finding:
    """The resource stays until the kill has finished, even where it is deleted meanwhile."""
    rollout = s.observed.rollout
    if rollout.finalized or rollout.deleting:
        return done("Kept", "the resource is kept until the kill has finished")
    return act(
        "KillSwitchEngaged", "keeping the resource until the kill has finished", SetFinalizer(True)
    )


def writers_stopped(s: Situation) -> Finding:
    """No new process offloads: threshold -1 is delivered, and every process reads both kinds."""
    kill, current = kill_of(s), s.release.settings
    if nothing_delivered(s):
        return done("NothingDelivered", "the object storage backend was never delivered")
    if is_immediate(kill):
        return _database_at_once(s, kill)
    if current.offloads and (kill.writers_stopped_at is not None or kill.reverting):
        return _next_round(s, kill, "the release offloads again")
    if s.release.layout_problem and (kill.writers_stopped_at is not None or kill.reverting):
        return _next_round(s, kill, "the settings of Airflow are not known")
    if kill.reverting and not current.reads_offloaded:
        return done("WritersStopped", "the database backend is delivered")
    if kill.reverting and s.release.status == "deployed":
        # Intent without effect: the delivery has not been made yet, or somebody undid it.
        return done(
            "WritersStopped", "nothing is offloaded, and every process can read offloaded values"
        )
    noted = offloading_noted(s)
    if noted is not None:
        return noted
    wanted = _readers(s)
    if current.is_database and kill.writers_stopped_at is not None:
        return _next_round(s, kill, "somebody delivered the database backend in the meantime")
    if not (current.reads_offloaded or current.is_database):
        return hold(
            "ForeignBackend",
            f"{s.release.backend_place} of the release is {current.backend!r}: set it to the "
            "object storage backend or remove it, with helm upgrade; the kill then continues",
        )
    if not s.holds(wanted) or s.release.status != "deployed":
        return act(
            "StoppingWriters",
            f"delivering the {wanted.describe()}: nothing more is offloaded, and every process "
            "can read offloaded values" + _other_path(s, wanted),
            SetValues(wanted, s.release.revision, way_back=True, beside=standby(s)),
        )
    not_copied = config_not_copied(s)
    if not_copied is not None:
        if kill.writers_stopped_at is None:
            return not_copied
        return _next_round(
            s, kill, "a copy of the configuration no longer matches that of the release"
        )
    if kill.writers_stopped_at is None:
        return _record_stopped(s, kill, current)
    return done(
        "WritersStopped", "nothing is offloaded, and every process can read offloaded values"
    )


def writers_gone(s: Situation) -> Finding:
    """Every process that could still offload has ended: long-lived pods and old task pods."""
    kill = kill_of(s)
    if nothing_delivered(s) or kill.writers_gone:
        return done("WritersGone", "no process remains that could offload a value")
    unseen = tasks_unseen(s)
    if unseen is not None:
        return unseen
    rolled = fleet_rolled(s)
    pods = s.dirty_pods(kill)
    if rolled.action is None and not s.observed.workloads:
        return rolled
    stuck = [pod for pod in pods if is_stuck(s, pod)]
    if stuck:
        return hold("PodsNotEnding", stuck_pods(stuck))
    if rolled.progress is not Progress.DONE:
        return no_longer_patient(
            s,
            rolled,
            kill.writers_stopped_at,
            "if the backend itself is broken: kubectl xbr kill "
            f"{s.observed.rollout.name} --strategy Immediate --reason ...",
        )
    since = kill.writers_stopped_at
    for found in (configuration_settled(s, since), tasks_confirmed(s, pods)):
        if found.progress is not Progress.DONE:
            return found
    # Before the wait for old tasks: a worker with the earlier configuration continues to offload.
    confirmed = writers_confirmed(s)
    if confirmed.progress is not Progress.DONE:
        return confirmed
    if pods and since is not None and s.now - since >= TASK_PATIENCE:
        return hold(
            "OldTasksRunning",
            f"{len(pods)} tasks that started before the kill have not ended since "
            f"{since:%H:%M:%SZ}: {old_tasks(s, pods)}. {_to_end(s, pods)}",
        )
    if pods:
        return wait(
            "OldTasksRunning",
            f"{len(pods)} tasks that started before the kill still run, in runs that are not "
            f"stopped: {old_tasks(s, pods)}; they may still offload, so the kill waits for them "
            "and then counts runs again",
            seconds=2,
        )
    return act(
        "WritersGone",
        "no process remains that could offload a value",
        record(s, replace(kill, writers_gone=True), "no writer remains"),
    )


def _to_end(s: Situation, pods: Sequence[Pod]) -> str:
    """Return how to end the tasks that are waited for, in words."""
    unknown = [pod for pod in pods if s.unknown(pod)]
    if len(unknown) == len(pods):
        return "No run is stopped for a task that may have the newest configuration: stop the tasks"
    beside = ""
    if unknown:
        beside = f"; no run is stopped for what may be new: {some([pod.name for pod in unknown])}"
    return (
        "To have their runs healed, set spec.killSwitch.stopTasksAfter, or stop the tasks" + beside
    )


def is_stuck(s: Situation, pod: Pod) -> bool:
    """Whether a terminating pod should have ended long ago, as one on a lost node."""
    return pod.terminating and pod.gone_by is not None and s.now >= pod.gone_by + POD_PATIENCE


def stuck_pods(pods: list[Pod]) -> str:
    """Return which pods do not end, and the remedy, in words."""
    first = pods[0]
    namespace = f" -n {first.namespace}" if first.namespace else ""
    listed = some([f"{pod.name} on node {pod.node or 'unknown'} ({pod.run})" for pod in pods])
    return (
        f"the pods {listed} should have ended but have not: their node may be lost. Make sure "
        "that none of their processes still runs, then: kubectl delete pod "
        f"{first.name}{namespace} --grace-period=0 --force"
    )


def overdue_runs(s: Situation) -> tuple[RunKey, ...]:
    """Return runs that the kill does not know and whose old tasks outlast the limit of the spec.

    Except runs whose tasks only an inspection can show to be old, and none has yet.
    """
    kill = kill_of(s)
    if not limit_is_over(s.spec, kill, s.now):
        return ()
    workers = {pod.uid for pod in s.old_workers if not s.unknown(pod)}
    old = [pod.run for pod in s.dirty_pods(kill) if not s.unknown(pod)]
    old += [attempt.run for attempt in s.observed.attempts if attempt.pod_uid in workers]
    known = {run.key for run in kill.runs}
    return tuple(sorted({run for run in old if run is not None} - known))


def overdue_seen(s: Situation) -> Finding | None:
    """Return what inspects the workers whose tasks would be overdue if they are old."""
    kill = kill_of(s)
    if not limit_is_over(s.spec, kill, s.now):
        return None
    known = {run.key for run in kill.runs}
    return workers_seen(
        s, {attempt.pod_uid for attempt in s.observed.attempts if attempt.run not in known}
    )


def limit_is_over(spec: RolloutSpec, kill: Kill, now: datetime) -> bool:
    """Whether runs are healed only because old tasks of theirs take too long."""
    limit, since = spec.stop_tasks_after(), kill.writers_stopped_at
    if limit is None or since is None or now < since + limit or kill.writers_gone:
        return False
    return kill.strategy not in (Strategy.DRAIN, Strategy.REHYDRATE)  # these touch no run


def _readers(s: Situation) -> BackendSettings:
    """Return what reads both kinds of rows and writes inline.

    A process reads below one path only. Where somebody delivered another path than this rollout
    did, it is set back: the rows that were offloaded all along lie below this rollout's path, and
    every process that starts on the other path is handed them as data.
    """
    current, delivered = s.release.settings, s.ledger.delivered
    ours = delivered.settings if delivered and delivered.settings.reads_offloaded else None
    if current.reads_offloaded:
        path = ours.path if ours else current.path
        return replace(current, path=path, threshold=NEVER_OFFLOAD)
    if ours is not None:
        return replace(ours, threshold=NEVER_OFFLOAD)
    # An Immediate kill has delivered the database backend itself: the ledger has no other one.
    spec, bases = s.spec.backend.object_storage, s.ledger.bases
    path = bases[-1] if bases and spec.path not in bases else spec.path
    return object_storage(path, NEVER_OFFLOAD, spec.compression)


def _other_path(s: Situation, wanted: BackendSettings) -> str:
    current = s.release.settings
    if not current.reads_offloaded or current.path == wanted.path:
        return ""
    return (
        f". Revision {s.release.revision} has the path {current.path}, which somebody delivered, "
        f"and runs in flight hold values below {wanted.path}: the earlier path is restored. "
        "Values offloaded in the meantime are counted and healed; until then they are read as "
        "paths"
    )


def _record_stopped(s: Situation, kill: Kill, current: BackendSettings) -> Finding:
    ledger = replace(
        s.ledger,
        kill=replace(kill, writers_stopped_at=s.now),
        delivered=s.delivered_now,
    )
    return act(
        "WritersStopped",
        f"revision {s.release.revision} holds the {current.describe()}: no process that starts now "
        "offloads a value",
        WriteLedger(ledger, f"the {current.describe()} in revision {s.release.revision}"),
    )


def _next_round(s: Situation, kill: Kill, why: str) -> Finding:
    return act(
        "NextRound",
        f"{why}, at revision {s.release.revision}: the kill starts another round and stops the "
        "writers first",
        record(s, next_round(kill), f"round {kill.round + 1}: {why}"),
    )


def next_round(kill: Kill) -> Kill:
    """Return the kill at the beginning of another round: what it knows of runs is kept."""
    return replace(
        kill,
        round=kill.round + 1,
        # A DAG that runs again may be paused again, and is then to be released again.
        held_dags=kill.dags_still_held,
        released_dags=(),
        writers_stopped_at=None,
        writers_gone=False,
        counted=(),
        finished_values="",
        reverting=False,
        reverted_at=None,
        verified=False,
    )


def _database_at_once(s: Situation, kill: Kill) -> Finding:
    """Deliver the database backend before anything is counted, with the DAGs paused if possible."""
    view, baseline = view_of(s), baseline_of(s)
    if kill.writers_stopped_at is not None:
        if s.holds(baseline):
            return done("Reverted", f"the {baseline.describe()} is delivered")
        return _next_round(s, kill, "the database backend must be delivered at once")
    trying = s.now - kill.engaged_at < PAUSE_PATIENCE
    if not view.error and not kill.reverting:
        missing = tuple(sorted(view.busy_dags - set(kill.held_dags)))
        if missing:
            return act(
                "HoldingDags",
                f"recording the DAGs to pause: {some(list(missing))}",
                record(s, replace(kill, held_dags=(*kill.held_dags, *missing)), "DAGs to pause"),
            )
    idle = view.paused_dags | view.missing_dags
    running = [dag for dag in kill.held_dags if dag not in idle]
    if running and not view.error and not kill.reverting and trying:
        return act(
            "HoldingDags", f"pausing {some(running)}", PauseDags(tuple(sorted(running)[:BATCH]))
        )
    if view.error and trying and not kill.reverting:
        return wait("HoldingDags", f"DAGs cannot be paused yet: {view.error}", seconds=2)
    if s.holds(baseline) and s.release.status == "deployed":
        # Rows are counted next: a task elsewhere that still offloads would be missed.
        if not_copied := config_not_copied(s):
            return not_copied
        ledger = replace(
            s.ledger,
            kill=replace(kill, writers_stopped_at=s.now, reverting=True, reverted_at=s.now),
            delivered=s.delivered_now,
        )
        return act(
            "Reverted",
            f"the {baseline.describe()} is delivered",
            WriteLedger(ledger, f"the revert in revision {s.release.revision}"),
        )
    if not kill.reverting:
        # Whether a DAG that cannot be read is paused, and by whom, is not known.
        left = sorted({*running, *view.unread_dags})
        why = view.error or (f"{some(left)} not paused" if left else "")
        return act(
            "Reverting",
            f"the {baseline.describe()} is delivered next" + (f"; {why}" if why else ""),
            record(
                s,
                replace(kill, reverting=True, hold_error=why),
                "the revert is about to be delivered",
            ),
        )
    return act(
        "Reverting",
        f"delivering the {baseline.describe()}",
        SetValues(baseline, s.release.revision, way_back=True),
    )
