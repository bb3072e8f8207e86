"""The tasks in workers, which are processes: the probe lists them from inside each worker's pod.

A kill waits for those of the runs that it has stopped, and stops runs whose tasks in old workers
outlast `spec.killSwitch.stopTasksAfter`. A look finds either all of them or the reason why not:
neither Airflow's rows nor Celery's answers show that one has ended.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from xcom_rollout.airflow_api.airflow import open_airflow
from xcom_rollout.airflow_api.task_instances import runs_of_instances
from xcom_rollout.clients.errors import ExternalError, Forbidden, KubeError, Malformed
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.clients.parallel import in_parallel
from xcom_rollout.decide.kill.writers import limit_is_over
from xcom_rollout.decide.ledger import Ledger, RecoveringRun, RunKey, RunStage
from xcom_rollout.decide.observed import Attempt, Rollout
from xcom_rollout.probe.attempts import (
    CONCURRENCY,
    InWorker,
    Worker,
    ask_worker,
    in_worker,
    look_key,
    uncached,
    worker_of,
)
from xcom_rollout.release.pods import container_status, has_ended, is_worker
from xcom_rollout.wiring import Clients

PACE: Final = 1.5
"""Seconds for which a look is reused, or as long as it took: each event of a pod requests one."""
_SHOWN: Final = 3


@dataclass(frozen=True)
class Look:
    """What was seen of tasks in workers.

    Attributes:
        stopped: the runs that had been seen stopped before it, and when.
        workers: the workers that were asked.
        attempts, unseen, unseen_since: as `Observed.attempts`, `unseen_tasks` and `unseen_since`.
        good_until: by the monotonic clock.
    """

    stopped: frozenset[tuple[RunKey, datetime | None]] = frozenset()
    workers: frozenset[Worker] = frozenset()
    attempts: tuple[Attempt, ...] = ()
    unseen: str = ""
    unseen_since: datetime | None = None
    good_until: float = 0.0


@dataclass(frozen=True)
class _Refused:
    """Why a worker could not be asked, and whether that may be temporary."""

    why: str
    passes: bool


def attempts_in_workers(
    clients: Clients, rollout: Rollout, ledger: Ledger, pods: Sequence[Json]
) -> Look:
    """Return the tasks in workers, and why some cannot be seen.

    Workers are only asked where a kill has stopped runs, or looks for those to stop. An answer from
    after these were seen stopped is reused for a moment: what was gone then has not come back.

    Args:
        pods: of the release, listed after Airflow was asked for the runs.
    """
    # A run that was cleared and stopped again counts as another one.
    stopped = frozenset((run.key, run.stopped_at) for run in _at(ledger, RunStage.STOPPED))
    if not stopped and not _looks_for_overdue(clients, rollout, ledger):
        return Look()
    living = [pod for pod in pods if is_worker(pod) and not has_ended(pod)]
    if not living:
        return Look()
    workers = frozenset(worker for pod in living if (worker := worker_of(pod)) is not None)
    known: Look | None = clients.memo.find(look_key(rollout))
    if (
        known is not None
        and time.monotonic() < known.good_until
        and stopped <= known.stopped
        and workers <= known.workers
    ):
        return known
    begin = time.monotonic()
    seen, refused = _ask_all(clients, rollout, sorted(workers, key=lambda worker: worker.pod))
    since = _since(clients, rollout, refused)
    strange = [
        f"the tasks in the worker {pod['metadata']['name']} cannot be seen: none of its "
        "containers is known to run Airflow (name that container worker)"
        for pod in living
        if _is_strange(pod)
    ]
    runs, problem = _runs_of(clients, rollout, ledger, [found for _, found in seen])
    attempts = tuple(_attempt(worker, found, runs) for worker, found in seen)
    unseen = [*(each.why for each in refused.values()), *strange]
    reasons = "; ".join([*unseen[:_SHOWN], *_more(unseen), *filter(None, [problem])])
    took = time.monotonic() - begin
    look = Look(
        stopped,
        workers,
        attempts,
        reasons,
        None if strange or problem else since,
        time.monotonic() + max(PACE, took),
    )
    clients.memo.put(look_key(rollout), look)
    return look


def _looks_for_overdue(clients: Clients, rollout: Rollout, ledger: Ledger) -> bool:
    kill = ledger.kill
    if kill is None or kill.finished_at is not None:
        return False
    return limit_is_over(rollout.spec, kill, clients.api.now())


def _since(
    clients: Clients, rollout: Rollout, refused: Mapping[Worker, _Refused]
) -> datetime | None:
    """Return since when the first of them does not answer; None where one never will.

    From the operator's memory: where that is lost, their time begins again.
    """
    key = ("workers without an answer", rollout.namespace, rollout.name)
    before: Mapping[Worker, datetime] = clients.memo.find(key) or {}
    now = clients.api.now()
    since = {worker: before.get(worker, now) for worker in refused}
    clients.memo.put(key, since)
    if not all(each.passes for each in refused.values()):
        return None
    return min(since.values(), default=None)


def _at(ledger: Ledger, *stages: RunStage) -> list[RecoveringRun]:
    kill = ledger.kill
    if kill is None or kill.finished_at is not None:
        return []
    return [run for run in kill.runs if run.stage in stages]


def _ask_all(
    clients: Clients, rollout: Rollout, workers: Sequence[Worker]
) -> tuple[list[tuple[Worker, InWorker]], dict[Worker, _Refused]]:
    answers = in_parallel(_asker(clients, rollout.namespace), workers, workers=CONCURRENCY)
    seen: list[tuple[Worker, InWorker]] = []
    refused: dict[Worker, _Refused] = {}
    for worker, answer in zip(workers, answers, strict=True):
        if isinstance(answer, _Refused):
            refused[worker] = answer
        else:
            seen += [(worker, found) for found in answer]
    return seen, refused


def _asker(clients: Clients, namespace: str) -> Callable[[Worker], tuple[InWorker, ...] | _Refused]:
    def ask(worker: Worker) -> tuple[InWorker, ...] | _Refused:
        try:
            answer = ask_worker(clients, namespace, worker)
            return in_worker(answer)
        except (KubeError, Malformed) as error:
            pod = uncached(clients).find(object_path(namespace, "pods", worker.pod))
            if pod is None or has_ended(pod) or worker_of(pod) != worker:
                # The first process of its container has ended, and with it each of them.
                return ()
            why = f"the tasks in the worker {worker.pod} cannot be seen: {_words(error)}"
            return _Refused(why, passes=not isinstance(error, Forbidden))

    return ask


def _words(error: ExternalError) -> str:
    if isinstance(error, Forbidden):
        remedy = "Allow the operator's account to get and create pods/exec there, as its chart does"
    else:
        remedy = (
            "The operator keeps retrying. If its node is lost, make sure that the node is down, "
            "then force-delete the pod"
        )
    return f"{error.message.rstrip('.')}. {remedy}"


def _is_strange(pod: Json) -> bool:
    """Whether its containers run, and none of them is known as the one that runs Airflow."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    running = any((status.get("state") or {}).get("running") for status in statuses)
    return running and container_status(pod) is None


def _more(unseen: Sequence[str]) -> list[str]:
    return [f"and likewise in {len(unseen) - _SHOWN} more"] if len(unseen) > _SHOWN else []


def _runs_of(
    clients: Clients, rollout: Rollout, ledger: Ledger, seen: Sequence[InWorker]
) -> tuple[dict[str, RunKey], str]:
    """Return the run of each task instance that Airflow returns, and why some are missing."""
    runs: dict[str, RunKey] = {}
    unknown: set[str] = set()
    for found in seen:
        if found.run is None and found.instance:
            known = clients.memo.find(_instance_key(rollout, found.instance))
            if known is None:
                unknown.add(found.instance)
            else:
                runs[found.instance] = known
    if not unknown:
        return runs, ""
    stopped = {run.key for run in _at(ledger, RunStage.STOPPED, RunStage.STOPPING)}
    try:
        airflow = open_airflow(
            clients.http, clients.api, clients.memo, clients.airflow_url, rollout
        )
        asked = runs_of_instances(airflow, unknown, stopped)
    except ExternalError as error:
        return runs, (
            f"{len(unknown)} tasks in workers are known only by the ID of their task instance, "
            f"and Airflow does not return which runs they belong to: {error.message}"
        )
    for instance, run in asked.items():
        clients.memo.put(_instance_key(rollout, instance), run)
    return {**runs, **asked}, ""


def _instance_key(rollout: Rollout, instance: str) -> tuple[str, str, str, str]:
    return ("run of a task instance", rollout.namespace, rollout.name, instance)


def _attempt(worker: Worker, found: InWorker, runs: dict[str, RunKey]) -> Attempt:
    return Attempt(
        pod=worker.pod,
        pod_uid=worker.uid,
        pid=found.pid,
        started=found.started,
        title=found.title[:200],
        run=found.run or runs.get(found.instance),
    )
