"""What runs Airflow: executor, task pods, and the workloads that read XCom."""

from collections.abc import Iterable, Sequence
from typing import Final

from xcom_rollout.decide.check.installed import Installed, Part
from xcom_rollout.decide.check.row import Row, change, later, supported, unknown
from xcom_rollout.decide.copies import copy_command, stale_copies
from xcom_rollout.decide.decision import Finding, Progress
from xcom_rollout.decide.executors import written_executor
from xcom_rollout.decide.observed import Workload
from xcom_rollout.decide.probe_jobs import MAY_CONNECT
from xcom_rollout.decide.release_steps import would_roll
from xcom_rollout.decide.rolling import fleet_rolled, tasks_cut_off
from xcom_rollout.decide.situation import Situation, some

_CONFIGURED: Final = (Part.WORKLOADS, Part.CONFIG_MAPS)
"""Parts needed to read airflow.cfg."""


def executor_row(s: Situation, installed: Installed) -> Row:
    subject = "executor"
    missing = installed.lacks(*_CONFIGURED)
    if missing:
        return unknown(subject, missing)
    finding = written_executor(s.observed.executor)
    if finding.progress is Progress.HELD:
        return held(
            subject,
            finding,
            "set executor: KubernetesExecutor, or CeleryExecutor, in the chart's values",
        )
    if not s.observed.executor:
        return later(subject, finding.message, reason="ExecutorNotSupported")
    return supported(subject, finding.message)


def task_rows(s: Situation, installed: Installed) -> Iterable[Row]:
    """Say where tasks run."""
    subject = "task pods"
    missing = installed.lacks(*_CONFIGURED)
    if missing:
        yield unknown(subject, missing)
        return
    observed = s.observed
    if observed.unseen_tasks:
        yield change(subject, observed.unseen_tasks, reason="TasksNotVisible")
    others = sorted(set(observed.task_namespaces) - {installed.namespace})
    if others:
        every = ", ".join((installed.namespace, *others))
        yield later(
            f"{subject}: namespaces",
            f"tasks also run in the namespaces {some(others)}",
            f"set watchNamespaces in the operator's chart: [{every}]",
            reason="TasksNotVisible",
        )
        yield _copies_row(f"{subject}: configuration", s, installed, others)
    elif installed.tasks_kept_elsewhere:
        yield later(subject, installed.tasks_kept_elsewhere, reason="TasksNotVisible")
    elif not observed.unseen_tasks:
        yield supported(subject, f"in the namespace {installed.namespace}")


def _copies_row(subject: str, s: Situation, installed: Installed, others: Sequence[str]) -> Row:
    if stale := s.observed.stale_copies:
        return change(
            subject,
            stale_copies(stale),
            copy_command(installed.namespace, stale[0]),
            reason="ConfigNotCopied",
        )
    return later(
        subject,
        f"task pods in {some(others)} mount ConfigMaps of that namespace, which a delivery does "
        "not change",
        "copy the ConfigMap with airflow.cfg to that namespace after each change: a rollout and a "
        "kill wait for the copy",
        reason="ConfigNotCopied",
    )


def reader_rows(s: Situation, installed: Installed) -> Iterable[Row]:
    """Say what reads XCom, and whether a delivery replaces its pods."""
    subject = "readers"
    if missing := installed.lacks(Part.WORKLOADS):
        yield unknown(subject, missing)
        return
    missing = installed.lacks(Part.PODS)
    if missing:
        yield unknown(f"{subject}: pods", missing)
    loads = s.observed.workloads
    if not loads:
        yield held(subject, fleet_rolled(s))
        return
    if cost := tasks_cut_off(s):
        yield supported(
            f"{subject}: workers",
            cost,
            "set terminationGracePeriodSeconds of the workers longer than your longest task, or "
            "flip while no such task runs",
        )
    rolls = would_roll(s)
    if rolls.progress is Progress.HELD:
        yield held(f"{subject}: replacement", rolls)
    staying = {load.name for load in loads if load.wont_roll}
    rolling = [load for load in loads if load.name not in staying]
    if rolling:
        yield supported(subject, some(rolling, most=12, words=_load))
    own = [load for load in loads if load.oldest_pod is not None]
    if own:
        commands = "; ".join(
            f"kubectl rollout restart {load.kind.lower()} {load.name}" for load in own
        )
        yield later(
            f"{subject}: your own",
            f"{some([load.name for load in own])}: runs Airflow and is not part of the chart. A "
            "delivery does not replace its pods, so each delivery waits until you restart them",
            f"after each delivery: {commands}",
            reason="PodsNotReplaced",
        )
    waiting = [load for load in loads if not load.rolled]
    if waiting and not missing:
        yield later(
            f"{subject}: pods",
            some(waiting, words=lambda load: f"{load.component or load.name}: {load.progress}"),
            "find out why they are not ready: kubectl describe pod",
            reason="PodsNotReplaced",
        )


def policy_rows(installed: Installed) -> Iterable[Row]:
    """Say what may keep the pods of the operator's Jobs from the database and the bucket."""
    subject = "network policies"
    if missing := installed.lacks(Part.NETWORK_POLICIES):
        yield unknown(subject, missing)
    elif installed.network_policies:
        yield later(
            subject,
            f"{some(installed.network_policies)} may block the pods of proofs from the database "
            "and the bucket",
            MAY_CONNECT,
            reason="ProofError",
        )


def held(subject: str, finding: Finding, remedy: str = "") -> Row:
    """Return the row of a finding that would hold a rollout; its message contains the remedy."""
    return change(subject, finding.message, remedy, reason=finding.reason)


def _load(load: Workload) -> str:
    kind = "" if load.kind == "Deployment" else f" ({load.kind})"
    return f"{load.component or load.name} {load.replicas}{kind}"
