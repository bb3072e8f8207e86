"""Airflow in one namespace: its REST API v1, its scheduler, and the rows its tasks write.

The semantics are those measured on Airflow 2.11 with KubernetesExecutor. A task pod loads the
settings of its creation and writes its value when it ends, even if its run was failed or cleared
meanwhile; pausing a DAG freezes its runs between tasks and stops none; setting a run to failed
ends no pod; a clear resets `start_date`, counts up the attempt and queues the whole run again, and
does nothing while `dry_run` is not false. Time is made in ticks. Every change that a client asks
for is counted, and so is what must never take place (`hazards`).
"""

from __future__ import annotations

import base64
import copy
import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from standin.kube import Json, Kube
from standin.node import Node
from standin.server import Server
from standin.settings import Loaded

USER, PASSWORD = "operator", "operator"
FOREVER = 1_000_000
"""Ticks of a task that ends only when it is stopped, or let end."""
MOST = 100
"""Entries that Airflow gives at once, whatever is asked for: [api] maximum_page_limit."""
_IN_FLIGHT = ("queued", "running")


@dataclass(frozen=True)
class Task:
    """One task of a DAG: for how many ticks its first attempt runs, and how many bytes it returns.

    A re-run takes one tick.
    """

    ticks: int
    size: int


@dataclass
class Run:
    """One DAG run; its tasks run one after the other."""

    dag_id: str
    run_id: str
    tasks: tuple[Task, ...]
    state: str = "queued"
    start_date: str | None = None
    updated_at: str = ""
    decided_at: str | None = None
    """When the scheduler decided about it last."""
    attempt: int = 1
    done: int = 0
    offloaded: dict[int, bool] = field(default_factory=dict)
    """Number of a task that has a row -> whether the row holds a path."""
    fails: int = 0
    clears: int = 0

    @property
    def rows(self) -> int:
        return sum(self.offloaded.values())

    def shown(self) -> Json:
        """The run as the REST API shows it."""
        return {
            "dag_id": self.dag_id,
            "dag_run_id": self.run_id,
            "state": self.state,
            "start_date": self.start_date,
            "last_scheduling_decision": self.decided_at,
        }

    def decided(self) -> None:
        """The scheduler has changed it."""
        self.updated_at = self.decided_at = _now()


@dataclass
class _TaskPod:
    name: str
    uid: str
    run: Run
    attempt: int
    task: int
    left: int
    loaded: Loaded


class Airflow:
    """A context manager; the REST API answers while its block runs."""

    def __init__(self, kube: Kube, node: Node, namespace: str, release: str) -> None:
        self._kube, self._node = kube, node
        self._namespace, self._release = namespace, release
        self._lock = threading.RLock()
        self._pods: list[_TaskPod] = []
        self._serial = 0
        self.runs: list[Run] = []
        self.paused: set[str] = set()
        self.hazards: list[str] = []
        """What the operator must make impossible, in words."""
        self.forbidden: set[str] = set()
        """DAGs of which the operator's user may clear nothing."""
        self.lost: set[str] = set()
        """DAGs whose files are gone."""
        self.teardowns: set[str] = set()
        """Runs with a teardown task: they go on when they are set to failed."""
        self.longest: int | None = None
        """Ticks that a task takes at most, also one that runs."""
        handler = type("Handler", (_Handler,), {"airflow": self})
        self._server = Server(("127.0.0.1", 0), handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    def __enter__(self) -> Airflow:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def trigger(self, dag_id: str, run_id: str, *tasks: tuple[int, int]) -> Run:
        """Queue a run with tasks of (ticks, bytes)."""
        with self._lock:
            run = Run(dag_id, run_id, tuple(Task(*task) for task in tasks), updated_at=_now())
            self.runs.append(run)
            return run

    def let_end(self, run: Run, ticks: int) -> None:
        """Let the task that runs now end after so many ticks."""
        with self._lock:
            for pod in self._pods:
                if pod.run is run:
                    pod.left = ticks

    def let_all_end(self, ticks: int) -> None:
        """Let every task, also those to come, take at most so many ticks from now on."""
        with self._lock:
            self.longest = ticks
            for pod in self._pods:
                pod.left = min(pod.left, ticks)

    def end_teardown(self, run: Run) -> None:
        """Let the teardown task of a run end that was set to failed."""
        with self._lock:
            self.teardowns.remove(run.run_id)
            run.state = "failed"
            run.decided()

    def tick(self) -> None:
        """Advance running tasks, and let the scheduler start what it may."""
        with self._lock:
            for pod in list(self._pods):
                self._go_on(pod)
            for run in self.runs:
                self._schedule(run)

    def census(self, keys: list[tuple[str, str]] | None) -> list[Json]:
        """Return what a query in the database would find: of these runs, or of those in flight."""
        with self._lock:
            return [
                {"dagId": r.dag_id, "runId": r.run_id, "rows": r.rows, "state": r.state}
                for r in self.runs
                if (
                    (r.dag_id, r.run_id) in keys
                    if keys is not None
                    else r.state in _IN_FLIGHT and r.rows
                )
            ]

    def forget(self, keys: list[tuple[str, str]]) -> list[Json]:
        """Remove the rows with paths of runs that are not in flight; return what the probe says."""
        with self._lock:
            return [self._forget(self._run(*key)) for key in keys]

    def _forget(self, run: Run) -> Json:
        answer: Json = {"dagId": run.dag_id, "runId": run.run_id, "state": run.state}
        if run.state in _IN_FLIGHT:
            return {**answer, "rows": 0, "left": run.rows, "skipped": f"it is {run.state}"}
        removed = run.rows
        run.offloaded = {number: path for number, path in run.offloaded.items() if not path}
        return {**answer, "rows": removed, "left": 0}

    def rehydrate(self, keys: list[tuple[str, str]] | None) -> Json:
        """Copy values back, of these runs or of all; say what the probe says."""
        with self._lock:
            chosen = [run for run in self.runs if keys is None or (run.dag_id, run.run_id) in keys]
            copied = sum(run.rows for run in chosen)
            for run in chosen:
                run.offloaded = dict.fromkeys(run.offloaded, False)
            runs = [{"dagId": run.dag_id, "runId": run.run_id, "left": 0} for run in chosen]
            counts = {"copied": copied, "bytes": copied, "failed": 0, "remaining": 0}
            return {"runs": runs if keys is not None else [], "counts": counts, "failed": []}

    def _go_on(self, pod: _TaskPod) -> None:
        seen = self._kube.find(self._path(pod.name))
        if seen is None or seen["metadata"]["uid"] != pod.uid:
            self._pods.remove(pod)
            return
        if seen["metadata"].get("deletionTimestamp"):
            return
        pod.left -= 1
        if pod.left > 0:
            return
        self._pods.remove(pod)
        self._kube.delete(self._path(pod.name))
        run = pod.run
        offloaded = pod.loaded.offloads(run.tasks[pod.task].size)
        if pod.attempt != run.attempt and offloaded:
            self.hazards.append(f"{run.run_id}: an old attempt wrote a path over task {pod.task}")
        run.offloaded[pod.task] = offloaded
        if pod.attempt == run.attempt and run.state == "running":
            run.done += 1
            if run.done == len(run.tasks):
                run.state = "success"
                run.decided()

    def _alive(self, pod: _TaskPod) -> bool:
        seen = self._kube.find(self._path(pod.name))
        return seen is not None and seen["metadata"]["uid"] == pod.uid

    def _schedule(self, run: Run) -> None:
        if run.dag_id in self.paused or run.state not in _IN_FLIGHT:
            return
        if run.state == "queued":
            run.state, run.start_date = "running", _now()
            run.decided()
        if any(pod.run is run and pod.attempt == run.attempt for pod in self._pods):
            return
        made = self._start(run)
        upstream = [number for number in range(run.done) if run.offloaded.get(number)]
        if upstream and not made.loaded.reads_offloaded:
            self.hazards.append(f"{run.run_id}: task {run.done} was handed a path as data")

    def _start(self, run: Run) -> _TaskPod:
        """Start the next task's pod from the template that the scheduler mounts now."""
        config = self._kube.get(
            f"/api/v1/namespaces/{self._namespace}/configmaps/{self._release}-config"
        )
        template = yaml.safe_load(config["data"]["pod_template_file.yaml"])
        self._serial += 1
        metadata = copy.deepcopy(template["metadata"])
        metadata["name"] = f"{run.dag_id}-task{run.done}-{self._serial}"
        metadata["labels"] |= {
            "dag_id": run.dag_id,
            "run_id": run.run_id,
            "kubernetes_executor": "True",
        }
        metadata["annotations"] = {
            **(metadata.get("annotations") or {}),
            "dag_id": run.dag_id,
            "run_id": run.run_id,
            "task_id": f"task{run.done}",
        }
        made = self._node.start(self._namespace, metadata, template["spec"])
        uid = made["metadata"]["uid"]
        ticks = run.tasks[run.done].ticks if run.attempt == 1 else 1
        if self.longest is not None:
            ticks = min(ticks, self.longest)
        pod = _TaskPod(
            metadata["name"], uid, run, run.attempt, run.done, ticks, self._node.loaded(uid)
        )
        self._pods.append(pod)
        return pod

    def _path(self, pod: str) -> str:
        return f"/api/v1/namespaces/{self._namespace}/pods/{pod}"

    # -- the REST API ------------------------------------------------------------------------

    def answer(self, method: str, path: list[str], query: dict[str, list[str]], body: Json) -> Json:
        """Answer one request.

        Raises:
            LookupError: there is no such thing.
            PermissionError: the user has no right to it.
            ValueError: nothing is changed in this way.
        """
        with self._lock:
            match method, path:
                case "GET", ["dags"]:
                    return self._dags(query)
                case "GET", ["dags", "~", "dagRuns"]:
                    return self._list(query)
                case "GET", ["dags", dag_id]:
                    return self._dag(dag_id)
                case "PATCH", ["dags", dag_id]:
                    if query.get("update_mask") != ["is_paused"]:
                        raise ValueError("Only `is_paused` field can be updated")
                    return self._pause(dag_id, bool(body["is_paused"]))
                case "GET", ["dags", dag_id, "dagRuns", run_id]:
                    return self._run(dag_id, run_id).shown()
                case "GET", ["dags", dag_id, "dagRuns", run_id, "taskInstances"]:
                    return _tasks(self._run(dag_id, run_id))
                case "PATCH", ["dags", dag_id, "dagRuns", run_id]:
                    return self._set_state(self._run(dag_id, run_id), body["state"])
                case "POST", ["dags", dag_id, "dagRuns", run_id, "clear"]:
                    return self._clear(self._run(dag_id, run_id), dry=body.get("dry_run", True))
        raise LookupError(f"{method} {'/'.join(path)}")

    def _list(self, query: dict[str, list[str]]) -> Json:
        states, since = query.get("state"), query.get("updated_at_gte", [""])[0]
        newest_first = query.get("order_by") == ["-updated_at"]
        listed = sorted(self.runs, key=lambda r: r.updated_at, reverse=True)
        runs = [
            run.shown()
            for run in (listed if newest_first else self.runs)
            if (states is None or run.state in states)
            and (not since or datetime.fromisoformat(run.updated_at) >= _moment(since))
        ]
        return {"dag_runs": _page(runs, query), "total_entries": len(runs)}

    def _dags(self, query: dict[str, list[str]]) -> Json:
        names = sorted({run.dag_id for run in self.runs})
        return {
            "dags": _page([self._dag(name) for name in names], query),
            "total_entries": len(names),
        }

    def _dag(self, dag_id: str) -> Json:
        if all(run.dag_id != dag_id for run in self.runs):
            raise LookupError(dag_id)
        active = dag_id not in self.lost
        return {"dag_id": dag_id, "is_paused": dag_id in self.paused, "is_active": active}

    def _run(self, dag_id: str, run_id: str) -> Run:
        for run in self.runs:
            if (run.dag_id, run.run_id) == (dag_id, run_id):
                return run
        raise LookupError(run_id)

    def _pause(self, dag_id: str, paused: bool) -> Json:
        shown = self._dag(dag_id)
        if paused:
            self.paused.add(dag_id)
        else:
            self.paused.discard(dag_id)
        return {**shown, "is_paused": paused}

    def _set_state(self, run: Run, state: str) -> Json:
        run.fails += state == "failed"
        if run.run_id not in self.teardowns:
            run.state, run.updated_at = state, _now()
        return run.shown()

    def _clear(self, run: Run, *, dry: bool) -> Json:
        if run.dag_id in self.forbidden:
            raise PermissionError("Forbidden")
        if run.dag_id in self.lost:
            raise LookupError(f"Dag id {run.dag_id} not found")
        if dry:
            return {"task_instances": [], "total_entries": len(run.tasks)}
        if run.state in _IN_FLIGHT:
            self.hazards.append(f"{run.run_id} was cleared while {run.state}")
        if any(pod.run is run and self._alive(pod) for pod in self._pods):
            self.hazards.append(f"{run.run_id} was cleared while a pod of it was alive")
        run.state, run.start_date, run.updated_at = "queued", None, _now()
        run.attempt += 1
        run.done = 0
        run.clears += 1
        return run.shown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    airflow: ClassVar[Airflow]

    def do_GET(self) -> None:
        self._handle({})

    def do_PATCH(self) -> None:
        self._handle(self._body())

    def do_POST(self) -> None:
        self._handle(self._body())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is inherited
        """Say nothing."""

    def _handle(self, body: Json) -> None:
        url = urlsplit(self.path)
        if url.path == "/api/v1/version":
            # Anybody may ask for it.
            self._answer(200, {"version": "2.11.2", "git_version": None})
            return
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {expected}":
            self._answer(401, {"title": "Unauthorized"})
            return
        head, _, rest = url.path.partition("/api/v1/")
        parts = [unquote(part) for part in rest.split("/")]
        try:
            if head or not rest:
                raise LookupError(url.path)
            self._answer(200, self.airflow.answer(self.command, parts, parse_qs(url.query), body))
        except ValueError as error:
            self._answer(400, {"title": "Bad Request", "detail": str(error)})
        except PermissionError as error:
            self._answer(403, {"title": "Forbidden", "detail": str(error)})
        except LookupError as error:
            self._answer(404, {"title": "Not found", "detail": str(error)})

    def _body(self) -> Json:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body: Json = json.loads(text or b"{}")
        return body

    def _answer(self, code: int, answer: Json) -> None:
        text = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def _page(items: list[Json], query: dict[str, list[str]]) -> list[Json]:
    """Return the part that was asked for, as much as Airflow gives."""
    offset = int(query.get("offset", ["0"])[0])
    return items[offset:][: min(MOST, int(query.get("limit", ["100"])[0]))]


def _tasks(run: Run) -> Json:
    """The task instances of a run, as the REST API shows them."""
    tasks = [
        {
            "task_id": f"task{number}",
            "map_index": -1,
            "state": "success" if number < run.done else None,
            "operator": "PythonOperator",
        }
        for number in range(len(run.tasks))
    ]
    return {"task_instances": tasks, "total_entries": len(tasks)}


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
