"""End processes of stopped runs in workers."""

from collections.abc import Callable, Sequence
from functools import partial

from xcom_rollout.act.outcomes import each_run
from xcom_rollout.clients.errors import ActionFailed, ExternalError, KubeError, Malformed
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.clients.parallel import in_parallel
from xcom_rollout.decide.actions import EndAttempts
from xcom_rollout.decide.ledger import RunKey
from xcom_rollout.decide.observed import Attempt, Observed
from xcom_rollout.probe.attempts import (
    CONCURRENCY,
    ask_worker,
    look_key,
    refused,
    uncached,
    worker_of,
)
from xcom_rollout.wiring import Clients


def end_attempts(clients: Clients, observed: Observed, action: EndAttempts) -> None:
    """End each process, unless it has ended, or another one has its PID by now.

    One request for each worker. What it refuses is recorded for the runs of these processes.

    Raises:
        ExternalError: an error could not be recorded.
    """
    by_pod: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in action.attempts:
        if attempt.run is not None:
            by_pod.setdefault((attempt.pod, attempt.pod_uid), []).append(attempt)
    failed: dict[RunKey, ExternalError] = {}
    try:
        end = _ender(clients, observed.rollout.namespace)
        for problems in in_parallel(end, by_pod.values(), workers=CONCURRENCY):
            for run, error in problems.items():
                failed.setdefault(run, error)
    finally:
        clients.memo.forget(look_key(observed.rollout))
    runs = {attempt.run for attempts in by_pod.values() for attempt in attempts if attempt.run}
    each_run(
        clients, observed, [(run, partial(_raise_if, failed.get(run))) for run in sorted(runs)]
    )


def _ender(
    clients: Clients, namespace: str
) -> Callable[[Sequence[Attempt]], dict[RunKey, ExternalError]]:
    def end(attempts: Sequence[Attempt]) -> dict[RunKey, ExternalError]:
        """Ask one worker; return what went wrong for which run."""
        first = attempts[0]
        try:
            pod = uncached(clients).find(object_path(namespace, "pods", first.pod))
            worker = None if pod is None else worker_of(pod)
            if worker is None or worker.uid != first.pod_uid:
                return {}  # with its pod, or its container, each of its processes has ended
            named = [(attempt.pid, attempt.started) for attempt in attempts]
            why = refused(ask_worker(clients, namespace, worker, end=named))
        except (KubeError, Malformed) as error:
            failure = error.reworded(
                f"no task in the worker {first.pod} could be stopped: {error.message}"
            )
            return {attempt.run: failure for attempt in attempts if attempt.run is not None}
        return {
            attempt.run: ActionFailed(
                f"process {attempt.pid} in the worker {attempt.pod} could not be stopped: "
                f"{why[attempt.pid, attempt.started]}. A task with run_as_user belongs to that "
                "user; wait for it, or stop it as root"
            )
            for attempt in attempts
            if attempt.run is not None and (attempt.pid, attempt.started) in why
        }

    return end


def _raise_if(error: ExternalError | None) -> None:
    if error is not None:
        raise error
