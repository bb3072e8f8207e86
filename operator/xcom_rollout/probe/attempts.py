"""The probe's command `attempts`: the request to a worker, and its answer.

It runs every second or two while a kill waits, so it is sent only the part of the probe that it
needs (`parts`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from xcom_rollout.clients.errors import Malformed
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.decide.ledger import RunKey, Verdict
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.probe.exec import ask_probe
from xcom_rollout.probe.parts import needed_part
from xcom_rollout.probe.result import checks, verdict
from xcom_rollout.release.pods import container_status, running_since
from xcom_rollout.wiring import Clients

TIMEOUT: Final = 15.0
"""Seconds for one worker: a look takes 0.1 s, and `--end` waits up to 3 s."""
CONCURRENCY: Final = 8
"""Workers to ask at a time; each answers within a second."""
Named = tuple[int, int]
"""PID and start of a process."""


@dataclass(frozen=True)
class InWorker:
    """A process of a task, as the probe saw it.

    Attributes:
        pid, started, title: as in `decide.observed.Attempt`.
        run: None where the title does not contain it.
        instance: ID of the task instance, where the title has that instead (Airflow 3); else "".
    """

    pid: int
    started: int
    title: str
    run: RunKey | None
    instance: str


@dataclass(frozen=True)
class Worker:
    """The running main container of a worker."""

    pod: str
    uid: str
    container: str
    started_at: str


def worker_of(pod: Json) -> Worker | None:
    """Return the running main container of a worker; None where it does not run."""
    status = container_status(pod)
    started = running_since(status)
    if status is None or not started:
        return None
    metadata = pod["metadata"]
    return Worker(metadata["name"], metadata["uid"], status["name"], started)


def uncached(clients: Clients) -> KubeApi:
    """Return the API server itself, for a look for which a cache may be outdated."""
    return KubeApi(clients.kube, clients.api.versions)


def look_key(rollout: Rollout) -> tuple[str, str, str]:
    """Return the key in `Clients.memo` of what was seen of tasks in workers."""
    return ("attempts in workers", rollout.namespace, rollout.name)


def ask_worker(
    clients: Clients, namespace: str, worker: Worker, *, end: Iterable[Named] = ()
) -> Mapping[str, Any]:
    """Return the result document of `attempts` in a worker.

    Args:
        end: processes to end.

    Raises:
        Forbidden: the right to start processes in pods is missing.
        KubeError: the process could not be started, or did not end in time.
        Malformed: it printed no result.
    """
    named = tuple(f"{pid}:{started}" for pid, started in end)
    arguments = ("attempts", "--markers", *(("--end", *named) if named else ()))
    part = needed_part(clients.probe, "attempts")
    return ask_probe(
        clients.api, namespace, worker.pod, worker.container, part, arguments, timeout=TIMEOUT
    )


def in_worker(document: Mapping[str, Any]) -> tuple[InWorker, ...]:
    """Return the processes of tasks.

    Raises:
        Malformed: the probe could not look, or the document is incomplete.
    """
    _has_looked(document)
    listed = document.get("attempts")
    if not isinstance(listed, list):
        raise Malformed("the probe's result has no list `attempts`")
    try:
        return tuple(map(_in_worker, listed))
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"a process in the probe's answer cannot be read: {error!r}") from error


def refused(document: Mapping[str, Any]) -> dict[Named, str]:
    """Return which of the processes to end could not be ended, and why.

    Raises:
        Malformed: the probe could not look, or the document is incomplete.
    """
    _has_looked(document)
    try:
        return {
            (int(entry["pid"]), int(entry["started"])): str(entry["why"])
            for entry in document["ended"]["refused"]
        }
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"what became of processes cannot be read: {error!r}") from error


def _has_looked(document: Mapping[str, Any]) -> None:
    if verdict(document) is Verdict.ERROR:
        why = "; ".join(check.observed for check in checks(document, "error"))
        raise Malformed(why or "the probe failed without a reason")


def _in_worker(entry: Mapping[str, Any]) -> InWorker:
    dag_id, run_id = entry["dagId"], entry["runId"]
    return InWorker(
        pid=int(entry["pid"]),
        started=int(entry["started"]),
        title=str(entry["title"]),
        run=None if dag_id is None or run_id is None else RunKey(str(dag_id), str(run_id)),
        instance=str(entry["taskInstanceId"] or ""),
    )
