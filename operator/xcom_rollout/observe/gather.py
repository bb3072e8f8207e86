"""One look at everything that a decision needs."""

from dataclasses import replace

from xcom_rollout.decide.executors import executor_known
from xcom_rollout.decide.kill.same_look import serves_on
from xcom_rollout.decide.observed import Observed, Rollout
from xcom_rollout.deliver import delivery_for
from xcom_rollout.observe.airflow import asked_for, view
from xcom_rollout.observe.attempts import attempts_in_workers
from xcom_rollout.observe.configuration import look_at_configuration
from xcom_rollout.observe.copies import config_copies
from xcom_rollout.observe.jobs import list_jobs
from xcom_rollout.observe.ledger import read_ledger, written_ledger
from xcom_rollout.observe.pods import pods_of
from xcom_rollout.observe.rivals import list_rivals
from xcom_rollout.observe.task_pods import Proven, task_namespaces, task_pods
from xcom_rollout.observe.workloads import loose_pods, workload_of
from xcom_rollout.observe.written import written_for_scheduler
from xcom_rollout.release.catalog import config_maps
from xcom_rollout.release.objects import list_workloads
from xcom_rollout.release.pods import list_pods
from xcom_rollout.wiring import Clients


def observe(clients: Clients, rollout: Rollout) -> Observed:
    """Return the current state of a rollout.

    The order matters. The ledger comes first: what it records is then seen in the world too.
    Airflow comes before the pods: where a run is seen stopped and no pod of it is listed, there was
    none after the stop; likewise for the processes in workers.

    Raises:
        ExternalError: the cluster could not be asked, or the operator's own objects there cannot be
            read. What only a later step needs is reported in `problems` instead.
    """
    api, namespace = clients.api, rollout.namespace
    release = rollout.spec.airflow.release
    ledger = read_ledger(api, clients.memo, namespace, rollout.name)
    jobs = list_jobs(api, clients.memo, rollout, ledger)
    delivery = delivery_for(clients, rollout)
    current = delivery.current()
    airflow = view(clients, rollout, ledger) if asked_for(rollout, ledger) else None
    workloads = list_workloads(api, namespace, release)
    raw_pods = list_pods(api, namespace, release)
    maps = config_maps(api, clients.memo, namespace)
    written = written_for_scheduler(workloads, maps)
    executor = executor_known(written.executor, ledger)
    configuration = look_at_configuration(clients, rollout, current, workloads, raw_pods, executor)
    named = task_namespaces(written, Proven.of(ledger, rollout, configuration.digest))
    executor_pods, unseen = task_pods(api, namespace, release, named)
    copies = config_copies(api, clients.memo, namespace, named.names, workloads, maps)
    in_workers = attempts_in_workers(clients, rollout, ledger, raw_pods)
    return Observed(
        rollout=rollout,
        rivals=list_rivals(api, rollout),
        release=current,
        digest=configuration.digest,
        config_changed_at=copies.newest(configuration.changed_at),
        backend_hash=copies.hashed(configuration.backend_hash),
        workloads=tuple(workload_of(item, raw_pods) for item in workloads),
        pods=pods_of((*raw_pods, *executor_pods)),
        jobs=jobs,
        ledger=ledger,
        airflow=airflow,
        problems=configuration.problems,
        release_missing=delivery.missing() if current is None else "",
        samples_missing=configuration.samples_missing,
        loose_pods=loose_pods(workloads, raw_pods),
        executor=written.executor,
        task_namespaces=tuple(sorted(named.names)),
        stale_copies=copies.stale,
        copies_changed_at=copies.unchanged_since,
        unseen_tasks="; ".join(filter(None, (unseen, in_workers.unseen))),
        unseen_since=None if unseen else in_workers.unseen_since,
        attempts=in_workers.attempts,
        mount_lag=clients.mount_lag,
    )


def same_look(clients: Clients, observed: Observed) -> Observed | None:
    """Return the same look with the current ledger, None where a new look is needed.

    Raises:
        ExternalError: the ledger could not be read.
    """
    rollout = observed.rollout
    ledger = written_ledger(clients.api, clients.memo, rollout.namespace, rollout.name)
    return replace(observed, ledger=ledger) if serves_on(observed.ledger, ledger) else None
