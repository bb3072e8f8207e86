"""A process that waits, and what is run beside it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from abstract_socket import wait_until_it_listens
from xcom_probe.commands import standby
from xcom_probe.model import EXIT_ERROR, EXIT_USAGE
from xcom_probe.report import Report
from xcom_probe.waiting import address
from xcom_rollout.probe.exec import WAITING
from xcom_rollout.probe.result import find_result

ECHO = """
import json, sys
with open(sys.argv[-1], "rb") as file:
    print(json.dumps([sys.argv[:-1], json.load(file)]))
"""


def test_it_ends_by_itself_after_the_time_given() -> None:
    command = (sys.executable, "-m", "xcom_probe", "standby", "--seconds", "0.1", "--json")
    done = subprocess.run(command, capture_output=True, check=True, timeout=20)
    assert json.loads(done.stdout)["verdict"] == "pass"


@pytest.fixture(autouse=True)
def own_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests at the same time on this machine do not find each other's process."""
    monkeypatch.setenv("HOSTNAME", f"pod-{os.getpid()}")


@contextmanager
def waiting() -> Iterator[subprocess.Popen[bytes]]:
    """A probe that waits; ended with the block, after which its output can be read.

    There is no database here: the answer to each question is that it cannot look.
    """
    command = (sys.executable, "-m", "xcom_probe", "standby", "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        wait_until_it_listens(address().lstrip("\0"))
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def ask(*words: str, probe: str = "/nowhere", runs: bytes = b"") -> subprocess.Popen[bytes]:
    """Ask as the operator does; standard input stays open, as that of a process in a pod."""
    command = (sys.executable, "-I", "-S", "-c", WAITING, str(len(runs)), probe, *words)
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(runs)
    process.stdin.flush()
    return process


def answer(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        said = process.stdout.read(), process.stderr.read()
        return process.wait(20), *said


def test_it_waits_until_it_is_ended_and_then_ends_at_once() -> None:
    with waiting() as process:
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == EXIT_ERROR
        assert process.stdout is not None
        assert b"stopped by SIGTERM" in process.stdout.read()


def test_a_process_that_waits_answers_in_a_process_of_its_own() -> None:
    with waiting() as process:
        assert process.stdout is not None
        for _ in range(2):
            code, said, _ = answer(ask("census", "--base", "s3://c@b/p", "--markers"))
            document = find_result(said.decode())
            assert code == EXIT_ERROR
            assert document["command"] == "census"
            assert [finding["name"] for finding in document["checks"]] == ["look"]
        process.send_signal(signal.SIGTERM)
        assert json.loads(process.stdout.read())["facts"]["answered"] == 2


def test_the_list_of_runs_is_handed_to_the_process_that_waits() -> None:
    runs = b'{"schema": "unknown"}'
    with waiting():
        code, said, errors = answer(ask("forget", "--base", "s3://c@b/p", "--json", runs=runs))
    assert (code, said) == (EXIT_USAGE, b"")
    assert b"/proc/self/fd/" in errors


def test_only_questions_of_a_kill_are_answered() -> None:
    with waiting():
        code, said, errors = answer(ask("rehydrate", "--json"))
        assert (code, said) == (1, b"")
        assert b"did not answer" in errors
        assert answer(ask("census", "--base", "s3://c@b/p", "--json"))[0] == EXIT_ERROR


def test_what_is_no_question_ends_nobody_elses_answer() -> None:
    with waiting():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
            stranger.connect(address())
            stranger.sendall(b"GET / HTTP/1.1")
        code, _, _ = answer(ask("census", "--base", "s3://c@b/p", "--json"))
    assert code == EXIT_ERROR


def test_a_question_whose_caller_has_given_up_keeps_no_other(tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    os.mkfifo(slow)
    with waiting():
        # Reading the list of runs hangs, as a database may.
        hung = ask("forget", "--base", "s3://c@b/p", "--json", "--runs-file", str(slow))
        time.sleep(0.3)
        hung.kill()
        hung.communicate()
        code, _, _ = answer(ask("census", "--base", "s3://c@b/p", "--json"))
    assert code == EXIT_ERROR


def test_where_no_socket_can_be_had_it_waits_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("xcom_probe.waiting.address", lambda: "/proc/none")
    report = Report()
    begun = time.monotonic()
    standby.run(Namespace(seconds=0.2), report)
    assert time.monotonic() - begun >= 0.2
    assert {finding.status for finding in report.findings} == {"warn", "pass"}


def test_where_nobody_waits_the_zipapp_is_run_with_the_list_of_runs(tmp_path: Path) -> None:
    probe = tmp_path / "probe.py"
    probe.write_text(ECHO)
    runs = json.dumps([{"dagId": "etl", "runId": "é"}] * 5000).encode()
    code, said, _ = answer(ask("forget", "--markers", probe=str(probe), runs=runs))
    assert code == 0
    arguments, seen = json.loads(said)
    assert arguments == [str(probe), "forget", "--markers", "--runs-file"]
    assert seen == json.loads(runs)


def test_less_than_the_whole_list_is_an_error(tmp_path: Path) -> None:
    probe = tmp_path / "probe.py"
    probe.write_text(ECHO)
    command = (sys.executable, "-c", WAITING, "100", str(probe), "forget")
    done = subprocess.run(command, input=b"[]", capture_output=True, check=False, timeout=20)
    assert done.returncode != 0
    assert b"2 of 100 bytes arrived" in done.stderr
