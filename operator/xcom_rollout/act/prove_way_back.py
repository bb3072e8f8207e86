"""Check everything that a kill will need, and record what is missing."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from xcom_rollout.act.write_ledger import write_ledger
from xcom_rollout.airflow_api.airflow import open_airflow
from xcom_rollout.airflow_api.rights import DagRights, describe_missing
from xcom_rollout.clients.access_review import allowed
from xcom_rollout.clients.errors import AirflowError, AirflowFault, ExternalError
from xcom_rollout.decide.actions import ProveWayBack
from xcom_rollout.decide.ledger import Component, Ledger, WayBack
from xcom_rollout.decide.observed import Observed, Rollout
from xcom_rollout.deliver import delivery_for
from xcom_rollout.wiring import Clients

TRIES: Final = 3
"""How often Airflow is asked in one pass. Each time has several requests, and a connection lost in
one of them would hold the rollout for half a minute."""


def prove_way_back(clients: Clients, observed: Observed, action: ProveWayBack) -> None:
    """Check, without changing Airflow or its release, and write what is missing to the ledger.

    Raises:
        ExternalError: the ledger could not be written, or has been written meanwhile.
    """
    problems = (
        *_of_airflow(clients, observed.rollout, _dags(observed.ledger)),
        *_of_pods(clients, observed),
        *_of_workers(clients, observed),
        *_of_delivery(clients, observed.rollout, action),
    )
    found = WayBack(action.digest, clients.api.now(), tuple(problems))
    write_ledger(clients, observed.rollout, replace(observed.ledger, way_back=found))


def _dags(ledger: Ledger) -> frozenset[str]:
    """Return the DAGs that a kill would have to handle now, by the last census."""
    runs = () if ledger.census is None else ledger.census.runs
    return frozenset(run.key.dag_id for run in runs)


def _of_airflow(clients: Clients, rollout: Rollout, dag_ids: frozenset[str]) -> list[str]:
    key = (rollout.namespace, rollout.name, rollout.uid, rollout.generation)
    rights = DagRights(clients.memo, key, clients.api.now())
    problem = ""
    for _ in range(TRIES):
        try:
            airflow = open_airflow(
                clients.http, clients.api, clients.memo, clients.airflow_url, rollout
            )
            return list(describe_missing(airflow, rights, dag_ids))
        except ExternalError as error:
            problem = error.message
            if not _is_of_a_moment(error):
                break
    return [f"spec.airflow.api: {problem}"]


def _of_pods(clients: Clients, observed: Observed) -> Iterator[str]:
    """Yield the namespaces that can have task pods and where the operator may not end them."""
    namespace = observed.rollout.namespace
    with_pods = (pod.namespace or namespace for pod in observed.pods)
    for place in sorted({namespace, *observed.task_namespaces, *with_pods}):
        try:
            if allowed(clients.api, "delete", "pods", namespace=place):
                continue
        except ExternalError as error:
            yield error.message
            continue
        yield (
            f"the operator is not allowed to delete pods in the namespace {place}, where Airflow "
            "runs: a kill deletes task pods with the earlier configuration. Add the namespace to "
            "watchNamespaces of the operator's chart, or bind its ServiceAccount to a Role with "
            "that permission there"
        )


def _of_workers(clients: Clients, observed: Observed) -> Iterator[str]:
    """Yield why workers cannot be asked for the tasks in them, where there are workers."""
    namespace = observed.rollout.namespace
    # By the workloads: one that is scaled to zero may have workers again during a kill.
    if not any(load.component == Component.WORKER for load in observed.workloads):
        return
    # Which of the two is needed depends on the version of the API server.
    for verb in ("get", "create"):
        try:
            if allowed(clients.api, verb, "pods", subresource="exec", namespace=namespace):
                continue
        except ExternalError as error:
            yield error.message
            continue
        yield (
            f"the operator is not allowed to {verb} pods/exec in the namespace {namespace}: a "
            "kill inspects the tasks in workers. Bind its ServiceAccount to a Role with that "
            "permission there, as the operator's chart does"
        )


def _is_of_a_moment(error: ExternalError) -> bool:
    """Whether there was no answer, or a failure, which is unrelated to the rights."""
    return isinstance(error, AirflowError) and (
        error.fault is AirflowFault.UNREACHABLE or error.is_failure
    )


def _of_delivery(clients: Clients, rollout: Rollout, action: ProveWayBack) -> Iterator[str]:
    delivery = delivery_for(clients, rollout)
    try:
        delivery.keep_chart()
        yield from delivery.forecast(action.settings)
    except ExternalError as error:
        yield error.message
