"""Look, by a process inside each pod, which backend it loads."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from xcom_rollout.act.write_ledger import write_ledger
from xcom_rollout.clients.errors import ActionFailed, KubeError, Malformed
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.parallel import in_parallel
from xcom_rollout.clients.times import parse_time
from xcom_rollout.decide.actions import ConfirmReaders
from xcom_rollout.decide.ledger import Reader
from xcom_rollout.decide.observed import Observed
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.probe import result as probe_output
from xcom_rollout.probe.exec import CONCURRENCY, TIMEOUT, ask_probe
from xcom_rollout.probe.parts import needed_part
from xcom_rollout.release.pods import (
    container_status,
    list_pods,
    list_task_pods,
    running_since,
    runs_task,
)
from xcom_rollout.wiring import Clients

LIVE: Final = ("inspect", "--markers")
OF_TASK: Final = ("configured", "--markers")
"""Without importing Airflow: the memory for a second one could get the task killed."""
TASK_TIMEOUT: Final = 15.0
"""Seconds for the pod of a task: an inspection takes a fraction of a second."""
TASK_CONCURRENCY: Final = 8
"""Pods of tasks to inspect at a time: no Airflow is imported in them."""


@dataclass(frozen=True)
class Target:
    """A running container to inspect."""

    namespace: str
    pod: str
    uid: str
    container: str
    started_at: datetime
    runs_task: bool


def confirm_readers(clients: Clients, observed: Observed, action: ConfirmReaders) -> None:
    """Inspect the pods and record what each loads, in one write of the ledger.

    A pod that cannot be inspected is recorded with the reason. One whose container was replaced or
    has ended meanwhile is not recorded; the next pass sees its replacement.

    Raises:
        ActionFailed: none of the pods runs.
        ExternalError: the cluster could not be asked, or the ledger has been written meanwhile.
    """
    before = _running(clients.api, observed)
    targets = [before[pod.uid] for pod in action.pods if pod.uid in before]
    if not targets:
        raise ActionFailed(
            f"none of the pods {', '.join(pod.name for pod in action.pods)} is still running",
            retry_after=2.0,
        )
    light = all(target.runs_task for target in targets)
    readers = in_parallel(
        _looker(clients), targets, workers=TASK_CONCURRENCY if light else CONCURRENCY
    )
    after = _running(clients.api, observed)
    write_ledger(
        clients,
        observed.rollout,
        replace(observed.ledger, readers=merged(observed.ledger.readers, readers, after.values())),
    )


def merged(
    known: Iterable[Reader], seen: Iterable[Reader], running: Iterable[Target]
) -> tuple[Reader, ...]:
    """Return what is known of the containers that run now; what was just seen is preferred."""
    alive = {(target.uid, target.started_at) for target in running}
    by_container = {(reader.uid, reader.started_at): reader for reader in (*known, *seen)}
    kept = (reader for container, reader in by_container.items() if container in alive)
    return tuple(sorted(kept, key=lambda reader: reader.pod))


def _looker(clients: Clients) -> Callable[[Target], Reader]:
    def look(target: Target) -> Reader:
        settings, error, unseen, outdated = BackendSettings(), "", "", False
        probe, arguments, timeout = clients.probe, LIVE, TIMEOUT
        if target.runs_task:
            probe, arguments, timeout = needed_part(probe, OF_TASK[0]), OF_TASK, TASK_TIMEOUT
        try:
            answer = ask_probe(
                clients.api,
                target.namespace,
                target.pod,
                target.container,
                probe,
                arguments,
                timeout=timeout,
            )
            outdated = probe_output.changed_beneath(answer)
            settings = probe_output.loaded_settings(answer)
            unseen = probe_output.unseen_start(answer)
        except (KubeError, Malformed) as problem:
            error = problem.message
        return Reader(
            pod=target.pod,
            uid=target.uid,
            started_at=target.started_at,
            settings=settings,
            seen_at=clients.api.now(),
            error=error,
            unseen=unseen,
            outdated=outdated,
        )

    return look


def _running(api: KubeApi, observed: Observed) -> dict[str, Target]:
    """Return the running main containers of the pods that can read XCom, by the pod's UID."""
    namespace, release = observed.rollout.namespace, observed.rollout.spec.airflow.release
    items = list_pods(api, namespace, release)
    for each in sorted({pod.namespace for pod in observed.pods if pod.run is not None}):
        items += list_task_pods(api, each, release)
    return {target.uid: target for item in items if (target := _target(item)) is not None}


def _target(item: Json) -> Target | None:
    status = container_status(item)
    started = running_since(status)
    if status is None or not started:
        return None
    metadata = item["metadata"]
    return Target(
        metadata["namespace"],
        metadata["name"],
        metadata["uid"],
        status["name"],
        parse_time(started),
        runs_task=runs_task(item),
    )
