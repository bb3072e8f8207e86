"""Steps that both tables share: who manages the release, and its state."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from xcom_rollout.decide.actions import ForgetDelivery, WriteLedger
from xcom_rollout.decide.decision import Finding, Progress
from xcom_rollout.decide.observed import LoosePod, Maker
from xcom_rollout.decide.situation import Situation, some
from xcom_rollout.decide.table import UNTIL_CHANGED, act, done, hold, wait

_REPLACING: Final = ("Deployment", "StatefulSet")
DELIVERY_LIMIT = timedelta(seconds=90)
"""How long a Helm process of the operator can live: its time-out and grace (`clients/helm.py`),
plus a margin for clocks that differ."""


def sole_owner(s: Situation) -> Finding:
    """Of two rollouts for one release, the older one manages it."""
    mine = (s.observed.rollout.created_at, s.observed.rollout.name)
    older = [rival for rival in s.observed.rivals if (rival.created_at, rival.name) < mine]
    if older:
        first = min(older, key=lambda rival: (rival.created_at, rival.name))
        return hold(
            "ReleaseOwnedByAnother",
            f"spec.airflow.release: {s.spec.airflow.release!r} is already managed by the older "
            f"rollout {first.name!r}; delete one of the two",
            after=UNTIL_CHANGED,
        )
    return done("Accepted", "the spec is valid and no other rollout names the release")


def release_exists(s: Situation) -> Finding:
    """The Helm release exists, whatever chart it runs.

    This is enough for a kill: it delivers with the chart that the release runs, and a person who
    upgrades that in the middle must not leave runs stopped. Nor is airflow.cfg needed: the last
    resort, `helm rollback`, works without it.
    """
    release = s.observed.release
    if release is None:
        return hold(
            "ReleaseNotFound",
            s.observed.release_missing
            or f"spec.airflow.release: there is no Helm release {s.spec.airflow.release!r} in the "
            f"namespace {s.observed.rollout.namespace!r}; list the releases with: helm list -n "
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
            f"release runs, {release.chart_name} {release.chart_version}; a flip does not change "
            "the chart, so set the chart that the release runs",
        )
    if release.layout_problem:
        return layout_unknown(s)
    return found


def layout_unknown(s: Situation) -> Finding:
    """It is not known which settings the release holds."""
    return hold(
        "AirflowConfigNotFound", f"release {s.spec.airflow.release}: {s.release.layout_problem}"
    )


def _interrupted(s: Situation) -> Finding | None:
    """Return what to do about an interrupted delivery of the operator's own, if this is one.

    Helm leaves a revision pending when its process is killed. One that this pod started no longer
    has a process: passes over a rollout do not overlap. One of an earlier pod is left alone for as
    long as its process could still live.
    """
    release = s.release
    if release.maker is Maker.OTHER:
        return None
    over = release.updated_at + DELIVERY_LIMIT
    if release.maker is Maker.OPERATOR and s.now < over:
        return wait(
            "DeliveryInterrupted",
            f"revision {release.revision} was started by an earlier pod of the operator and is "
            f"{release.status}; it is retried at {over:%H:%M:%SZ}, when that pod's Helm process "
            "has certainly ended",
        )
    said = f"revision {release.revision} was started by the operator and interrupted"
    if s.ledger.interrupted != release.revision:
        # First: the objects of the release do not hold what the revision before it says.
        ledger = replace(s.ledger, interrupted=release.revision)
        return act("DeliveryInterrupted", f"{said}: recording that", WriteLedger(ledger, said))
    return act("DeliveryInterrupted", f"{said}; retrying", ForgetDelivery(release.revision))


def no_helm_operation(s: Situation) -> Finding:
    """No Helm operation on the release is in progress or was interrupted."""
    release = s.release
    if release.status in ("pending-upgrade", "pending-rollback") and (finding := _interrupted(s)):
        return finding
    if release.status.startswith("pending") or release.status == "uninstalling":
        return hold(
            "ReleasePending",
            f"release {s.spec.airflow.release} is {release.status} at revision "
            f"{release.revision}: a Helm operation is in progress or was interrupted. The "
            "operator does not override it. If none is running, recover with: helm rollback "
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
            f"{release.revision}; fix it with helm upgrade or helm rollback first",
        )
    return done("Accepted", f"release {s.spec.airflow.release} is deployed")


def pods_would_roll(s: Situation) -> Finding:
    """Every long-lived pod is replaced automatically when a delivery changes its template."""
    if s.release.settings.reads_offloaded:
        return done("PodsWouldRoll", "the object storage backend is delivered")
    return would_roll(s)


def would_roll(s: Situation) -> Finding:
    """The same for a release about which nothing else is known."""
    staying = [load for load in s.observed.workloads if load.wont_roll]
    if staying:
        each = some([f"{load.kind} {load.name}: {load.wont_roll}" for load in staying])
        return hold(
            "PodsWouldNotRoll",
            f"a delivery would leave pods with the old backend: {each}. Change that with helm "
            "upgrade first; a pod that is not replaced reads a path as data",
        )
    if s.observed.loose_pods:
        return hold("PodsWouldNotRoll", _loose(s, s.observed.loose_pods))
    return done("PodsWouldRoll", "every long-lived pod is replaced when its template changes")


def _loose(s: Situation, pods: Sequence[LoosePod]) -> str:
    hidden = sorted({f"{pod.kind} {pod.maker}" for pod in pods if pod.kind in _REPLACING})
    others = [pod for pod in pods if pod.kind not in _REPLACING]
    problems = []
    if hidden:
        problems.append(
            f"{some(hidden)}: its pods have the labels of the release and it does not, so the "
            "operator cannot see it replace them. Label it (in its own metadata) "
            f"tier=airflow,release={s.spec.airflow.release}. If its pods never read XCom, remove "
            "the label tier=airflow from its pod template"
        )
    if others:
        problems.append(
            f"no Deployment or StatefulSet of the release created {some(others, words=_made)}, so "
            "nothing would replace it: create it through a Deployment. If it never reads XCom, "
            "remove its label tier=airflow"
        )
    return "; ".join(problems)


def _made(pod: LoosePod) -> str:
    return f"{pod.name} (created by {pod.kind} {pod.maker})" if pod.kind else pod.name
