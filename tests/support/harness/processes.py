"""Long-running programs, recorded so that a later process can find, and end, exactly these.

A process is known by its number, its start time and the boot it belongs to: a number that was
given to another program meanwhile is never signalled.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.shell import HarnessError
from harness.waiting import WaitTimeoutError, wait_for


@dataclass(frozen=True)
class ProcessId:
    """One certain process. `started` is in clock ticks since boot (proc(5), field 22)."""

    pid: int
    started: int
    boot: str

    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        return self.boot == _boot() and _start_and_state(self.pid) == (self.started, True)

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it still runs."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


def identify(pid: int) -> ProcessId | None:
    """The identity of a running process, None if there is none of that number."""
    start, running = _start_and_state(pid)
    return ProcessId(pid, start, _boot()) if running else None


def stop(processes: Iterable[ProcessId], grace: float = 10) -> None:
    """End the processes: ask, wait `grace` seconds, then kill.

    Raises:
        WaitTimeoutError: one survived being killed for 10 s (stuck in the kernel).
    """
    wanted = [process for process in processes if process.alive()]
    for process in wanted:
        process.send(signal.SIGTERM)
    try:
        _wait_gone(wanted, grace)
    except WaitTimeoutError:
        for process in wanted:
            process.send(signal.SIGKILL)
        _wait_gone(wanted, 10)


def _wait_gone(processes: Sequence[ProcessId], deadline: float) -> None:
    def gone() -> bool:
        for process in processes:
            reap(process.pid)
        left = [process.pid for process in processes if process.alive()]
        if left:
            raise HarnessError(f"still running: {left}")
        return True

    wait_for("processes to end", gone, deadline, interval=0.05)


def reap(pid: int) -> None:
    """Take the exit code of a child of ours, so that no zombie is left; others are left alone."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


@dataclass(frozen=True)
class Processes:
    """The recorded programs of one folder: `<name>.json` and `<name>.log` per program."""

    folder: Path

    def start(self, name: str, command: Sequence[str | Path]) -> ProcessId:
        """Start a program in its own session, its output appended to `<name>.log`.

        Raises:
            HarnessError: it is not there, or ended at once.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        words = [str(word) for word in command]
        with self.log(name).open("ab") as log:
            try:
                child = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd="/",
                )
            except FileNotFoundError as error:
                raise HarnessError(f"{name}: {words[0]} is not on this machine") from error
        process = identify(child.pid)
        # From here on the recorded identity stands for it; Popen would only warn that it runs.
        child.returncode = 0
        if process is None:
            raise HarnessError(f"{name} ended at once:\n{self.tail(name)}")
        record = self.folder / f"{name}.json"
        record.with_suffix(".new").write_text(json.dumps(asdict(process)))
        record.with_suffix(".new").replace(record)
        return process

    def log(self, name: str) -> Path:
        """The file with the program's output."""
        return self.folder / f"{name}.log"

    def tail(self, name: str, lines: int = 15) -> str:
        """The last lines that the program wrote."""
        log = self.log(name)
        if not log.exists():
            return f"({log} does not exist)"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])

    def recorded(self) -> dict[str, ProcessId]:
        """Every program ever started here and not forgotten, by name."""
        found = {}
        for record in sorted(self.folder.glob("*.json")):
            found[record.stem] = ProcessId(**json.loads(record.read_text()))
        return found

    def require_alive(self, *names: str) -> None:
        """Raise if one of the programs has ended, with what it said last.

        Raises:
            HarnessError: it has ended.
        """
        recorded = self.recorded()
        for name in names:
            process = recorded.get(name)
            if process is not None:
                reap(process.pid)
            if process is None or not process.alive():
                raise HarnessError(f"{name} does not run any more:\n{self.tail(name)}")

    def stop_all(self, grace: float = 10) -> None:
        """End every recorded program and forget it; the logs stay."""
        stop(self.recorded().values(), grace)
        for record in self.folder.glob("*.json"):
            record.unlink()


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_and_state(pid: int) -> tuple[int, bool]:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0, False
    # The command in parentheses may hold blanks and parentheses itself.
    fields = stat.rpartition(")")[2].split()
    return int(fields[19]), fields[0] not in "ZX"
