"""From a start until all rollouts have been passed over: the operator beside controller-runtime.

The other one is `gotools/noop-controller`: it watches the same kinds and makes one pass over each
rollout that reads its namespace from the cache, decides nothing and writes nothing. It is what
starting and listing cost at least.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import page
from bench.asked import Asked, Counts
from bench.fleet import Fleet, process
from harness import tools
from harness.say import step
from harness.waiting import NotYetError, wait_for

CONTROLLER: Final = "noop-controller"
GOAL: Final = 3.0
ROUNDS: Final = int(os.environ.get("BENCH_RESTARTS", "3"))
QUIET_SECONDS: Final = 3.0
"""For so long it asks nothing and hardly computes: then all is settled."""
QUIET_SHARE: Final = 0.1
"""Of a processor."""
DEADLINE: Final = 900


@dataclass(frozen=True)
class Restart:
    """One start: seconds until it rests, of the wall and of its processor, and its requests."""

    program: str
    seconds: float
    processor: float
    requests: Counts


def measure(fleet: Fleet, asked: Asked) -> list[Restart]:
    """Start each in turns, with all the rollouts of the fleet settled."""
    controller = tools.tool(CONTROLLER)
    environment = {**os.environ, "KUBECONFIG": str(fleet.kubeconfig)}
    log = fleet.folder / "noop-controller.log"
    programs: dict[str, Callable[[], AbstractContextManager[subprocess.Popen[bytes]]]] = {
        "operator": fleet.operator,
        "controller-runtime": lambda: process([controller], environment, log),
    }
    found = []
    for number in range(ROUNDS):
        for name, start in programs.items():
            with step(f"restart {number + 1} of {ROUNDS}: {name}"):
                found.append(_timed(name, start, asked))
    return found


def _timed(
    name: str, start: Callable[[], AbstractContextManager[subprocess.Popen[bytes]]], asked: Asked
) -> Restart:
    asked.take()
    begin = time.monotonic()
    with start() as running:
        watch = _Watch(running, asked, begin)
        wait_for(f"{name} to rest", watch.rests, DEADLINE, interval=0.25)
    return Restart(name, watch.since - begin, watch.processor, watch.requests)


class _Watch:
    """Looks at a process until it rests.

    Attributes:
        since: when it was last seen to ask or to compute.
        processor: seconds of its processor until then.
    """

    def __init__(self, running: subprocess.Popen[bytes], asked: Asked, now: float) -> None:
        self._running = running
        self._asked = asked
        self._looked = self.since = now
        self._spent = self.processor = 0.0
        self.requests: Counts = Counts()

    def rests(self) -> bool:
        if self._running.poll() is not None:
            return True  # the end of the block says so
        now, spent, more = time.monotonic(), _processor(self._running.pid), self._asked.take()
        self.requests += more
        if more or spent - self._spent > QUIET_SHARE * (now - self._looked):
            self.since, self.processor = now, spent
        self._looked, self._spent = now, spent
        if not self.requests or now - self.since < QUIET_SECONDS:
            raise NotYetError(f"{self.requests.total()} requests, {spent:.1f} s of processor")
        return True


def _processor(pid: int) -> float:
    """Seconds of processor that a process has used, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(restarts: Sequence[Restart], rollouts: int) -> str:
    """Return the results as Markdown."""
    names = list(dict.fromkeys(each.program for each in restarts))
    by_name = {name: [each for each in restarts if each.program == name] for name in names}
    ours, theirs = (
        sorted(each.seconds for each in by_name[name])[len(by_name[name]) // 2] for name in names
    )
    rows = [
        (
            name,
            ", ".join(f"{each.seconds:.1f}" for each in runs),
            ", ".join(f"{each.processor:.1f}" for each in runs),
            ", ".join(f"{each.requests.total()}" for each in runs),
        )
        for name, runs in by_name.items()
    ]
    verdict = "kept" if ours <= GOAL * theirs else "NOT kept"
    return (
        f"Restart with {rollouts} rollouts, until nothing is asked or computed any more:\n\n"
        + page.table(("Program", "Seconds", "Processor, s", "Requests"), rows)
        + f"\n\nOf the medians: **{ours / theirs:.1f}** times (goal: {GOAL:g}, {verdict})."
    )
