"""The way to the object storage backend: what is known, what is proven, two deliveries, upkeep.

Guarantee: at no instant is a value offloaded that a process somewhere would hand out as a path; and
nothing is delivered before its way back is ready.

The settings of a release are in one of three states. From each, one delivery leads to the next.

    database    nobody writes paths, nobody can read them
    readers     the object storage backend at threshold -1: everybody reads both, nobody writes
    target      the threshold of the spec: everybody reads both, everybody may write

A delivery is not instantaneous. While pods are replaced and earlier tasks continue, processes of
two neighbouring states run side by side. Database beside readers is harmless: there is no path to
be read. Readers beside target is harmless: each process can read paths. Database beside target is
the corruption that all this prevents, so the second delivery waits until no process of the first
state is left: each long-lived pod replaced and inspected, each old task ended.

    whose, what     one rollout for a release, a settled release, its chart, what it holds. Somebody
                    else's change (`no-drift`) is held, or recorded as the step that it was.
    can it be done  an executor for which it is known how to see its tasks end; workloads that are
                    replaced automatically; tasks in namespaces that can be seen, whose copies of
                    the configuration follow.
    proven          in Jobs cloned from the real pods: the candidate configuration loads, and
                    values come back unchanged. Valid for one digest of what was proven only.
                    Calibration and audits likewise.
    armed           what a kill will need, tried for real: login and rights, a census, the chart.
                    Last before the first delivery, because nothing else expires so quickly.
    readers         -1 is delivered, rolled, confirmed by a process in each pod.
    target          the same for the threshold.
    upkeep          armed again each hour, runs counted periodically. Neither blocks: they change
                    nothing in Airflow.

The first groups are ordered by cost and certainty: what can be read for free comes before what
starts a Job; what only a proof knows for certain (the executor, the namespaces) is checked again
after it. Once readers are delivered (`reads_offloaded`), the steps that guard the first delivery
are simply done: a missing right is then not a reason to leave a release half-way, because -1 is a
safe state, and a kill has its own table.

A step reads the world and the ledger, never the state of an earlier pass. So a pass after a crash,
a missed event or a person's `helm upgrade` begins at the same first step and finds the progress by
itself. Where a delivery was made but not recorded, the release shows it, and `no-drift` writes the
record.
"""

from dataclasses import replace
from typing import Final

from xcom_rollout.api.names import Condition
from xcom_rollout.decide.actions import SetValues, WriteLedger
from xcom_rollout.decide.audits import audited
from xcom_rollout.decide.bases import offloading_noted
from xcom_rollout.decide.builds import build_confirmed, build_still_confirmed
from xcom_rollout.decide.calibration import calibrated
from xcom_rollout.decide.confirming import fleet_confirmed, old_tasks_ended
from xcom_rollout.decide.copies import config_not_copied
from xcom_rollout.decide.decision import Finding, Progress
from xcom_rollout.decide.executors import executor_supported
from xcom_rollout.decide.live_census import census_fresh
from xcom_rollout.decide.proofs import proven
from xcom_rollout.decide.release_steps import (
    no_helm_operation,
    pods_would_roll,
    release_deployed,
    release_found,
    sole_owner,
)
from xcom_rollout.decide.requests import InvalidAttestation, attestation
from xcom_rollout.decide.rolling import fleet_rolled, no_longer_patient, tasks_cut_off
from xcom_rollout.decide.settings import NEVER_OFFLOAD, BackendSettings
from xcom_rollout.decide.situation import Situation
from xcom_rollout.decide.table import UNTIL_CHANGED, Step, act, done, hold
from xcom_rollout.decide.way_back import armed, still_armed


def not_suspended(s: Situation) -> Finding:
    """`spec.suspend` is false."""
    if s.spec.suspend:
        return hold(
            "Suspended", "spec.suspend is true; set it to false to continue", after=UNTIL_CHANGED
        )
    return done("Accepted", "not suspended")


def baseline_known(s: Situation) -> Finding:
    """What the kill-switch will restore has been recorded before anything is changed."""
    if s.ledger.baseline is not None:
        return done("BaselineKnown", f"a kill restores the {s.ledger.baseline.describe()}")
    current = s.release.settings
    if current.is_database:
        return act(
            "RecordingBaseline",
            f"recording what a kill restores: the {current.describe()}",
            WriteLedger(replace(s.ledger, baseline=current), "the settings before the flip"),
        )
    if current.reads_offloaded:
        return offloading_noted(s) or already_flipped(s)
    return hold(
        "ForeignBackend",
        f"{s.release.backend_place} of the release is {current.backend!r}; only a flip from "
        "Airflow's own database backend is supported",
    )


def already_flipped(s: Situation) -> Finding:
    """Somebody else has delivered the object storage backend to the release."""
    return hold(
        "AlreadyFlipped",
        f"the release already runs the {s.release.settings.describe()}, and this rollout did not "
        f"deliver it, so nothing is known about its runs; set {s.release.backend_place} back as "
        "described in docs/runbooks/kill-switch.md, then let this rollout flip it",
    )


def path_kept(s: Situation) -> Finding:
    """The spec names the path under which values have been offloaded, if there are any.

    Otherwise a census and a task would look for them under the wrong path. The API server refuses a
    changed path; a rollout that was deleted and created again gets here.
    """
    delivered, wanted = s.ledger.delivered, s.spec.backend.object_storage.path
    path = delivered.settings.path if delivered else None
    if path is None or path == wanted:
        return done("PathKept", f"values are offloaded to {wanted}")
    return hold(
        "PathChanged",
        f"spec.backend.objectStorage.path: {wanted!r} is not {path!r}, to which this release has "
        "offloaded values. Set that path again; to change the path, revert first: kubectl xbr "
        f"kill {s.observed.rollout.name} --reason ..., then kubectl xbr resume",
        after=UNTIL_CHANGED,
    )


def no_drift(s: Situation) -> Finding:
    """The release holds what was delivered last, or the next step on the way."""
    current, delivered = s.release.settings, s.ledger.delivered
    last = delivered.settings if delivered else s.ledger.baseline
    if current == last or (delivered is None and current.is_database):
        return done("Undisturbed", f"the release holds the {current.describe()}")
    if last is not None and last.offloads and (current == s.readers or current.stops(last)):
        return hold(
            "OffloadingStopped",
            f"revision {s.release.revision} of the release holds threshold "
            f"{current.threshold or NEVER_OFFLOAD}, but this rollout delivered {last.threshold}: "
            "somebody stopped offloading. The operator leaves it so: every process can read "
            "offloaded values, and nothing more is offloaded. To offload again: helm rollback "
            f"{s.spec.airflow.release} {delivered.revision if delivered else ''}; to revert to "
            f"the database backend: kubectl xbr kill {s.observed.rollout.name} --reason ...",
        )
    ours = current == s.readers or (
        current == s.target and last is not None and last.reads_offloaded
    )
    if ours:
        # Helm had finished when the operator was stopped, or somebody made the same change.
        return act(
            "RecordingDelivery",
            f"revision {s.release.revision} holds the {current.describe()}",
            WriteLedger(
                replace(
                    s.ledger,
                    delivered=s.delivered_now,
                ),
                f"the delivery of the {current.describe()}",
            ),
        )
    was = last.describe() if last else "nothing"
    return offloading_noted(s) or hold(
        "Drifted",
        f"revision {s.release.revision} of the release holds the {current.describe()}, but the "
        f"{was} is expected{_detail(current, last)}: somebody changed it. If that was a bare "
        "revert, runs in flight may read paths as data: engage the kill-switch (kubectl xbr kill "
        f"{s.observed.rollout.name} --reason ...), which heals them. If not, roll back with: helm "
        "rollback "
        f"{s.spec.airflow.release} {delivered.revision if delivered else ''}",
    )


def _detail(current: BackendSettings, last: BackendSettings | None) -> str:
    """Return what differs where both are described by the same words."""
    if last is None or current.describe() != last.describe():
        return ""
    return f" ({current.unlike(last)})"


def tasks_visible(s: Situation) -> Finding:
    """The operator sees every pod that runs tasks, wherever Airflow creates them.

    It comes after the proof, which knows for certain where that is.
    """
    if s.observed.unseen_tasks:
        return hold("TasksNotVisible", s.observed.unseen_tasks)
    if not s.release.settings.reads_offloaded and (stale := config_not_copied(s)):
        return stale
    return done("TasksVisible", "the operator can see every pod that runs tasks")


def rehearsed(s: Situation) -> Finding:
    """A rehearsal of the kill-switch is recorded and has not expired."""
    if s.release.settings == s.target:
        return done("Rehearsed", "the cut-over has taken place")
    if not s.spec.rehearsal.required:
        return done("NotRequired", "spec.rehearsal.required is false")
    found = attestation(s.observed.rollout, s.now)
    if found is None or isinstance(found, InvalidAttestation):
        why = (
            "there is no attestation"
            if found is None
            else f"the recorded attestation is invalid: {found.problem}"
        )
        return hold(
            "RehearsalRequired",
            f"the kill-switch must be rehearsed before the cut-over, and {why}. Rehearse it, then "
            f"attest the rehearsal with: kubectl xbr attest {s.observed.rollout.name} -n "
            f"{s.observed.rollout.namespace} --evidence URL",
            after=UNTIL_CHANGED,
        )
    return done(
        "Attested",
        f"attested by {found.by} at {found.at.isoformat()} ({found.evidence}); valid until "
        f"{found.expires_at.isoformat()}",
    )


def readers_delivered(s: Situation) -> Finding:
    """The object storage backend is delivered at threshold -1 (or a later step is)."""
    if s.release.settings.reads_offloaded:
        return done("ReadersDelivered", "the object storage backend is delivered")
    path = s.spec.backend.object_storage.path
    if path not in s.ledger.bases:
        return act(
            "RecordingBase",
            f"recording that values may be offloaded to {path}",
            WriteLedger(replace(s.ledger, bases=(*s.ledger.bases, path)), f"the base path {path}"),
        )
    return act(
        "DeliveringReaders",
        "delivering the object storage backend at threshold -1: every pod can read offloaded "
        "values, and none writes them" + (f"; {cost}" if (cost := tasks_cut_off(s)) else ""),
        SetValues(s.readers, s.release.revision),
    )


def readers_rolled(s: Situation) -> Finding:
    """Every pod has been replaced, and every task pod from before the delivery has ended."""
    if _past_readers(s):
        return done("PodsReplaced", "every pod can read offloaded values")
    rolled = _patient(s, fleet_rolled(s))
    delivered = s.ledger.delivered
    if rolled.progress is not Progress.DONE:
        return rolled
    return old_tasks_ended(s, delivered.at if delivered else None)


def readers_confirmed(s: Situation) -> Finding:
    """A process inside each pod loads the object storage backend."""
    if _past_readers(s):
        return done("ReadersConfirmed", "every pod can read offloaded values")
    return fleet_confirmed(s, s.release.settings)


def cut_over(s: Situation) -> Finding:
    """The target threshold is delivered."""
    if s.release.settings == s.target:
        return done("CutOver", f"threshold {s.target.threshold} is delivered")
    return act(
        "CuttingOver",
        "every pod that reads XCom can read offloaded values; delivering threshold "
        f"{s.target.threshold}",
        SetValues(s.target, s.release.revision),
    )


def cut_over_rolled(s: Situation) -> Finding:
    """Every long-lived pod has been replaced."""
    return _patient(s, fleet_rolled(s))


def cut_over_confirmed(s: Situation) -> Finding:
    """A process inside each pod loads the target threshold."""
    return fleet_confirmed(s, s.target)


def _patient(s: Situation, finding: Finding) -> Finding:
    delivered = s.ledger.delivered
    return no_longer_patient(s, finding, delivered.at if delivered else None)


def _past_readers(s: Situation) -> bool:
    return s.release.settings.offloads


ROLLOUT_TABLE: Final = (
    Step("sole-owner", "Refused", Condition.ACCEPTED, sole_owner),
    Step("release-found", "Refused", Condition.ACCEPTED, release_found),
    Step("no-helm-operation", "Held", Condition.ACCEPTED, no_helm_operation),
    Step("release-deployed", "Held", Condition.ACCEPTED, release_deployed),
    Step("not-suspended", "Suspended", Condition.ACCEPTED, not_suspended),
    Step("baseline-known", "Preparing", Condition.ACCEPTED, baseline_known),
    Step("path-kept", "Held", Condition.ACCEPTED, path_kept),
    Step("no-drift", "Drifted", Condition.ACCEPTED, no_drift),
    Step("executor-supported", "Refused", Condition.ACCEPTED, executor_supported),
    Step("pods-would-roll", "Held", Condition.ACCEPTED, pods_would_roll),
    Step("proven", "Proving", Condition.PROVEN, proven),
    Step("tasks-visible", "Held", Condition.PROVEN, tasks_visible),
    Step("calibrated", "Auditing", Condition.CALIBRATED, calibrated),
    Step("audited", "Auditing", Condition.AUDITED, audited),
    Step("rehearsed", "AwaitingRehearsal", Condition.REHEARSED, rehearsed),
    Step("build-confirmed", "AwaitingBuild", Condition.BUILD_CONFIRMED, build_confirmed),
    Step("armed", "Arming", Condition.ARMED, armed),
    Step("readers-delivered", "ReadersFirst", Condition.READERS_CONFIRMED, readers_delivered),
    Step("readers-rolled", "ReadersFirst", Condition.READERS_CONFIRMED, readers_rolled),
    Step("readers-confirmed", "ReadersFirst", Condition.READERS_CONFIRMED, readers_confirmed),
    Step(
        "build-still-confirmed", "AwaitingBuild", Condition.BUILD_CONFIRMED, build_still_confirmed
    ),
    Step("cut-over", "CuttingOver", Condition.OFFLOADING, cut_over),
    Step("cut-over-rolled", "CuttingOver", Condition.OFFLOADING, cut_over_rolled),
    Step("cut-over-confirmed", "CuttingOver", Condition.OFFLOADING, cut_over_confirmed),
    Step("still-armed", "Live", Condition.ARMED, still_armed, blocking=False),
    Step("census-fresh", "Live", Condition.OFFLOADING, census_fresh),
)
