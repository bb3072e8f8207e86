"""Recorded programs: exactly those are found and ended."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.processes import Processes, ProcessId, identify
from harness.shell import HarnessError
from harness.waiting import wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
DEAF = """\
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('deaf', flush=True)
time.sleep(60)
"""


def test_a_program_is_found_again_by_its_record_and_ended(tmp_path: Path) -> None:
    started = Processes(tmp_path).start("sleeper", ["sleep", "60"])
    assert started.alive()
    later = Processes(tmp_path)
    assert later.recorded() == {"sleeper": started}
    later.require_alive("sleeper")
    later.stop_all()
    assert not started.alive()
    assert later.recorded() == {}


def test_a_program_that_ignores_being_asked_is_killed(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    started = processes.start("deaf", [sys.executable, "-c", DEAF])
    wait_for("deaf", lambda: "deaf" in processes.tail("deaf"), 20, interval=0.05)
    processes.stop_all(grace=0.1)
    assert not started.alive()


def test_another_program_with_the_same_number_is_not_ours() -> None:
    ourselves = identify(os.getpid())
    assert ourselves is not None
    assert ourselves.alive()
    assert not replace(ourselves, started=ourselves.started + 1).alive()


def test_after_a_reboot_no_record_is_alive(tmp_path: Path) -> None:
    ourselves = identify(os.getpid())
    assert ourselves is not None
    before = replace(ourselves, boot="00000000-0000-0000-0000-000000000000")
    (tmp_path / "old.json").write_text(json.dumps(before.__dict__))
    processes = Processes(tmp_path)
    assert processes.recorded() == {"old": ProcessId(**before.__dict__)}
    # Would end this test run, were the boot not looked at.
    processes.stop_all()
    assert processes.recorded() == {}


def test_a_program_that_ended_tells_its_last_words(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    started = processes.start("short", ["sh", "-c", "echo no such flag; sleep 0.1; exit 3"])

    def ended() -> bool:
        return "no such flag" in processes.tail("short") and not started.alive()

    wait_for("end", ended, 20, interval=0.05)
    with pytest.raises(HarnessError, match="short does not run any more:\nno such flag"):
        processes.require_alive("short")


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="no-such-program is not on this machine"):
        Processes(tmp_path).start("it", ["no-such-program"])
