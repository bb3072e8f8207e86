"""Steps that both tables share: whose release it is, and how it stands."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from xcom_rollout.decide.actions import ConfirmReaders, ForgetDelivery, ReplaceWorkers
from xcom_rollout.decide.decision import Finding, Progress
from xcom_rollout.decide.ledger import Component, Reader
from xcom_rollout.decide.observed import LoosePod, Maker, Pod, StaleCopy, Workload
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.decide.situation import Situation, some
from xcom_rollout.decide.table import UNTIL_CHANGED, act, done, hold, wait

_REPLACING: Final = ("Deployment", "StatefulSet")
READER_RETRY = timedelta(seconds=10)
ROLL_PATIENCE = timedelta(minutes=5)
"""How long the replacement of long-lived pods is taken for one that goes on by itself."""
WEB = ("webserver", "api-server")
"""Components that answer Airflow's REST API."""
RESTART_PATIENCE = timedelta(seconds=30)
"""The same of a component of the team's own: nothing replaces its pods but a person, or what the
team has for that, which acts soon."""
COPY_PATIENCE = timedelta(seconds=60)
"""How long a mirror is given to bring a change of airflow.cfg to the other namespaces of tasks."""
STALE_MOUNT: Final = timedelta(seconds=30)
"""How long after a change of the configuration the kubelet may still give a new pod what was there
before: it learns of a change by a watch, which is late by seconds on a node that is busy."""
POD_PATIENCE: Final = timedelta(seconds=60)
"""How long after its grace period a terminating pod is taken for one that ends."""
DELIVERY_LIMIT = timedelta(seconds=90)
"""How long a Helm process of the operator can live: its time-out and grace (`clients/helm.py`),
and some more for clocks that differ."""


def sole_owner(s: Situation) -> Finding:
    """Of two rollouts for one release the older one is in charge."""
    mine = (s.observed.rollout.created_at, s.observed.rollout.name)
    older = [rival for rival in s.observed.rivals if (rival.created_at, rival.name) < mine]
    if older:
        first = min(older, key=lambda rival: (rival.created_at, rival.name))
        return hold(
            "ReleaseOwnedByAnother",
            f"spec.airflow.release: {s.spec.airflow.release!r} is already in the charge of the "
            f"older rollout {first.name!r}; delete one of the two",
            after=UNTIL_CHANGED,
        )
    return done("Accepted", "the spec is valid and no other rollout names the release")


def release_exists(s: Situation) -> Finding:
    """The Helm release exists, whatever chart it runs.

    Enough for a kill: it delivers with the chart that the release runs, and a person who upgrades
    that in the middle must not leave runs stopped. Nor need airflow.cfg be told: the last resort,
    `helm rollback`, does without.
    """
    release = s.observed.release
    if release is None:
        return hold(
            "ReleaseNotFound",
            s.observed.release_missing
            or f"spec.airflow.release: there is no Helm release {s.spec.airflow.release!r} in the "
            f"namespace {s.observed.rollout.namespace!r}; "
            "list them with: helm list -n "
            + s.observed.rollout.namespace,
        )
    return done(
        "Accepted",
        f"release {s.spec.airflow.release} runs {release.chart_name} {release.chart_version}",
    )


def release_found(s: Situation) -> Finding:
    """The Helm release exists and runs the chart that the spec pins."""
    found = release_exists(s)
    if found.progress is not Progress.DONE:
        return found
    release, chart = s.release, s.spec.delivery.helm.chart
    if (release.chart_name, release.chart_version) != (chart.name, chart.version):
        return hold(
            "ChartMismatch",
            f"spec.delivery.helm.chart: {chart.name} {chart.version} is not the chart that the "
            f"release runs, {release.chart_name} {release.chart_version}; a flip never changes "
            "the chart, so write that one",
        )
    if release.layout_problem:
        return layout_unknown(s)
    return found


def layout_unknown(s: Situation) -> Finding:
    """What the release holds cannot be told."""
    return hold(
        "AirflowConfigNotFound", f"release {s.spec.airflow.release}: {s.release.layout_problem}"
    )


def _interrupted(s: Situation) -> Finding | None:
    """Return what to do about a delivery of the operator's own that was cut off, if this is one.

    Helm leaves a revision pending when its process is killed. One that this pod began has no
    process any more: passes over a rollout follow each other. One of an earlier pod is left alone
    for as long as its process could still live.
    """
    release = s.release
    if release.maker is Maker.OTHER:
        return None
    over = release.updated_at + DELIVERY_LIMIT
    if release.maker is Maker.OPERATOR and s.now < over:
        return wait(
            "DeliveryInterrupted",
            f"revision {release.revision} was begun by an earlier pod of the operator and is "
            f"{release.status}; it is made again at {over:%H:%M:%SZ}, when that pod's Helm "
            "process can live no more",
        )
    return act(
        "DeliveryInterrupted",
        f"revision {release.revision} was begun by the operator and interrupted; it is made again",
        ForgetDelivery(release.revision),
    )


def no_helm_operation(s: Situation) -> Finding:
    """No Helm operation on the release goes on, or was interrupted."""
    release = s.release
    if release.status in ("pending-upgrade", "pending-rollback") and (finding := _interrupted(s)):
        return finding
    if release.status.startswith("pending") or release.status == "uninstalling":
        return hold(
            "ReleasePending",
            f"release {s.spec.airflow.release} is {release.status} at revision "
            f"{release.revision}: a Helm operation goes on, or was interrupted. It is never "
            "forced. If none is running, end it with: helm rollback "
            f"{s.spec.airflow.release} -n {s.observed.rollout.namespace}",
            after=timedelta(seconds=5),
        )
    return done("Accepted", f"release {s.spec.airflow.release} is {release.status}")


def release_deployed(s: Situation) -> Finding:
    """The newest revision of the release is deployed."""
    release = s.release
    if release.status != "deployed":
        return hold(
            "ReleaseNotDeployed",
            f"release {s.spec.airflow.release} is {release.status} at revision "
            f"{release.revision}; repair it with helm upgrade or helm rollback first",
        )
    return done("Accepted", f"release {s.spec.airflow.release} is deployed")


def pods_would_roll(s: Situation) -> Finding:
    """Every long-lived pod is replaced by itself when a delivery changes its template."""
    if s.release.settings.reads_offloaded:
        return done("PodsWouldRoll", "the object storage backend is delivered")
    return would_roll(s)


def would_roll(s: Situation) -> Finding:
    """The same of a release about which nothing else is known."""
    staying = [load for load in s.observed.workloads if load.wont_roll]
    if staying:
        each = some([f"{load.kind} {load.name}: {load.wont_roll}" for load in staying])
        return hold(
            "PodsWouldNotRoll",
            f"a delivery would leave pods with the old backend: {each}. Change that by helm "
            "upgrade first; a pod that is forgotten reads a path as data",
        )
    if s.observed.loose_pods:
        return hold("PodsWouldNotRoll", _loose(s, s.observed.loose_pods))
    return done("PodsWouldRoll", "every long-lived pod is replaced when its template changes")


def _loose(s: Situation, pods: Sequence[LoosePod]) -> str:
    hidden = sorted({f"{pod.kind} {pod.maker}" for pod in pods if pod.kind in _REPLACING})
    others = [pod for pod in pods if pod.kind not in _REPLACING]
    told = []
    if hidden:
        told.append(
            f"{some(hidden)}: its pods have the labels of the release and it has not, so nobody "
            "would see it replace them: label it (its own metadata) tier=airflow,release="
            f"{s.spec.airflow.release}. If they never read XCom, take the label tier=airflow off "
            "its pod template"
        )
    if others:
        told.append(
            f"no Deployment or StatefulSet of the release has made {some(others, words=_made)}, "
            "so nobody would replace it: let a Deployment make it. If it never reads XCom, take "
            "the label tier=airflow off it"
        )
    return "; ".join(told)


def _made(pod: LoosePod) -> str:
    return f"{pod.name} (made by {pod.kind} {pod.maker})" if pod.kind else pod.name


def config_not_copied(s: Situation) -> Finding | None:
    """Return that tasks of another namespace still start with other settings; None: they do not.

    A pod mounts ConfigMaps of its own namespace, so a delivery alone reaches no task there.
    """
    stale = s.observed.stale_copies
    if not stale:
        return None
    home = s.observed.rollout.namespace
    said = stale_copies(stale)
    if s.now - s.release.updated_at < COPY_PATIENCE:
        return wait("ConfigNotCopied", f"{said}. What brings the change there is waited for")
    return hold(
        "ConfigNotCopied",
        f"{said}. Let something mirror it at each change, or bring it now: "
        f"{copy_command(home, stale[0])}",
        after=READER_RETRY,
    )


def stale_copies(stale: Sequence[StaleCopy]) -> str:
    """Return which copies are not as the release's own, and what follows from that, in words."""
    return (
        "pods of tasks in another namespace mount the ConfigMap of that namespace, which no "
        f"delivery changes, and {some(stale)} does not say of the backend what the release's "
        "does: a task there starts with other settings"
    )


def copy_command(home: str, copy: StaleCopy) -> str:
    """Return the command that makes a copy say what the ConfigMap in the namespace `home` says."""
    data = f"$(kubectl get configmap {copy.name} -n {home} -o jsonpath='{{.data}}')"
    return (
        f"kubectl patch configmap {copy.name} -n {copy.namespace} --type merge "
        f'-p "{{\\"data\\": {data}}}"'
    )


def fleet_rolled(s: Situation, *, wait_for_old_tasks: bool) -> Finding:
    """Every long-lived pod has been replaced; optionally, every old task pod has ended."""
    if not s.observed.workloads:
        return hold(
            "NoAirflowPods",
            f"no Deployment or StatefulSet is labelled tier=airflow,release="
            f"{s.spec.airflow.release}; the operator finds Airflow's pods by these labels",
        )
    if not_copied := config_not_copied(s):
        return not_copied
    rolling = [
        f"{_called(load)}: {load.progress}"
        for load in s.observed.workloads
        if not _has_rolled(s, load)
    ]
    rolling += [
        f"{_called(load)}: a pod is older than the configuration, and no upgrade of the chart "
        f"replaces it: kubectl rollout restart {load.kind.lower()} {load.name}"
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
            "workers with the earlier configuration end their tasks before they go: "
            f"{some([pod.name for pod in ending])}. What still runs when a worker's grace period "
            f"is over is killed, the last at {last:%H:%M:%SZ}",
            seconds=2,
        )
    if rolling:
        return wait("PodsBeingReplaced", some(rolling))
    if wait_for_old_tasks and s.old_task_pods:
        return wait(
            "OldTasksRunning",
            f"{len(s.old_task_pods)} task pods still run with the earlier configuration: "
            f"{some([str(pod.run) for pod in s.old_task_pods])}; they are waited for",
            seconds=2,
        )
    return done("PodsReplaced", "every pod runs the newest template")


def tasks_cut_off(s: Situation) -> str:
    """Return what a delivery costs tasks that run in workers, in words; empty without any."""
    workers = [load for load in s.observed.workloads if load.component == Component.WORKER]
    if not workers:
        return ""
    each = some([f"{load.name}: {load.grace_seconds} s" for load in workers])
    return (
        "each delivery replaces the workers: two on the way there, two on the way back. A worker "
        "takes no more tasks and ends those that it has, for as long as its grace period "
        f"({each}); a task that takes longer is killed, and fails or is tried again"
    )


def _leaving(s: Situation) -> list[Pod]:
    """Return the workers that end and may have the earlier configuration.

    One that is scaled down with the current one is nobody's concern.
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
    """Return the finding of `fleet_rolled`, held where pods should long have been replaced.

    Args:
        since: when the configuration was delivered.
        otherwise: what else may help, in words.
    """
    if finding.reason != "PodsBeingReplaced" or since is None:
        return finding
    # A pod that is drained, restarted or scaled long after the delivery has its own time.
    rolling = [each for each in s.observed.workloads if not each.rolled]
    if not rolling:
        # Components that no upgrade replaces. The message has the one thing that helps: no pod
        # has trouble, and whoever goes by `otherwise` would give a promise away.
        if s.now - since < RESTART_PATIENCE:
            return finding
        return hold("PodsNotReplaced", finding.message, after=READER_RETRY)
    # Each for itself: a worker that takes ten minutes to end hides no scheduler that cannot start.
    ages = [s.now - _restless_since(load, since) for load in rolling]
    if max(ages) < ROLL_PATIENCE:
        return finding
    seconds = int(max(ages).total_seconds())
    return hold(
        "PodsNotReplaced",
        f"pods have not been replaced for {seconds} s: {finding.message}. See what keeps the new "
        "ones from becoming ready with: kubectl describe pod. A pod that stays terminating is on a "
        "lost node: make sure that nothing of it runs any more, then: kubectl delete pod NAME "
        "--grace-period=0 --force" + (f"; {otherwise}" if otherwise else ""),
        after=READER_RETRY,
    )


def web_server_rolls(s: Situation, since: datetime) -> bool:
    """Return whether the pods that answer Airflow's API are being replaced, and not for long yet.

    Every delivery replaces them, and with one replica, or a node at its limit, nothing answers
    meanwhile.

    Args:
        since: when the configuration was delivered.
    """
    rolling = [load for load in s.observed.workloads if load.component in WEB and not load.rolled]
    return any(s.now - _restless_since(load, since) < ROLL_PATIENCE for load in rolling)


def _restless_since(load: Workload, since: datetime) -> datetime:
    """Return since when a workload is as it is, after a delivery at `since`."""
    return max(since, load.restless_since or since)


def fleet_confirmed(s: Situation, expected: BackendSettings) -> Finding:
    """Every long-lived pod was looked into and loads the expected backend."""
    return _confirmed(s, s.long_lived, expected)


def workers_confirmed(s: Situation) -> Finding:
    """The same of the workers, and of what the release holds.

    That they were replaced is not enough where they write: the kubelet may have mounted what was
    there before the delivery.
    """
    return _confirmed(s, s.workers, s.release.settings)


def configuration_settled(s: Situation, since: datetime | None) -> Finding:
    """No worker that comes from now on begins with what was there before a delivery.

    One of a moment ago was looked into. One that comes in the next delivery's roll, or is scaled
    up, would have what was delivered before the last one.

    Args:
        since: when the operator saw that delivery.
    """
    if not any(load.component == Component.WORKER for load in s.observed.workloads):
        return done("ConfigurationSettled", "no task runs in a worker")
    left = STALE_MOUNT - (s.now - since) if since is not None else timedelta(0)
    if left <= timedelta(0):
        return done("ConfigurationSettled", "a worker that comes has what is delivered")
    return wait(
        "ConfigurationSettling",
        "a worker that came now might still begin with what was there before the delivery; its "
        f"{STALE_MOUNT.seconds} s are waited for",
        seconds=left.total_seconds(),
    )


def _confirmed(s: Situation, pods: Sequence[Pod], expected: BackendSettings) -> Finding:
    # The container of a worker that is about to end has ended, or never begins.
    pods = [
        pod
        for pod in pods
        if not (pod.component == Component.WORKER and pod.terminating and pod.started_at is None)
    ]
    unseen = [
        pod.name
        for pod in pods
        if (seen := s.reader(pod)) is None or (not s.loads(pod, expected) and _stale(s, seen))
    ]
    if unseen:
        return act(
            "LookingIntoPods",
            f"looking which backend {some(unseen)} load",
            ConfirmReaders(tuple(sorted(unseen))),
        )
    readers = [(pod.name, seen) for pod in pods if (seen := s.reader(pod)) is not None]
    failing = [pod for pod in pods if not s.loads(pod, expected)]
    early = [pod for pod in failing if _began_too_early(s, pod)]
    if early:
        return act(
            "ReplacingWorkers",
            f"{some([pod.name for pod in early])} began with what was there before the last "
            "delivery: replaced once more, and their tasks end first",
            ReplaceWorkers(tuple(early)),
        )
    if failing and all(_ends_by_itself(s, pod) for pod in failing):
        return wait(
            "OldTasksRunning",
            f"workers that may have the earlier configuration are about to end: "
            f"{some([pod.name for pod in failing])}",
            seconds=2,
        )
    wrong = [(pod.name, seen) for pod in failing if (seen := s.reader(pod)) is not None]
    if wrong:
        told = some(wrong, words=_what_it_loads)
        hint = (
            ""
            if all(seen.error for _, seen in wrong)
            else "; see where its value comes from with: kubectl exec POD -- airflow config "
            "get-value core xcom_backend"
        )
        return hold(
            "PodNotConfirmed",
            f"expected the {expected.describe()} in every pod, but {told}{hint}",
            after=READER_RETRY,
        )
    told = f"{len(pods)} pods load the {expected.describe()}"
    unseen = [f"{name}: {seen.unseen}" for name, seen in readers if seen.unseen]
    return done("PodsConfirmed", f"{told}; {some(unseen)}" if unseen else told)


def _what_it_loads(found: tuple[str, Reader]) -> str:
    name, seen = found
    return f"{name}: {seen.error or 'loads the ' + seen.settings.describe()}"


def _stale(s: Situation, seen: Reader) -> bool:
    return s.now - seen.seen_at >= READER_RETRY


def _began_too_early(s: Situation, pod: Pod) -> bool:
    """Whether a worker loads something else and another one in its place would not.

    One that was made later has what it loads from elsewhere, as its own environment.
    """
    seen, changed = s.reader(pod), s.config_changed_at
    if pod.component != Component.WORKER or pod.terminating or seen is None or changed is None:
        return False
    return (seen.outdated or not seen.error) and pod.created_at <= changed + STALE_MOUNT


def _ends_by_itself(s: Situation, pod: Pod) -> bool:
    until = pod.gone_by
    if pod.component != Component.WORKER or not pod.terminating or until is None:
        return False
    return s.now < until + POD_PATIENCE
