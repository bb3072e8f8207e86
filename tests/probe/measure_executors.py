"""Shows what becomes of running tasks with CeleryExecutor and with LocalExecutor.

    export PYTHONPATH=tests/support:operator
    python tests/probe/measure_executors.py VENV FOLDER [EXECUTOR]

VENV is a virtual environment with Airflow 2.11 or 3.3, its providers common-io, postgres and
celery[redis], and Celery below 5.7; FOLDER is made. As root on Linux, with Debian's redis-server,
dumb-init and PostgreSQL; some 15 minutes. Nothing is judged: a person reads what is printed, and
docs/airflow.md, "Executors", records what was seen. Shorter than in an Airflow as it comes:
heartbeats may be missing for 40 s (300 s), a message belongs to a worker for 100 s (a day), and
what a dead scheduler left is looked for each minute (300 s).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from executor_world import World, say, world
from harness.shell import run

SHORTER = {
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "60",
    "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "100",
    "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "40",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",
}
READERS = -1
LONG = 600.0


def configuration(at: World, host: str) -> None:
    """Which settings count: those from before the process began that all tasks are forks of."""
    say("A task runs; then airflow.cfg says threshold -1 instead of 0, and another runs.")
    at.trigger("slow", "before", 8)
    at.begun("before")
    for words in at.commands(host).values():
        say(f"  {words[:150]}")
    say(f"  {at.task('before')}")
    at.ended("before")
    at.configure(READERS)
    at.trigger("slow", "after", 1)
    at.ended("after")
    for run_id in ("before", "after"):
        say(f"  {run_id}: offloaded {at.offloaded(run_id)}")
    at.configure(0)


def stopping(at: World) -> None:
    """A run is set to failed while its task runs, one that obeys and one that is deaf."""
    for run_id, deaf in (("obeys", False), ("deaf", True)):
        say(f"A run is set to failed; its task: {run_id}.")
        at.trigger("slow_again", run_id, LONG, deaf=deaf)
        at.begun(run_id)
        at.fail("slow_again", run_id)
        at.watch(run_id, 120, at.dead)


def from_outside(at: World, host: str) -> None:
    """The lowest process of a stopped run's attempt is killed; then what the pod does next."""
    say("A run is set to failed, and the lowest process of its task is killed from outside.")
    at.trigger("slow_again", "outside", LONG, deaf=True)
    at.begun("outside")
    at.fail("slow_again", "outside")
    lowest, words = list(at.commands(host).items())[-1]
    say(f"  {words[:150]}")
    os.kill(lowest, signal.SIGKILL)
    at.watch("outside", 60, at.dead)
    time.sleep(15)
    say(f"  15 s later: {at.task('outside')[:3]}, pod gone {at.gone(host)}")
    at.trigger("slow", "outside-next", 1)
    at.ended("outside-next")
    say(f"  the next task: {at.task('outside-next')[:3]}")


def clearing(at: World) -> None:
    """A run is cleared while its task runs and does not hear; then one that is failed first."""
    for run_id, first in (("cleared", False), ("failed-cleared", True)):
        say(f"A run is cleared beside its attempt: {run_id}.")
        at.trigger("slow", run_id, 30, deaf=True)
        at.begun(run_id)
        if first:
            at.fail("slow", run_id)
        at.clear("slow", run_id)
        at.watch(run_id, 120, at.over)


def messages(at: World) -> None:
    """A message waits while no worker is there; the next worker has other settings."""
    say("A message is sent at threshold 0 and taken by a worker of threshold -1.")
    at.send_signal("w1", signal.SIGTERM)
    at.processes["w1"].wait()
    at.trigger("slow", "message", 1)
    at.watch("message", 30, lambda run_id: at.task(run_id)[0] == "queued")
    at.configure(READERS)
    at.worker("w2")
    at.ended("message")
    say(f"  offloaded {at.offloaded('message')}")


def killed(at: World, host: str, another: str) -> None:
    """The pod with a running task is killed; another is there."""
    say("The pod is killed in the middle of a task without retries, and of one with a retry.")
    for dag in ("slow", "slow_again"):
        at.trigger(dag, f"killed-{dag}", 150)
        at.begun(f"killed-{dag}")
    at.kill(host)
    begin = time.monotonic()
    at.watch("killed-slow_again", 10, at.dead)
    _another(at, another)
    at.watch("killed-slow", 200, at.restarted)
    at.watch("killed-slow_again", 200, at.alive)
    if another.startswith("w"):
        time.sleep(max(0.0, begin + 160 - time.monotonic()))
        for line in at.newest_lines(another, "received|succeeded in|already running|raised"):
            say(f"  {line[:200]}")
    for dag in ("slow", "slow_again"):
        at.fail(dag, f"killed-{dag}")
        at.watch(f"killed-{dag}", 60, at.dead)


def redelivered(at: World) -> None:
    """A task that takes longer than its message belongs to the worker."""
    say("A message is given to another worker while its task still runs.")
    at.worker("w4")
    at.trigger("slow", "redelivered", 170)
    at.begun("redelivered")
    at.watch("redelivered", 200, at.over)
    at.send_signal("w4", signal.SIGTERM)
    at.processes["w4"].wait()


def rolled(at: World, host: str, another: str) -> None:
    """A pod is asked to end while a task runs, and another begins, as in a roll."""
    say("The pod is asked to end; its task takes 30 s.")
    at.trigger("slow", "rolled", 30)
    at.begun("rolled")
    at.send_signal(host, signal.SIGTERM)
    begin = time.monotonic()
    time.sleep(1)
    at.trigger("slow", "next", 1)
    _another(at, another)
    at.watch("rolled", 90, lambda _: at.gone(host))
    say(f"  {host} ended after {time.monotonic() - begin:.1f} s: {at.gone(host)}")
    at.ended("next")
    say(f"  rolled {at.task('rolled')[:3]}, next {at.task('next')[:3]}")


def out_of_grace(at: World, host: str, another: str) -> None:
    """A pod is asked to end, and killed before its task has ended."""
    say("The pod is asked to end, and killed 8 s later.")
    at.trigger("slow_again", "grace", LONG)
    at.begun("grace")
    at.send_signal(host, signal.SIGTERM)
    time.sleep(8)
    say(f"  after 8 s: {at.alive('grace')}, pod gone {at.gone(host)}")
    if not at.gone(host):
        at.kill(host)
    at.watch("grace", 10, at.dead)
    _another(at, another)
    at.watch("grace", 200, at.alive)
    at.fail("slow_again", "grace")
    at.watch("grace", 60, at.dead)


def asked_again(at: World, host: str, another: str, *numbers: signal.Signals) -> None:
    """A pod gets signals, 3 s from each other, while a task runs."""
    names = ", ".join(number.name for number in numbers)
    say(f"The pod gets {names}; its task takes 60 s.")
    run_id = f"asked-{host}"
    at.trigger("slow", run_id, 60)
    at.begun(run_id)
    for number in numbers:
        if not at.gone(host):
            at.send_signal(host, number)
        time.sleep(3)
    at.watch(run_id, 90, lambda _: at.gone(host))
    _another(at, another)
    at.watch(run_id, 120, at.over)


def _another(at: World, name: str) -> None:
    if name.startswith("w"):
        at.worker(name)
    else:
        at.scheduler(name)


def celery(venv: Path, folder: Path) -> None:
    """All of it with workers."""
    with world(venv, folder, "CeleryExecutor", SHORTER) as at:
        at.scheduler("s")
        at.worker("w1")
        _processor(at)
        configuration(at, "w1")
        stopping(at)
        from_outside(at, "w1")
        clearing(at)
        messages(at)
        killed(at, "w2", "w3")
        redelivered(at)
        rolled(at, "w3", "w5")
        out_of_grace(at, "w5", "w6")
        asked_again(at, "w6", "w7", signal.SIGTERM, signal.SIGTERM)
        asked_again(at, "w7", "w8", signal.SIGQUIT)


def local(venv: Path, folder: Path) -> None:
    """The same where the scheduler runs the tasks."""
    with world(venv, folder, "LocalExecutor", SHORTER) as at:
        at.scheduler("s1")
        _processor(at)
        configuration(at, "s1")
        stopping(at)
        from_outside(at, "s1")
        clearing(at)
        killed(at, "s1", "s2")
        rolled(at, "s2", "s3")
        out_of_grace(at, "s3", "s4")


def _processor(at: World) -> None:
    if at.is_3:
        at.start("dag-processor", "dag-processor")


def main() -> None:
    """Measure."""
    # What was started ends with this, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    venv, folder = (Path(word).resolve() for word in sys.argv[1:3])
    asked = sys.argv[3:] or list(MEASURED)
    question = "import airflow, celery; print(airflow.__version__, celery.__version__)"
    say(f"Airflow and Celery {run(venv / 'bin' / 'python', '-c', question).splitlines()[-1]}")
    for name in asked:
        say(f"\n{name}")
        MEASURED[name](venv, folder / name)


MEASURED = {"CeleryExecutor": celery, "LocalExecutor": local}

if __name__ == "__main__":
    main()
