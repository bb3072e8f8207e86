"""What tests and the demo ask of Airflow: its REST API, the rows of its database, the S3 objects.

The API client retries while the web server is being replaced: right after a roll the connection is
refused or reset, or a request is answered 401 or 5xx for a moment. Every request made here may be
sent twice without harm.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
from minio import Minio

from harness.forward import PortForward
from harness.shell import HarnessError
from harness.waiting import NotYetError, wait_for

# Run states that do not change by themselves.
FINISHED = frozenset({"success", "failed"})
_TRANSIENT = frozenset({401, 500, 502, 503, 504})


class AirflowApiError(HarnessError):
    """The API refused a request.

    Attributes:
        status: HTTP status code.
    """

    def __init__(self, request: str, status: int, body: str) -> None:
        self.status = status
        super().__init__(f"{request}: {status} {body[:2000]}")


@dataclass(frozen=True)
class TaskInstance:
    """One task of one run, as the API reports it.

    Attributes:
        state: None while nothing was decided.
        host: of its newest attempt, the name of a pod; empty before the first.
    """

    task_id: str
    map_index: int
    state: str | None
    try_number: int
    start: str | None
    end: str | None
    host: str = ""


class AirflowApi:
    """Client of the REST API: v1 of Airflow 2 with the password, v2 of Airflow 3 with a token.

    Args:
        forward: leads to the web server.
        major: of Airflow's version.
        patience: seconds for which a request is tried again while the web server is away.
    """

    def __init__(
        self,
        forward: PortForward,
        username: str,
        password: str,
        *,
        major: int = 2,
        patience: float = 90.0,
    ) -> None:
        self._forward = forward
        self._patience = patience
        self._major = major
        self._user = (username, password)
        self._headers: dict[str, str] = {}
        self._client = httpx2.Client(timeout=15.0, trust_env=False)
        if major == 2:
            self._client.auth = self._user

    def close(self) -> None:
        """End connections and the port-forward."""
        self._client.close()
        self._forward.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        params: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> Any:
        """Send one request and return the JSON of the answer (None if it has no body).

        Args:
            method: HTTP method.
            path: below `/api/v1` or `/api/v2`, starting with `/`.
            body: JSON to send.
            params: of the query string.
            accept: status codes above 399 that are an answer, not an error.

        Raises:
            AirflowApiError: another status code above 399, or a transient one for too long.
            HarnessError: no connection within `patience`.
        """
        what = f"{method} {path}"
        end = time.monotonic() + self._patience
        while True:
            late = time.monotonic() >= end
            try:
                answer = self._send(method, path, body, params)
            except (httpx2.TransportError, HarnessError) as error:
                self._forward.renew()
                if late:
                    raise HarnessError(
                        f"{what}: no answer in {self._patience} s: {error}"
                    ) from error
            else:
                if answer.status_code < 400 or answer.status_code in accept:
                    return answer.json() if answer.content else None
                if late or answer.status_code not in _TRANSIENT:
                    raise AirflowApiError(what, answer.status_code, answer.text)
            time.sleep(0.5)

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        params: Mapping[str, str] | None,
    ) -> httpx2.Response:
        base = f"http://{self._forward.address()}"
        if self._major == 2:
            return self._client.request(method, f"{base}/api/v1{path}", json=body, params=params)
        if not self._headers:
            user, password = self._user
            login = self._client.post(
                f"{base}/auth/token", json={"username": user, "password": password}
            )
            if login.is_error:
                return login
            self._headers = {"Authorization": f"Bearer {login.json()['access_token']}"}
        answer = self._client.request(
            method, f"{base}/api/v2{path}", json=body, params=params, headers=self._headers
        )
        if answer.status_code == httpx2.codes.UNAUTHORIZED:
            self._headers = {}
        return answer

    def health(self) -> dict[str, Any]:
        """For each component `status` and its latest heartbeat."""
        return dict(self.request("GET", "/health" if self._major == 2 else "/monitor/health"))

    def dag_ids(self) -> set[str]:
        """The DAGs that are active now."""
        active = "only_active" if self._major == 2 else "exclude_stale"
        answer = self.request("GET", "/dags", params={"limit": "100", active: "true"})
        return {dag["dag_id"] for dag in answer["dags"]}

    def import_errors(self) -> list[str]:
        """Files that could not be parsed, each with the last lines of its traceback."""
        answer = self.request("GET", "/importErrors")
        return [f"{item['filename']}: {item['stack_trace']}" for item in answer["import_errors"]]

    def trigger(
        self, dag_id: str, conf: Mapping[str, object] | None = None, run_id: str | None = None
    ) -> str:
        """Start a run and return its id."""
        run_id = run_id or f"test-{uuid4().hex[:12]}"
        # 409: an earlier try of this request got through and its answer was lost.
        self.request(
            "POST",
            f"/dags/{dag_id}/dagRuns",
            body={
                "dag_run_id": run_id,
                "conf": dict(conf or {}),
                # Airflow 3 requires the field, even without a date.
                **({} if self._major == 2 else {"logical_date": None}),
            },
            accept={409},
        )
        return run_id

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """The run as the API reports it."""
        return dict(self.request("GET", f"/dags/{dag_id}/dagRuns/{run_id}"))

    def run_state(self, dag_id: str, run_id: str) -> str:
        """`queued`, `running`, `success` or `failed`."""
        return str(self.run(dag_id, run_id)["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """The task instances of a run, sorted by task and map index."""
        answer = self.request("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return sorted(
            (
                TaskInstance(
                    task_id=item["task_id"],
                    map_index=item["map_index"],
                    state=item["state"],
                    try_number=item["try_number"],
                    start=item["start_date"],
                    end=item["end_date"],
                    host=item["hostname"] or "",
                )
                for item in answer["task_instances"]
            ),
            key=lambda task: (task.task_id, task.map_index),
        )

    def task(self, dag_id: str, run_id: str, task_id: str) -> TaskInstance:
        """One task instance that is not mapped.

        Raises:
            HarnessError: the run has no such task.
        """
        for task in self.tasks(dag_id, run_id):
            if task.task_id == task_id:
                return task
        raise HarnessError(f"run {run_id} of {dag_id} has no task {task_id}")

    def wait_run(
        self,
        dag_id: str,
        run_id: str,
        state: str = "success",
        *,
        deadline: float = 120.0,
        through_failure: bool = False,
    ) -> None:
        """Wait until the run is in `state`.

        Args:
            dag_id: DAG of the run.
            run_id: id of the run.
            state: to wait for.
            deadline: seconds.
            through_failure: go on waiting when the run finishes in another state, because someone
                is about to clear it.

        Raises:
            HarnessError: it finished in another state, or the deadline passed.
        """

        def settled() -> str:
            seen = self.run_state(dag_id, run_id)
            if seen == state or (seen in FINISHED and not through_failure):
                return seen
            raise NotYetError(f"run {seen}; {self._describe(dag_id, run_id)}")

        what = f"run {run_id} of {dag_id}: {state}"
        seen = wait_for(what, settled, deadline, interval=1.0)
        if seen != state:
            raise HarnessError(f"{what}: it is {seen}; {self._describe(dag_id, run_id)}")

    def wait_task(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        states: Collection[str],
        *,
        deadline: float = 120.0,
    ) -> TaskInstance:
        """Wait until the task is in one of `states`, and return it.

        Raises:
            HarnessError: the deadline (seconds) passed.
        """

        def reached() -> TaskInstance:
            task = self.task(dag_id, run_id, task_id)
            if task.state not in states:
                raise NotYetError(self._describe(dag_id, run_id))
            return task

        wanted = " or ".join(sorted(states))
        return wait_for(
            f"task {task_id} of {dag_id}/{run_id}: {wanted}", reached, deadline, interval=0.5
        )

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a run `success` or `failed`; its running tasks are told to stop."""
        self.request("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", body={"state": state})

    def clear_run(self, dag_id: str, run_id: str) -> None:
        """Make all tasks of a run start again; id and conf stay."""
        self.request("POST", f"/dags/{dag_id}/dagRuns/{run_id}/clear", body={"dry_run": False})

    def set_paused(self, dag_id: str, paused: bool) -> None:
        """Pause or unpause a DAG."""
        self.request(
            "PATCH",
            f"/dags/{dag_id}",
            params={"update_mask": "is_paused"},
            body={"is_paused": paused},
        )

    def _describe(self, dag_id: str, run_id: str) -> str:
        tasks = self.tasks(dag_id, run_id)
        return "tasks " + ", ".join(f"{t.task_id}={t.state}/try {t.try_number}" for t in tasks)


@dataclass(frozen=True)
class XComRow:
    """One row of the `xcom` table; `value` is its JSON text as the database holds it."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    value: bytes

    @property
    def is_path(self) -> bool:
        """Whether the row holds the address of an S3 object instead of a value."""
        return self.value.startswith(b'"s3://')

    @property
    def path(self) -> str:
        """The address that the row holds.

        Raises:
            HarnessError: the row holds a value.
        """
        if not self.is_path:
            raise HarnessError(f"{self.task_id}/{self.key} holds no path: {self.value[:80]!r}")
        return str(json.loads(self.value))


class AirflowDatabase:
    """Questions to Airflow's database, asked with psql inside the Postgres pod.

    Args:
        psql: runs psql with the given variables and SQL, and returns what it prints.
        major: of Airflow's version: 2 keeps an XCom as bytes, 3 as JSONB.
    """

    def __init__(self, psql: Callable[[str, Mapping[str, str]], str], *, major: int = 2) -> None:
        self._psql = psql
        self._value = "value" if major == 2 else "convert_to(value::text, 'UTF8')"

    def query(self, sql: str, variables: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """The rows of a SELECT as dicts. In `sql`, `:'name'` stands for a quoted variable.

        Raises:
            HarnessError: the database refused the statement.
        """
        # The caller's SQL is the point of this method; values go in as psql variables.
        statement = f"SELECT coalesce(json_agg(q), '[]'::json) FROM ({sql}) AS q;"  # noqa: S608
        text = self._psql(statement, variables or {})
        return list(json.loads(text))

    def xcoms(self, dag_id: str, run_id: str) -> list[XComRow]:
        """The rows of one run, sorted by task, map index and key."""
        rows = self.query(
            f"SELECT dag_id, run_id, task_id, map_index, key, encode({self._value}, 'hex') AS value"  # noqa: S608 - one of two constants
            " FROM xcom WHERE dag_id = :'dag_id' AND run_id = :'run_id'"
            " ORDER BY task_id, map_index, key",
            {"dag_id": dag_id, "run_id": run_id},
        )
        return [XComRow(**{**row, "value": bytes.fromhex(row["value"])}) for row in rows]

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value"
    ) -> XComRow | None:
        """The row of one task that is not mapped, or None."""
        rows = self.xcoms(dag_id, run_id)
        return next((row for row in rows if (row.task_id, row.key) == (task_id, key)), None)

    def received(self, dag_id: str, run_id: str) -> dict[str, str]:
        """What task `consume` of the demo DAGs reports as received: `type`, `sha256`, `starts`.

        Raises:
            HarnessError: it has not reported anything yet.
        """
        row = self.xcom(dag_id, run_id, "consume", "received")
        if row is None:
            raise HarnessError(f"run {run_id} of {dag_id}: task consume has pushed no `received`")
        return dict(json.loads(row.value))

    def scheduler_heartbeats(self) -> dict[str, float]:
        """Age in seconds of the latest heartbeat of each running scheduler, by pod name."""
        rows = self.query(
            "SELECT hostname, extract(epoch FROM now() - max(latest_heartbeat)) AS age FROM job"
            " WHERE job_type = 'SchedulerJob' AND state = 'running' GROUP BY hostname"
        )
        return {row["hostname"]: float(row["age"]) for row in rows}


class Bucket:
    """The objects of one S3 bucket.

    Args:
        client: makes a client whose port-forward is alive.
        name: of the bucket.
    """

    def __init__(self, client: Callable[[], Minio], name: str) -> None:
        self._client = client
        self.name = name

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Bytes of each object, by key."""
        listed = self._client().list_objects(self.name, prefix=prefix, recursive=True)
        return {str(item.object_name): int(item.size or 0) for item in listed}

    def read(self, key: str) -> bytes:
        """The bytes of one object."""
        answer = self._client().get_object(self.name, key)
        try:
            return bytes(answer.read())
        finally:
            answer.close()
            answer.release_conn()

    def key_of(self, row: XComRow) -> str:
        """The key of the object that an offloaded row points to.

        Raises:
            HarnessError: the row holds a value, or a path into another bucket.
        """
        rest = row.path.removeprefix("s3://").rpartition("@")[2]
        bucket, _, key = rest.partition("/")
        if bucket != self.name:
            raise HarnessError(f"{row.path} is not in bucket {self.name}")
        return key


def by_task(tasks: Sequence[TaskInstance]) -> dict[str, TaskInstance]:
    """Task instances by task id, for DAGs without mapped tasks."""
    return {task.task_id: task for task in tasks}
