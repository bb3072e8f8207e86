"""A process that waits, and what is run beside it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from xcom_rollout.probe.exec import WITH_RUNS

ECHO = """
import json, sys
with open(sys.argv[-1], "rb") as file:
    print(json.dumps([sys.argv[:-1], json.load(file)]))
"""


def test_it_waits_until_it_is_ended_and_then_ends_at_once() -> None:
    command = (sys.executable, "-m", "xcom_probe", "standby", "--markers")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            process.wait(1)
            raise AssertionError("it did not wait")
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 3
        assert process.stdout is not None
        assert b"ended by SIGTERM" in process.stdout.read()


def test_it_ends_by_itself_after_the_time_given() -> None:
    command = (sys.executable, "-m", "xcom_probe", "standby", "--seconds", "0.1", "--json")
    done = subprocess.run(command, capture_output=True, check=True, timeout=20)
    assert json.loads(done.stdout)["verdict"] == "pass"


def test_a_list_of_runs_reaches_a_command_without_an_end_of_its_input(tmp_path: Path) -> None:
    """The standard input of a process in a pod stays open."""
    probe = tmp_path / "probe.py"
    probe.write_text(ECHO)
    runs = json.dumps([{"dagId": "etl", "runId": "é"}] * 5000).encode()
    command = (sys.executable, "-c", WITH_RUNS, str(len(runs)), str(probe), "forget", "--markers")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(runs)
        process.stdin.flush()
        arguments, seen = json.loads(process.stdout.read())
        assert process.wait(10) == 0
    assert arguments == [str(probe), "forget", "--markers", "--runs-file"]
    assert seen == json.loads(runs)


def test_less_than_the_whole_list_is_an_error(tmp_path: Path) -> None:
    probe = tmp_path / "probe.py"
    probe.write_text(ECHO)
    command = (sys.executable, "-c", WITH_RUNS, "100", str(probe), "forget")
    done = subprocess.run(command, input=b"[]", capture_output=True, check=False, timeout=20)
    assert done.returncode != 0
    assert b"2 of 100 bytes arrived" in done.stderr
