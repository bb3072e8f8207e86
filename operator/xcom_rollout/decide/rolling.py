"""A delivery replaces every long-lived pod: its progress, and how long it is waited for."""

from datetime import datetime, timedelta

from xcom_rollout.decide.confirming import LOOK_RETRY
from xcom_rollout.decide.copies import config_not_copied
from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.ledger import Component
from xcom_rollout.decide.observed import Pod, Workload
from xcom_rollout.decide.situation import Situation, some
from xcom_rollout.decide.table import done, hold, wait

ROLL_PATIENCE = timedelta(minutes=5)
"""How long the replacement of long-lived pods may take before a person is needed."""
WEB = ("webserver", "api-server")
"""Components that answer Airflow's REST API."""
RESTART_PATIENCE = timedelta(seconds=30)
"""The same for a component of the team's own: only a person replaces its pods, or the team's own
tooling, which acts soon."""


def fleet_rolled(s: Situation) -> Finding:
    """Every long-lived pod has been replaced."""
    if not s.observed.workloads:
        return hold(
            "NoAirflowPods",
            "no Deployment or StatefulSet has the labels "
            f"tier=airflow,release={s.spec.airflow.release}, by which the operator finds "
            "Airflow's pods",
        )
    if not_copied := config_not_copied(s):
        return not_copied
    rolling = [
        f"{_called(load)}: {load.progress}"
        for load in s.observed.workloads
        if not _has_rolled(s, load)
    ]
    rolling += [
        f"{_called(load)}: a pod is older than the configuration, and an upgrade of the chart "
        f"does not replace it: kubectl rollout restart {load.kind.lower()} {load.name}"
        for load in s.observed.workloads
        if load.rolled and _is_older(load, s.config_changed_at)
    ]
    ending = [pod for pod in _leaving(s) if pod.gone_by and s.now < pod.gone_by]
    if ending and all(
        load.rolled or load.component == Component.WORKER for load in s.observed.workloads
    ):
        last = max(pod.gone_by for pod in ending if pod.gone_by)
        return wait(
            "OldTasksRunning",
            "workers with the earlier configuration finish their tasks before they terminate: "
            f"{some([pod.name for pod in ending])}. A task that still runs when its worker's "
            f"grace period ends is killed, the last at {last:%H:%M:%SZ}",
            seconds=2,
        )
    if rolling:
        return wait("PodsBeingReplaced", some(rolling))
    return done("PodsReplaced", "every pod runs the newest template")


def tasks_cut_off(s: Situation) -> str:
    """Return the effect of a delivery on tasks that run in workers, in words; empty if none run."""
    workers = [load for load in s.observed.workloads if load.component == Component.WORKER]
    if not workers:
        return ""
    each = some([f"{load.name}: {load.grace_seconds} s" for load in workers])
    return (
        "each delivery replaces the workers: twice in a rollout and twice in a revert. A "
        "terminating worker takes no new tasks and finishes those that it has within its grace "
        f"period ({each}); a task that takes longer is killed, and fails or is retried"
    )


def _leaving(s: Situation) -> list[Pod]:
    """Return the workers that end and may have the earlier configuration.

    One that is scaled down with the current one does not matter.
    """
    ending = [pod for pod in s.workers if pod.terminating]
    return [pod for pod in ending if pod in s.old_workers] if ending else []


def _has_rolled(s: Situation, load: Workload) -> bool:
    if load.rolled or load.component != Component.WORKER:
        return load.rolled
    return load.only_ends and not _leaving(s)


def _called(load: Workload) -> str:
    return load.component or load.name


def _is_older(load: Workload, changed_at: datetime | None) -> bool:
    # Both in whole seconds; within the same one, Helm has written the configuration first.
    oldest = load.oldest_pod
    return oldest is not None and changed_at is not None and oldest < changed_at


def no_longer_patient(
    s: Situation, finding: Finding, since: datetime | None, otherwise: str = ""
) -> Finding:
    """Return the finding of `fleet_rolled`, held where pods should have been replaced by now.

    Args:
        since: when the configuration was delivered.
        otherwise: another remedy, in words.
    """
    if finding.reason != "PodsBeingReplaced" or since is None:
        return finding
    # A pod that is drained, restarted or scaled long after the delivery has its own time limit.
    rolling = [each for each in s.observed.workloads if not each.rolled]
    if not rolling:
        # Components that no upgrade replaces. The message has the only remedy: no pod has a
        # problem, and following `otherwise` would give up a guarantee.
        if s.now - since < RESTART_PATIENCE:
            return finding
        return hold("PodsNotReplaced", finding.message, after=LOOK_RETRY)
    # Separately: a worker that takes ten minutes to end hides no scheduler that cannot start.
    ages = [s.now - _restless_since(load, since) for load in rolling]
    if max(ages) < ROLL_PATIENCE:
        return finding
    seconds = int(max(ages).total_seconds())
    return hold(
        "PodsNotReplaced",
        f"pods have not been replaced for {seconds} s: {finding.message}. To see why the new pods "
        "are not ready: kubectl describe pod. A pod that stays terminating is on a lost node: "
        "make sure that none of its processes still runs, then: kubectl delete pod NAME "
        "--grace-period=0 --force" + (f"; {otherwise}" if otherwise else ""),
        after=LOOK_RETRY,
    )


def web_server_rolls(s: Situation, since: datetime) -> bool:
    """Return whether the pods that answer Airflow's API are being replaced, and not for too long.

    Every delivery replaces them, and with one replica, or on a full node, nothing answers
    meanwhile.

    Args:
        since: when the configuration was delivered.
    """
    rolling = [load for load in s.observed.workloads if load.component in WEB and not load.rolled]
    return any(s.now - _restless_since(load, since) < ROLL_PATIENCE for load in rolling)


def _restless_since(load: Workload, since: datetime) -> datetime:
    """Return since when a workload has not changed, after a delivery at `since`."""
    return max(since, load.restless_since or since)
