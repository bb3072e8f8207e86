"""The pods that run tasks with KubernetesExecutor, wherever Airflow makes them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from xcom_rollout.clients.errors import Forbidden
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.decide.ledger import Proof
from xcom_rollout.observe.written import MULTI_NAMESPACE, NAMESPACE_LIST, POD_NAMESPACE, Written
from xcom_rollout.release.pods import list_task_pods

_TRUE: Final = ("true", "t", "1")
"""What Airflow takes for true, in any case."""


@dataclass(frozen=True)
class TaskNamespaces:
    """Where Airflow makes task pods, beside the namespace of the release."""

    names: frozenset[str] = frozenset()
    unknown: str = ""
    """Why there may be others, and what to do; empty where there are none."""


def task_pods(
    api: KubeApi, namespace: str, release: str, written: Written, proof: Proof | None
) -> tuple[list[Json], str]:
    """Return the task pods, and why some cannot be seen; empty where all can.

    Args:
        namespace: of the rollout and of the release.
        written: for the scheduler, which makes the pods.
        proof: of the scheduler, the newest one; None without any.

    Raises:
        KubeError: the cluster could not be asked.
    """
    named = task_namespaces(written, proof)
    found: list[Json] = []
    unseen = named.unknown
    for each in sorted(named.names | {namespace}):
        try:
            found += list_task_pods(api, each, release)
        except Forbidden as refused:
            unseen = (
                f"[kubernetes_executor] lets tasks run in the namespace {each!r}, whose pods the "
                f"operator may not list and delete: {refused.message} (watchNamespaces)"
            )
    return found, unseen


def task_namespaces(written: Written, proof: Proof | None) -> TaskNamespaces:
    """Return where tasks may run.

    What the scheduler's proof saw is what Airflow itself makes of all its sources. It is of the
    moment of the proof, so what is written now counts too.
    """
    proven = None if proof is None else _proven(proof)
    every = [_written(written, known=proven is not None), *([] if proven is None else [proven])]
    return TaskNamespaces(
        frozenset().union(*(each.names for each in every)),
        next((each.unknown for each in every if each.unknown), ""),
    )


def _proven(proof: Proof) -> TaskNamespaces | None:
    """Return what the probe saw (`xcom_probe.checks.loaded`); None where it did not look."""
    facts = dict(proof.facts)
    if "taskNamespaces.namespace" not in facts:
        return None
    return _namespaces(
        [facts["taskNamespaces.namespace"]],
        [facts.get("taskNamespaces.multiNamespaceMode", "")],
        [facts.get("taskNamespaces.multiNamespaceModeNamespaceList", "")],
    )


def _written(written: Written, *, known: bool) -> TaskNamespaces:
    """Args: `known` whether a proof tells what is not written where it can be read."""
    if written.unreadable:
        return TaskNamespaces(
            unknown=f"the airflow.cfg in the ConfigMap {', '.join(written.unreadable)} cannot be "
            "parsed, so the namespaces in which it lets tasks run are not known. Mend it by helm "
            "upgrade"
        )
    options = [
        written.values(option) for option in (POD_NAMESPACE, MULTI_NAMESPACE, NAMESPACE_LIST)
    ]
    seen = _namespaces(*([value for value in values if value is not None] for values in options))
    if known or not any(None in values for values in options):
        return seen
    return TaskNamespaces(
        seen.names,
        "a variable of the scheduler says in which namespaces tasks run, its value is kept "
        "elsewhere (valueFrom), and no proof saw it. Write the value itself in its place",
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
        "[kubernetes_executor] multi_namespace_mode is on without "
        "multi_namespace_mode_namespace_list: tasks may run in any namespace. Name the "
        "namespaces there",
    )
