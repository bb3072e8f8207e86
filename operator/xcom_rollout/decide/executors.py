"""Which executors Airflow has, and whether the kill-switch is known to be safe with them.

A table: where each executor runs tasks, and what is known of tasks there. What was measured, and
how, is in docs/airflow.md, "Executors".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.ledger import PROVEN_COMPONENTS, Component, Ledger
from xcom_rollout.decide.situation import Situation
from xcom_rollout.decide.table import done, hold


class Host(StrEnum):
    """Where an attempt of a task runs."""

    TASK_POD = "task pods"
    WORKER = "worker pods"
    SCHEDULER = "the scheduler's own pod"


@dataclass(frozen=True)
class HostFacts:
    """What is known of tasks that run in one kind of place.

    Attributes:
        old_writer: what still runs with the settings from before a delivery.
        known_gone: what shows that nothing of it is left.
        stopped: how a running attempt is brought to its end.
        rolled: what happens to running tasks when their host is replaced.
        unproven: why nothing is delivered to a release whose tasks run there; empty: supported.
    """

    old_writer: str
    known_gone: str
    stopped: str
    rolled: str
    unproven: str = ""


HOSTS: Final = {
    Host.TASK_POD: HostFacts(
        old_writer="a task pod that was made before the delivery",
        known_gone="the pod no longer exists, or has ended",
        stopped="its run is set to failed, then its pod is deleted",
        rolled="nothing: no roll replaces a task pod",
    ),
    Host.WORKER: HostFacts(
        old_writer="a worker that started before the delivery, whatever it runs and whenever that "
        "was sent: its processes are forks of the one that read the configuration",
        known_gone="the worker's pod no longer exists, and each existing one was inspected. "
        "Neither Airflow's rows nor Celery's answers show that a process has ended in a pod that "
        "keeps running",
        stopped="its run is set to failed; the process that watches it asks Airflow and ends it, "
        "10 to 70 s later, unless that process itself was lost; then it is ended",
        rolled="they end within the pod's grace period, while it takes no others; the rest are "
        "killed, and fail when their heartbeats have been missing for long",
    ),
    Host.SCHEDULER: HostFacts(
        old_writer="a scheduler that started before the delivery, with everything that it runs",
        known_gone="the scheduler's pod no longer exists",
        stopped="as in a worker",
        rolled="Airflow 2: they fail at once, for the signal reaches them too. Airflow 3: they end "
        "within the pod's grace period. What is killed runs again, retries or not",
        unproven="tasks run in the scheduler's own pod, so each delivery ends running ones (at "
        "once on Airflow 2, after the pod's grace period on Airflow 3); that a running attempt was "
        "stopped is not proven yet",
    ),
}


@dataclass(frozen=True)
class Executor:
    """An executor that Airflow brings.

    Attributes:
        name: as `[core] executor` may name it.
        classes: its class by the paths that some version of Airflow 2 or 3 knows.
        hosts: where its tasks run; with several, each task's queue decides.
    """

    name: str
    classes: tuple[str, ...]
    hosts: tuple[Host, ...]

    @property
    def unproven(self) -> str:
        """Why nothing is delivered to a release that has it; empty: supported."""
        return "; ".join(HOSTS[host].unproven for host in self.hosts if HOSTS[host].unproven)


def _row(name: str, module: str, *hosts: Host, provider: str = "") -> Executor:
    classes = [f"airflow.executors.{module}.{name}"]
    if provider:
        # Before 2.7 it was Airflow's own; 2.x still accepts that path.
        classes.insert(0, f"airflow.providers.{provider}.executors.{module}.{name}")
    return Executor(name, tuple(classes), hosts)


_KUBERNETES: Final = "cncf.kubernetes"
EXECUTORS: Final = (
    _row("KubernetesExecutor", "kubernetes_executor", Host.TASK_POD, provider=_KUBERNETES),
    _row("CeleryExecutor", "celery_executor", Host.WORKER, provider="celery"),
    _row("LocalExecutor", "local_executor", Host.SCHEDULER),
    _row("SequentialExecutor", "sequential_executor", Host.SCHEDULER),
    _row(
        "CeleryKubernetesExecutor",
        "celery_kubernetes_executor",
        Host.WORKER,
        Host.TASK_POD,
        provider="celery",
    ),
    _row(
        "LocalKubernetesExecutor",
        "local_kubernetes_executor",
        Host.SCHEDULER,
        Host.TASK_POD,
        provider=_KUBERNETES,
    ),
)
_BY_NAME: Final = {
    name: executor for executor in EXECUTORS for name in (executor.name, *executor.classes)
}


_POOLS: Final = ("prefork", "processes")
"""Values of `[celery] pool`; the second is an alias of the first."""


@dataclass(frozen=True)
class Named:
    """One executor of `[core] executor`.

    Attributes:
        name: its name or its class, as written.
        alias: what tasks may call it; empty: none.
        team: whose tasks it runs (Airflow 3); empty: those of everybody.
    """

    name: str
    alias: str = ""
    team: str = ""

    @property
    def executor(self) -> Executor | None:
        """The row of the table; None: Airflow does not bring it, so nothing is known of it.

        A class of the same name from elsewhere may do anything.
        """
        return _BY_NAME.get(self.name)

    @property
    def refused(self) -> str:
        """Why nothing is delivered to a release that has it; empty: it is supported."""
        if self.executor is None:
            return f"{self.name}: not known; it may run tasks anywhere"
        if self.executor.unproven:
            return f"{self.executor.name}: {self.executor.unproven}"
        if self.team:
            return (
                f"{self.executor.name} of the team {self.team!r}: a team has its own "
                "configuration, so where its tasks run is not known"
            )
        return ""


def named_executors(option: str) -> tuple[Named, ...]:
    """Return what `[core] executor` names, in its order.

    One of `NAME`, `CLASS`, `ALIAS:CLASS`, several with commas (2.10), and on Airflow 3 such a list
    for everybody, then others for teams: `LIST;TEAM=LIST`. As Airflow reads it (ExecutorLoader of
    2.11.2 and 3.3.2), and stricter: blanks and empty parts are not names.

    Raises:
        ValueError: no version of Airflow should take it; the message says why.
    """
    found: list[Named] = []
    for group in option.split(";"):
        team, equals, names = group.rpartition("=")
        team = team.strip()
        if "=" in team:
            raise ValueError(f"{group.strip()!r} has more than one '='")
        if equals and not team:
            raise ValueError(f"{group.strip()!r} has no name of a team before the '='")
        if not team and found:
            raise ValueError("the executors of everybody are one list, before those of teams")
        if team and not found:
            raise ValueError("no executor is for everybody, only for teams")
        if team in {named.team for named in found if named.team}:
            raise ValueError(f"the team {team!r} is there more than once")
        found.extend(_list(names, team))
    return tuple(found)


def _list(names: str, team: str) -> Iterable[Named]:
    found: list[Named] = []
    for part in names.split(","):
        alias, colon, name = part.strip().rpartition(":")
        if not name or ":" in alias or (colon and not alias):
            raise ValueError(f"{part.strip()!r} is neither a name nor ALIAS:NAME")
        if any(character.isspace() for character in alias + name):
            raise ValueError(f"{part.strip()!r} has blanks in it")
        named = Named(name, alias, team)
        if any((named.executor or name) == (other.executor or other.name) for other in found):
            raise ValueError(f"{name} is there more than once")
        found.append(named)
    return found


def unsupported(option: str) -> str:
    """Return why nothing is delivered to a release with this `[core] executor`; empty: supported.

    All executors of a list are checked: a task may choose any of them.
    """
    try:
        named = named_executors(option)
    except ValueError as error:
        return f"It cannot be read: {error}"
    return ". ".join(dict.fromkeys(filter(None, (each.refused for each in named))))


def hosts_of(option: str) -> frozenset[Host]:
    """Return where tasks may run with this `[core] executor`, as far as known.

    Empty where the option cannot be read: it is refused for that reason.
    """
    try:
        return frozenset(_hosts(named_executors(option)))
    except ValueError:
        return frozenset()


def _hosts(named: Iterable[Named]) -> tuple[Host, ...]:
    hosts = (host for each in named if each.executor for host in each.executor.hosts)
    return tuple(dict.fromkeys(hosts))


def proven_components(option: str) -> tuple[Component, ...]:
    """Return those whose pod templates are proven with this `[core] executor`.

    Where tasks run both in workers and in pods of their own, each has its own template: image,
    environment and volumes of one say nothing about the other's.
    """
    if {Host.TASK_POD, Host.WORKER} <= hosts_of(option):
        return (*PROVEN_COMPONENTS, Component.TASK_POD)
    return PROVEN_COMPONENTS


def executor_known(written: str, ledger: Ledger) -> str:
    """Return `[core] executor` as written for the scheduler, else as its newest proof saw it.

    Empty where neither has it.
    """
    proof = ledger.proof(Component.SCHEDULER)
    return written or (proof.executor if proof is not None else "")


def pool_unsupported(option: str, pool: str) -> str:
    """Return why nothing is delivered to a release whose workers have this `[celery] pool`.

    Args:
        option: `[core] executor`.
        pool: as a worker's proof saw it; empty where it has no value.

    Raises:
        ValueError: the executor cannot be read.
    """
    if Host.WORKER not in _hosts(named_executors(option)) or pool in ("", *_POOLS):
        return ""
    return (
        f"A worker of Celery runs its tasks with [celery] pool = {pool!r}: only with "
        f"{' or '.join(_POOLS)} is each a process of its own, which can be seen and ended"
    )


def executor_supported(s: Situation) -> Finding:
    """What is written for the scheduler names no executor that the kill-switch is not safe with.

    Only the proof knows for certain, at the price of a Job in pods that another executor may not
    have.
    """
    if s.release.settings == s.target:
        return done("ExecutorSupported", "the proven settings are delivered")
    return written_executor(s.observed.executor)


def written_executor(written: str) -> Finding:
    """Return whether the kill-switch is safe with this `[core] executor`; empty: not known."""
    if written and (why := unsupported(written)):
        return not_supported(f"the scheduler is configured with [core] executor = {written!r}", why)
    return done("ExecutorSupported", written or "the proof shows which executor runs")


def not_supported(seen: str, why: str) -> Finding:
    """Hold: what was seen of `[core] executor`, and why nothing is delivered."""
    possible = ", ".join(each.name for each in EXECUTORS if not each.unproven)
    return hold(
        "ExecutorNotSupported",
        f"{seen}. {why}. Nothing is delivered to this release. The kill-switch is only known to be "
        f"safe with {possible} and lists of these: set [core] executor to one, or leave the "
        "backend as it is",
    )
