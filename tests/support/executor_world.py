"""A whole Airflow as plain processes, with a given executor, to look at running tasks.

PostgreSQL and Redis are Debian's. A worker, or a scheduler of LocalExecutor, is alone in a PID
namespace below dumb-init, and has a host name of its own, as in a pod of Airflow's image: when the
first process ends, so does all that it runs.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from harness.ports import free_port
from harness.shell import HarnessError, run
from harness.waiting import NotYetError, wait_for
from probe_world.pod import OBJECT_BACKEND
from probe_world.postgresql import Postgres, postgres

USER = "operator"
DAGS = Path(__file__).parents[1] / "probe" / "slow_task"
_GROUP, _ONE = ("dumb-init", "--"), ("dumb-init", "--single-child", "--")
"""The first process of Airflow's image. It hands a signal to all processes of a group; where the
official chart says so, for workers of Celery, to the main process alone."""
_ALIVE = 1.0
"""Seconds: a task touches its file five times as often."""


@dataclass
class World:
    """An Airflow that runs.

    Attributes:
        venv: a virtual environment with Airflow, common-io, and Celery's provider.
        folder: for all that it writes.
        database: its metadata.
        env: variables of each of its processes.
        url: of its REST API, without the version.
        processes: by the names that they were given.
    """

    venv: Path
    folder: Path
    database: Postgres
    env: dict[str, str]
    url: str
    is_3: bool
    client: httpx2.Client = field(default_factory=lambda: httpx2.Client(timeout=60))
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def configure(self, threshold: int) -> None:
        """Write airflow.cfg, as a delivery does; processes that have read it keep the old one."""
        text = (
            f"[core]\nxcom_backend = {OBJECT_BACKEND}\n[common.io]\n"
            f"xcom_objectstorage_path = file://{self.folder}/xcom\n"
            f"xcom_objectstorage_threshold = {threshold}\n"
        )
        new = self.folder / "airflow.cfg.new"
        new.write_text(text)
        new.replace(self.folder / "airflow.cfg")

    def start(self, name: str, *words: str) -> None:
        """Start one of Airflow's commands; its output is in a file of that name."""
        self._spawn(name, str(self.venv / "bin" / "airflow"), *words)

    def _start_pod(self, name: str, *words: str, init: Sequence[str]) -> None:
        alone = ("unshare", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc", "--")
        inside = ("sh", "-c", f'hostname {name}; exec "$@"', "sh", *init)
        self._spawn(name, *alone, *inside, str(self.venv / "bin" / "airflow"), *words)

    def _spawn(self, name: str, *command: str) -> None:
        with self.log(name).open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env=self.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )

    def worker(self, name: str) -> None:
        """Start a worker and wait until it takes tasks."""
        pid = str(self.folder / f"{name}.pid")
        more = ("-c", "2", "--skip-serve-logs", "--pid", pid)
        words = ("celery", "worker", "-H", name, "-q", "default", *more)
        self._start_pod(name, *words, init=_ONE)
        wait_for(f"{name} is ready", lambda: "ready." in self.log(name).read_text(), 120)

    def scheduler(self, name: str) -> None:
        """Start a scheduler in a pod of its own."""
        self._start_pod(name, "scheduler", "--skip-serve-logs", init=_GROUP)

    def log(self, name: str) -> Path:
        """The file with a process's output."""
        return self.folder / f"{name}.log"

    def newest_lines(self, name: str, pattern: str) -> list[str]:
        """The newest three lines of a process's output that match."""
        lines = self.log(name).read_text().splitlines()
        return [line for line in lines if re.search(pattern, line)][-3:]

    def send_signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the first process of a pod, as the kubelet does."""
        (inner, *_) = _children(self.processes[name].pid)
        os.kill(inner, number)

    def kill(self, name: str) -> None:
        """End a pod as a lost node does: everything at once."""
        os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait()

    def gone(self, name: str) -> bool:
        """Whether a process has ended."""
        return self.processes[name].poll() is not None

    def commands(self, name: str) -> dict[int, str]:
        """The command lines in a pod by process, as /proc shows them, the lowest last."""
        found, left = {}, [self.processes[name].pid]
        while left:
            pid = left.pop(0)
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                left += _children(pid)
            except OSError:
                continue
            if pid != self.processes[name].pid:
                found[pid] = words.strip()
        return found

    def execute(self, name: str, *command: str | Path) -> str:
        """Run a command in a pod, as `kubectl exec` does; return its output.

        Raises:
            HarnessError: it ended with another code than 0 and 1.
        """
        (inner, *_) = _children(self.processes[name].pid)
        enter = ("nsenter", "--target", str(inner), "--pid", "--mount", "--uts", "--")
        done = subprocess.run([*enter, *command], env=self.env, capture_output=True, text=True)
        if done.returncode > 1:
            raise HarnessError(f"{command} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def trigger(self, dag: str, run_id: str, seconds: float, *, deaf: bool = False) -> None:
        """Begin a run whose task takes so long."""
        body: dict[str, Any] = {"dag_run_id": run_id, "conf": {"seconds": seconds, "deaf": deaf}}
        if self.is_3:
            body["logical_date"] = None
        self.client.post(f"/dags/{dag}/dagRuns", json=body).raise_for_status()

    def fail(self, dag: str, run_id: str) -> None:
        """Set a run to failed."""
        path = f"/dags/{dag}/dagRuns/{run_id}"
        self.client.patch(path, json={"state": "failed"}).raise_for_status()

    def clear(self, dag: str, run_id: str) -> None:
        """Clear a whole run."""
        path = f"/dags/{dag}/dagRuns/{run_id}/clear"
        self.client.post(path, json={"dry_run": False}).raise_for_status()

    def task(self, run_id: str) -> tuple[Any, ...]:
        """State, try, host and Celery's ID of the task of a run."""
        with self.database.connect() as connection:
            row = connection.execute(
                "select state, try_number, hostname, external_executor_id "
                "from task_instance where run_id = %s",
                [run_id],
            ).fetchone()
        return row or (None, None, None, None)

    def offloaded(self, run_id: str) -> bool | None:
        """Whether the value of a run's task is a path; None: there is none."""
        with self.database.connect() as connection:
            row = connection.execute(
                "select value from xcom where run_id = %s and key = 'return_value'", [run_id]
            ).fetchone()
        return None if row is None else "file://" in str(bytes(row[0]) if not self.is_3 else row[0])

    def alive(self, run_id: str) -> list[tuple[str, int]]:
        """Host and try of each attempt whose process lives now."""
        now = time.time()
        return [
            (seen["host"], seen["try"])
            for file in sorted(self.folder.glob(f"seen/{run_id}.*.alive"))
            if now - file.stat().st_mtime < _ALIVE
            for seen in [json.loads(file.with_suffix(".json").read_text())]
        ]

    def begun(self, run_id: str) -> None:
        """Wait until the task of a run lives."""
        wait_for(f"the task of {run_id} lives", lambda: self.alive(run_id), 90)

    def ended(self, run_id: str) -> None:
        """Wait until the task of a run has ended on its own."""
        wait_for(f"{run_id} ends", lambda: self.over(run_id), 120)

    def dead(self, run_id: str) -> bool:
        """Whether no attempt of a run lives."""
        return not self.alive(run_id)

    def over(self, run_id: str) -> bool:
        """Whether the task of a run has ended, as Airflow sees it."""
        return self.task(run_id)[0] in ("success", "failed")

    def restarted(self, run_id: str) -> bool:
        """Whether the task of a run has ended, or another attempt of it lives."""
        return self.over(run_id) or bool(self.alive(run_id))

    def watch(self, run_id: str, seconds: float, until: Callable[[str], object]) -> None:
        """Print each change of a run's task and of its processes, until something is true."""
        begin, before = time.monotonic(), None
        while time.monotonic() - begin < seconds:
            now = (*self.task(run_id)[:3], self.alive(run_id))
            if now != before:
                say(f"  after {time.monotonic() - begin:5.1f} s: {now}")
                before = now
            if until(run_id):
                return
            time.sleep(0.2)


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def world(venv: Path, folder: Path, executor: str, options: Mapping[str, str]) -> Iterator[World]:
    """Run an Airflow without worker or scheduler; end all of it.

    Args:
        venv: see `World`.
        folder: does not exist yet.
        executor: `[core] executor`.
        options: more variables.

    Raises:
        HarnessError: some part does not start.
    """
    folder.mkdir(parents=True)
    (folder / "seen").mkdir()
    (folder / "xcom").mkdir()
    version = run(venv / "bin" / "airflow", "version", env={"AIRFLOW_HOME": str(folder)})
    is_3 = version.splitlines()[-1].startswith("3.")
    port, redis = free_port(), free_port()
    with postgres(folder / "postgresql") as database:
        env = _environment(venv, folder, database, executor, redis)
        env |= {**(_airflow_3(folder, port) if is_3 else _AIRFLOW_2), **options}
        url = f"http://127.0.0.1:{port}"
        made = World(venv, folder, database, env, url, is_3)
        made.configure(0)
        made._spawn("redis", "redis-server", "--port", str(redis), "--bind", "127.0.0.1")
        try:
            _begin(made, port)
            yield made
        finally:
            for process in made.processes.values():
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()


def _begin(made: World, port: int) -> None:
    airflow = made.venv / "bin" / "airflow"
    run(airflow, "db", "migrate", env=made.env)
    if not made.is_3:
        name = ("--username", USER, "--password", USER, "--email", f"{USER}@example.org")
        more = ("--role", "Admin", "--firstname", USER, "--lastname", USER)
        run(airflow, "users", "create", *name, *more, env=made.env)
    word, host = ("api-server", "--host") if made.is_3 else ("webserver", "--hostname")
    made.start("api", word, host, "127.0.0.1", "--port", str(port), "--workers", "1")
    version = "v2" if made.is_3 else "v1"
    wait_for("the API answers", lambda: _answers(made, f"{made.url}/api/{version}/version"), 180)
    if made.is_3:
        body = {"username": USER, "password": USER}
        token = made.client.post(f"{made.url}/auth/token", json=body).json()["access_token"]
        made.client.headers["Authorization"] = f"Bearer {token}"
    else:
        made.client.auth = httpx2.BasicAuth(USER, USER)
    made.client.base_url = httpx2.URL(f"{made.url}/api/{version}")
    run(airflow, "dags", "reserialize", env=made.env)


def _answers(made: World, url: str) -> bool:
    if made.gone("api"):
        raise HarnessError(f"the API server ended: {made.log('api').read_text()[-2000:]}")
    try:
        return made.client.get(url).is_success
    except httpx2.TransportError as error:
        raise NotYetError(str(error)) from error


def _environment(
    venv: Path, folder: Path, database: Postgres, executor: str, redis: int
) -> dict[str, str]:
    return {
        "PATH": f"{venv}/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "SEEN": str(folder / "seen"),
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": executor,
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{redis}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database.url()}",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.url(),
    }


_AIRFLOW_2 = {
    "AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.basic_auth",
    "AIRFLOW__WEBSERVER__WEB_SERVER_MASTER_TIMEOUT": "900",
    "AIRFLOW__WEBSERVER__WEB_SERVER_WORKER_TIMEOUT": "900",
}


def _airflow_3(folder: Path, port: int) -> dict[str, str]:
    (folder / "passwords.json").write_text(json.dumps({USER: USER}))
    manager = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
    return {
        "AIRFLOW__API_AUTH__JWT_SECRET": "x" * 64,
        "AIRFLOW__CORE__AUTH_MANAGER": manager,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
    }
