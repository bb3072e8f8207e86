"""The pods that run tasks with KubernetesExecutor, wherever Airflow creates them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from xcom_rollout.clients.errors import Forbidden
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.decide.ledger import Component, Ledger, Proof
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.decide.requests import kill_request
from xcom_rollout.observe.written import MULTI_NAMESPACE, NAMESPACE_LIST, POD_NAMESPACE, Written
from xcom_rollout.release.pods import has_ended, list_task_pods, run_of

_TRUE: Final = ("true", "t", "1")
"""Values that Airflow accepts as true, in any case."""
_KEPT_ELSEWHERE: Final = (
    "it is not known in which namespaces tasks run: the value for the scheduler is defined "
    "elsewhere (valueFrom, or a variable in it: $NAME), and no proof saw it. Set the value itself "
    "instead"
)
_FACTS: Final = (
    "taskNamespaces.namespace",
    "taskNamespaces.multiNamespaceMode",
    "taskNamespaces.multiNamespaceModeNamespaceList",
)
"""What the probe saw of the options below (`xcom_probe.checks.loaded`), in their order."""
_OPTIONS: Final = (POD_NAMESPACE, MULTI_NAMESPACE, NAMESPACE_LIST)


@dataclass(frozen=True)
class Proven:
    """What the scheduler's proof shows about the current configuration."""

    proof: Proof | None = None
    """The newest one; None without any."""
    current: bool = False
    """Whether it is of the current configuration."""
    needed: bool = True
    """Whether nothing is delivered without one: what no proof has seen may be waited for then."""

    @classmethod
    def of(cls, ledger: Ledger, rollout: Rollout, digest: str) -> "Proven":
        """Args: `digest` the observed one, empty where it could not be made."""
        proof = ledger.proof(Component.SCHEDULER)
        return cls(
            proof,
            current=proof is not None and bool(digest) and proof.digest == digest,
            # A Live release does not repeat proofs, and a kill has no time for them.
            needed=ledger.delivered is None
            and ledger.kill is None
            and kill_request(rollout) is None,
        )

    @property
    def seen(self) -> tuple[str, str, str] | None:
        """The three options; None where the probe did not check them, as in an older version."""
        facts = dict(self.proof.facts) if self.proof is not None else {}
        if _FACTS[0] not in facts:
            return None
        single, multi, listed = (facts.get(name, "") for name in _FACTS)
        return single, multi, listed


@dataclass(frozen=True)
class TaskNamespaces:
    """Where Airflow creates task pods, in addition to the namespace of the release."""

    names: frozenset[str] = frozenset()
    remembered: frozenset[str] = frozenset()
    """Those that only a proof of an earlier configuration contains: there may be old pods."""
    unknown: str = ""
    """Why there may be others, and the remedy; empty where there are none."""


def task_pods(
    api: KubeApi, namespace: str, release: str, named: TaskNamespaces
) -> tuple[list[Json], str]:
    """Return the task pods, and why some cannot be seen; empty where all can.

    Args:
        namespace: of the rollout and of the release.
        named: where else tasks may run.

    Raises:
        KubeError: the cluster could not be asked.
    """
    found: list[Json] = []
    unseen = named.unknown
    for each in sorted(named.names | named.remembered | {namespace}):
        try:
            found += list_task_pods(api, each, release)
        except Forbidden as refused:
            if each in named.remembered:
                continue
            unseen = (
                f"[kubernetes_executor] lets tasks run in the namespace {each!r}, whose pods the "
                f"operator is not allowed to list and delete: {refused.message} (watchNamespaces)"
            )
    nameless = sorted(
        f"{pod['metadata']['name']} in {pod['metadata']['namespace']}"
        for pod in found
        if run_of(pod) is None and not has_ended(pod)
    )
    if nameless:
        more = f" and {len(nameless) - 1} more" if len(nameless) > 1 else ""
        unseen = (
            f"the pod {nameless[0]}{more} runs a task, and which one is not known: it lacks the "
            "annotations dag_id and run_id that KubernetesExecutor sets. Let pod_mutation_hook and "
            "the pod template add annotations instead of replacing them; the pod is waited for "
            "until it has ended"
        )
    return found, unseen


def task_namespaces(written: Written, proven: Proven) -> TaskNamespaces:
    """Return where tasks may run.

    The scheduler's proof saw the result of all of Airflow's sources. Where it is of an earlier
    configuration, what is written now wins: the proof is used only for what is not written, or not
    in a readable place. Further namespaces in it are searched as far as permitted, for earlier
    pods, and because a Secret may override what is written.
    """
    options = [written.values(option) for option in _OPTIONS]
    known = [[value for value in values if value is not None] for values in options]
    kept_elsewhere = [None in values for values in options]
    unreadable = _unreadable(written)
    seen = proven.seen
    if seen is None:
        now = _namespaces(*known)
        unknown = "" if kept_elsewhere[-1] else now.unknown
        if proven.needed and any(kept_elsewhere):
            unknown = _KEPT_ELSEWHERE
        return TaskNamespaces(now.names, unknown=unreadable or unknown)
    texts = [
        [*given, fact] if proven.current or elsewhere or not given else given
        for given, elsewhere, fact in zip(known, kept_elsewhere, seen, strict=True)
    ]
    now = _namespaces(*texts)
    unknown = _KEPT_ELSEWHERE if now.unknown and kept_elsewhere[-1] else now.unknown
    if proven.current:
        return TaskNamespaces(now.names, unknown=unreadable or unknown)
    names = _namespaces(known[0], texts[1], known[-1]).names
    before = _namespaces(*([fact] for fact in seen)).names
    return TaskNamespaces(names, (now.names | before) - names, unreadable or unknown)


def _unreadable(written: Written) -> str:
    if not written.unreadable:
        return ""
    return (
        f"the airflow.cfg in the ConfigMap {', '.join(written.unreadable)} cannot be parsed, so "
        "it is not known in which namespaces tasks run. Fix it with helm upgrade"
    )


def _namespaces(
    single: Iterable[str], multi: Iterable[str], lists: Iterable[str]
) -> TaskNamespaces:
    names = frozenset(name.strip() for name in single if name.strip())
    if not any(text.partition("#")[0].strip().lower() in _TRUE for text in multi):
        return TaskNamespaces(names)
    listed = {name.strip() for text in lists for name in text.split(",") if name.strip()}
    if listed:
        return TaskNamespaces(names | listed)
    return TaskNamespaces(
        names,
        unknown="[kubernetes_executor] multi_namespace_mode is on without "
        "multi_namespace_mode_namespace_list: tasks may run in any namespace. List the "
        "namespaces there",
    )
