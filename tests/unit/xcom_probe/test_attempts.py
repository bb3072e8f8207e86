"""Which processes run tasks: a /proc made by hand, titles, and real processes that are ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_probe.commands import attempts as command
from xcom_probe.model import CannotLook, UsageError
from xcom_probe.processes import attempts, kill, table, titles
from xcom_probe.processes.attempts import Seen
from xcom_probe.processes.kill import Named
from xcom_probe.processes.titles import Task

TI = "01a21ff9-6bae-7962-b75b-fcaf812a83ba"
ANOTHER = "01a21ff9-6bae-7962-b75b-000000000000"
MAIN = "[celeryd: celery@w1:MainProcess] -active- (celery worker)"
POOL = "[celeryd: celery@w1:ForkPoolWorker-1]"
COMMAND = ["airflow", "tasks", "run", "dag", "task", "run 1", "--local", "--map-index", "3"]
SUPERVISOR_2 = f"airflow task supervisor: {COMMAND}"
RUNNER = "airflow task runner: dag task run 1 17"
SUPERVISOR_3 = f"airflow supervisor: {TI}"
TASK_3 = f"airflow worker -- {TI}"
IN_2 = Task("dag", "task", "run 1")
MINE = 4242
ROOM = 4096


class Proc:
    """A folder like /proc; process 10 is Celery's main process below an init."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mounted("rw,nosuid")
        (folder / "self").symlink_to(str(MINE))
        self.add(1, 0, "dumb-init", "--", "airflow")
        self.add(10, 1, MAIN)
        self.add(MINE, 0, "python", "-c", "the probe")

    def mounted(self, options: str) -> None:
        (self.folder / str(MINE)).mkdir(exist_ok=True)
        (self.folder / str(MINE) / "mounts").write_text(f"proc {self.folder} proc {options} 0 0\n")

    def add(
        self,
        pid: int,
        parent: int,
        *words: str,
        state: str = "S",
        started: int | None = None,
        threads: int = 1,
        flags: int = 0,
        comm: str = "a (b) c",
        room: int = ROOM,
        memory: int = 0,
    ) -> None:
        fields = ["0"] * 50
        fields[0], fields[1], fields[6] = state, str(parent), str(flags)
        fields[17], fields[19] = str(threads), str(pid * 100 if started is None else started)
        fields[20] = str(memory)
        fields[45], fields[48] = ("1000", str(1000 + room)) if room else ("0", "0")
        folder = self.folder / str(pid)
        folder.mkdir(exist_ok=True)
        (folder / "stat").write_text(f"{pid} ({comm}) {' '.join(fields)}\n")
        (folder / "cmdline").write_bytes(b"\0".join(word.encode() for word in words) + b"\0")

    def seen(self) -> Seen:
        return attempts.find(table.read(str(self.folder), MINE))

    def kinds(self) -> dict[int, str]:
        return {pid: attempt.kind for pid, attempt in self.seen().attempts.items()}

    def tasks(self) -> dict[int, Task]:
        return {pid: attempt.task for pid, attempt in self.seen().attempts.items()}


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def test_an_attempt_of_airflow_2_is_a_supervisor_and_its_task(proc: Proc) -> None:
    proc.add(20, 10, POOL)
    proc.add(21, 10, POOL)
    proc.add(30, 20, SUPERVISOR_2)
    proc.add(40, 30, RUNNER)
    assert proc.kinds() == {30: "supervisor", 40: "task"}
    assert proc.tasks() == {30: IN_2._replace(map_index=3), 40: IN_2._replace(map_index=3)}
    assert (proc.seen().pool, proc.seen().idle) == (2, 1)
    assert proc.seen().attempts[40].started == 4000


def test_an_attempt_of_airflow_3_is_the_pool_s_process_and_its_task(proc: Proc) -> None:
    proc.add(20, 10, SUPERVISOR_3)
    proc.add(40, 20, TASK_3)
    assert proc.kinds() == {20: "pool", 40: "task"}
    assert set(proc.tasks().values()) == {Task(instance=TI)}


def test_on_3_0_to_3_2_the_pool_s_process_keeps_celery_s_title(proc: Proc) -> None:
    proc.add(20, 10, POOL)
    proc.add(40, 20, TASK_3)
    assert proc.tasks() == {40: Task(instance=TI)}


def test_on_3_3_a_process_of_the_pool_that_is_idle_has_the_title_of_its_last_task(
    proc: Proc,
) -> None:
    proc.add(20, 10, SUPERVISOR_3)
    assert proc.kinds() == {}
    assert (proc.seen().pool, proc.seen().idle) == (1, 1)


@pytest.mark.parametrize("title", [POOL, SUPERVISOR_3])
def test_one_whose_task_has_ended_unnoticed_still_works(proc: Proc, title: str) -> None:
    proc.add(20, 10, title)
    proc.add(40, 20, state="Z")
    assert proc.kinds() == {20: "pool"}


def test_a_task_whose_supervisor_was_lost_is_seen(proc: Proc) -> None:
    proc.add(40, 1, TASK_3)
    proc.add(41, 1, RUNNER)
    assert proc.tasks() == {40: Task(instance=TI), 41: IN_2}


@pytest.mark.parametrize(
    ("parent", "task"), [(POOL, titles.UNKNOWN), (SUPERVISOR_3, Task(instance=TI))]
)
def test_a_fork_has_its_parent_s_title_until_it_has_its_own(
    proc: Proc, parent: str, task: Task
) -> None:
    proc.add(20, 10, parent)
    proc.add(30, 20, parent)
    assert proc.tasks()[30] == task
    assert proc.kinds()[30] == "task"


def test_a_fork_of_a_supervisor_of_airflow_2_is_its_task(proc: Proc) -> None:
    proc.add(20, 10, POOL)
    proc.add(30, 20, SUPERVISOR_2)
    proc.add(40, 30, SUPERVISOR_2)
    assert proc.kinds() == {30: "supervisor", 40: "task"}


def test_what_a_task_forks_is_of_its_run(proc: Proc) -> None:
    long = RUNNER[:26]  # cut
    proc.add(20, 10, POOL)
    proc.add(30, 20, SUPERVISOR_2)
    proc.add(40, 30, long)
    proc.add(50, 40, long)
    proc.add(60, 40, "bash", "-c", "sleep 1")
    assert {pid: task.run for pid, task in proc.tasks().items()} == dict.fromkeys(
        (30, 40, 50), "run 1"
    )


def test_a_child_of_the_pool_that_nobody_knows_is_of_an_unknown_run(proc: Proc) -> None:
    proc.add(20, 10, POOL)
    proc.add(30, 20, "/usr/bin/somebodys", "--password", "secret")
    (found,) = proc.seen().attempts.values()
    assert (found.kind, found.task) == ("task", titles.UNKNOWN)
    assert found.title == "somebodys", "arguments may hold anything"
    tracker = "from multiprocessing.resource_tracker import main;main(8)"
    proc.add(30, 20, "/usr/bin/python", "-c", tracker)
    assert proc.kinds() == {}
    assert proc.seen().idle == 1


def test_another_user_s_task_is_known_by_its_command(proc: Proc) -> None:
    sudo = ["sudo", "-E", "-H", "-u", "other"]
    raw = ["airflow", "tasks", "run", "dag", "task", "run 1", "--job-id", "3", "--raw"]
    proc.add(20, 10, POOL)
    proc.add(30, 20, SUPERVISOR_2)
    proc.add(40, 30, *sudo, *raw, room=0)
    proc.add(50, 40, "/usr/bin/python", "/home/airflow/.local/bin/airflow", *raw[1:], room=0)
    assert proc.kinds() == {30: "supervisor", 40: "task", 50: "task"}
    assert {task.run for task in proc.tasks().values()} == {"run 1"}


def test_another_user_s_task_on_airflow_3_is_known_before_it_names_itself(proc: Proc) -> None:
    code = "from airflow.sdk.execution_time.task_runner import main; main()"
    words = ["sudo", "-E", "-H", "-u", "other", "python", "-c", code]
    proc.add(20, 10, SUPERVISOR_3)
    proc.add(30, 20, *words, room=0)
    proc.add(40, 30, *words[5:], room=0)
    proc.add(50, 1, *words[5:], room=0)
    assert proc.tasks() == {
        20: Task(instance=TI),
        30: Task(instance=TI),
        40: titles.UNKNOWN,
        50: titles.UNKNOWN,
    }


def test_a_new_interpreter_for_each_task_has_a_command_and_no_title(proc: Proc) -> None:
    proc.add(20, 10, POOL)
    proc.add(30, 20, "/usr/bin/python", "/bin/airflow", *COMMAND[1:])
    proc.add(40, 30, RUNNER)
    assert proc.kinds() == {30: "supervisor", 40: "task"}
    assert {task.run for task in proc.tasks().values()} == {"run 1"}


def test_what_has_ended_is_none_and_what_still_ends_is_one(proc: Proc) -> None:
    proc.add(40, 1, state="Z", comm="airflow worker ")
    assert proc.kinds() == {}
    # Its first thread has ended, another hangs in a system call.
    proc.add(40, 1, state="Z", threads=2, comm="airflow worker ")
    proc.add(41, 1, state="D", comm="airflow task ru")
    assert proc.tasks() == {40: titles.UNKNOWN, 41: titles.UNKNOWN}


def test_the_others_in_a_worker_are_none(proc: Proc) -> None:
    proc.add(11, 10, "python", "/bin/airflow", "celery", "worker")
    proc.add(12, 10, "airflow serve-logs")
    proc.add(13, 12, "gunicorn: worker [gunicorn]")
    proc.add(14, 10, MAIN)  # a new process of the pool, in its first moment
    proc.add(15, 2, flags=0x00200000, comm="kworker/0:1")
    proc.add(16, 1, "airflow worker -- LocalExecutor: <idle>")
    proc.add(17, 0, "grep", "-r", "airflow worker -- ")
    assert proc.seen() == Seen({}, 0, 0)


def test_a_process_that_comes_while_the_others_are_read_is_read_too(
    proc: Proc, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = table.one

    def forking(root: str, pid: int) -> table.Process | None:
        if pid == 1:
            proc.add(40, 1, TASK_3)
        return real(root, pid)

    monkeypatch.setattr(table, "one", forking)
    assert proc.kinds() == {40: "task"}


def test_a_program_that_has_no_arguments_yet_is_waited_for(
    proc: Proc, monkeypatch: pytest.MonkeyPatch
) -> None:
    proc.add(40, 1, comm="cat", memory=8192)
    monkeypatch.setattr(time, "sleep", lambda _: proc.add(40, 1, TASK_3, comm="cat", memory=8192))
    assert proc.tasks() == {40: Task(instance=TI)}


def test_a_program_that_never_has_arguments_is_told_by_its_short_name(proc: Proc) -> None:
    proc.add(40, 1, comm="airflow task ru", memory=8192)
    assert proc.tasks() == {40: titles.UNKNOWN}


@pytest.mark.parametrize("options", ["rw,hidepid=2", "rw,hidepid=invisible", "hidepid=1,gid=3"])
def test_where_processes_may_be_hidden_nothing_is_told(proc: Proc, options: str) -> None:
    proc.mounted(options)
    with pytest.raises(CannotLook, match=r"hidepid=.*mount it without"):
        proc.seen()
    proc.mounted("rw,hidepid=0")
    assert proc.kinds() == {}


def test_a_proc_of_another_namespace_is_not_believed(proc: Proc) -> None:
    with pytest.raises(CannotLook, match="does not belong to this container"):
        table.read(str(proc.folder), MINE + 1)
    with pytest.raises(CannotLook, match="cannot be listed"):
        table.read(str(proc.folder / "none"), MINE)


def test_a_process_that_may_not_be_read_makes_all_unknown(proc: Proc) -> None:
    proc.add(40, 1, TASK_3)
    (proc.folder / "40" / "cmdline").unlink()
    (proc.folder / "40" / "cmdline").mkdir()  # as root everything else can be read
    with pytest.raises(CannotLook, match="process 40 cannot be read"):
        proc.seen()


names = st.text(st.characters(exclude_characters=" \0", exclude_categories=["Cs"]), min_size=1)
runs = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(names, names, runs, st.integers(0, 300))
def test_a_title_that_is_cut_tells_the_right_run_or_none(
    dag: str, task: str, run: str, length: int
) -> None:
    title = f"airflow task supervisor: {['airflow', 'tasks', 'run', dag, task, run, '--local']}"
    told = titles.read([title[: 25 + length]], whole=False).task
    dashed = any(word.startswith("-") for word in (dag, task, run))
    assert told in (titles.UNKNOWN, Task(dag, task, run))
    whole = titles.read([title], whole=False).task
    assert whole == (titles.UNKNOWN if dashed else Task(dag, task, run))


def test_the_title_of_a_task_is_sure_only_where_it_is_whole() -> None:
    cut = "airflow task runner: dag task run 1"  # of `run 1 more 17`, or with job 1 of `run`
    assert titles.read([cut], whole=False).task == titles.UNKNOWN
    assert titles.read(["airflow task runner: dag task my run 12 17"], whole=True).task == Task(
        "dag", "task", "my run 12"
    )
    assert titles.read([TASK_3[:-1]], whole=True).task == titles.UNKNOWN


@contextmanager
def running(*command: str, title: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A real process; with a title it is `cat`, which calls itself so."""
    words = [title] if title else list(command)
    program = "/bin/cat" if title else None
    with subprocess.Popen(words, executable=program, stdin=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def name_of(pid: int) -> Named:
    process = table.one("/proc", pid)
    assert process is not None
    return Named(pid, process.started)


def end(*wanted: Named) -> kill.Outcome:
    return kill.end(wanted, "/proc", os.getpid(), 5.0)


def test_a_real_task_is_killed_and_what_is_no_task_or_another_process_is_not() -> None:
    with running(title=TASK_3) as task, running("cat") as other:
        wrong = Named(task.pid, name_of(task.pid).started + 1)
        assert end(wrong, name_of(other.pid)).gone == [wrong, name_of(other.pid)]
        assert task.poll() is other.poll() is None
        named = name_of(task.pid)
        begin = time.monotonic()
        assert end(named).ended == [named]
        assert task.wait(5) == -signal.SIGKILL
        assert time.monotonic() - begin < 4, "a zombie has ended"
        assert other.poll() is None
        assert end(named).gone == [named]


PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.argv[1]], executable="/bin/cat", stdin=subprocess.PIPE)
print(child.pid, flush=True)
child.wait()
sys.stdin.read()
"""


def test_a_supervisor_is_left_while_its_task_lives_and_killed_where_it_has_none() -> None:
    words = ["python", "-c", PARENT, RUNNER, "airflow", *COMMAND[1:]]
    with subprocess.Popen(
        words, executable=sys.executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            child = Named(*name_of(int(process.stdout.readline())))
            parent = name_of(process.pid)
            seen = attempts.find(table.read("/proc", os.getpid())).attempts
            assert {pid: seen[pid].kind for pid in (parent.pid, child.pid)} == {
                parent.pid: "supervisor",
                child.pid: "task",
            }
            first = kill.end([parent, child], "/proc", os.getpid(), 0.2)
            assert (first.ended, first.left) == ([child], [parent])
            assert process.poll() is None
            end(child)  # Waits until it is gone, on a slow machine too.
            assert end(parent).ended == [parent]
        finally:
            process.kill()


def test_a_process_of_the_pool_is_never_killed(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: killed.append(pid))
    proc.add(20, 10, SUPERVISOR_3)
    proc.add(40, 20, state="Z")
    outcome = kill.end([Named(20, 2000), Named(10, 1000)], str(proc.folder), MINE, 0.0)
    assert (outcome.left, outcome.gone, killed) == ([Named(20, 2000)], [Named(10, 1000)], [])


def test_what_belongs_to_another_user_is_told(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_pid: int, _number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", forbidden)
    proc.add(40, 1, TASK_3)
    outcome = kill.end([Named(40, 4000)], str(proc.folder), MINE, 0.0)
    assert outcome.refused == {
        Named(40, 4000): "Operation not permitted: it belongs to another user"
    }


@pytest.mark.parametrize("text", ["", "12", "a:1", "1:5", "12:", "-3:4", "12:3:4"])
def test_a_process_is_named_by_two_numbers(text: str) -> None:
    with pytest.raises(UsageError, match="use PID:STARTED"):
        command._named(text)


def test_a_name_that_would_be_masked_is_not_told() -> None:
    found = attempts.Attempt(4, 5, 1, "task", 2, Task("d", "t", "s3://me:secret@x"), "title")
    told = command._as_json(found)
    assert (told["dagId"], told["taskId"], told["runId"]) == (None, None, None)
