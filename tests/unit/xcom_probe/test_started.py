"""What the container's own processes were started with, beside what a fresh one is given."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_probe import options, started
from xcom_probe.model import FAIL, PASS, WARN, Finding
from xcom_probe.started import Stat

BACKEND = options.env_name(*options.BACKEND)
GIVEN = {"PATH": os.environ["PATH"], "AIRFLOW_HOME": "/opt/airflow"}
# Stands in for `airflow`: what counts of it is its command line and its environment.
_AIRFLOW = "import time; print('up', flush=True); time.sleep(30)"


@pytest.fixture
def airflow(tmp_path: Path) -> Path:
    program = tmp_path / "airflow"
    program.write_text(f"#!{sys.executable}\n{_AIRFLOW}\n")
    program.chmod(0o755)
    return program


@contextmanager
def container(script: str, environ: Mapping[str, str] = GIVEN) -> Iterator[int]:
    """The PID of a shell that runs `script`, once a process of it has said that it is up."""
    command = ["bash", "-c", script]
    process = subprocess.Popen(
        command, env=dict(environ), stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"up\n"
        yield process.pid
    finally:
        os.killpg(process.pid, 9)
        process.wait()
        process.stdout.close()


def wait_for(met: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not met():
        assert time.monotonic() < end
        time.sleep(0.02)


def differences(first: int) -> list[Mapping[str, str | None]]:
    return [process.differs for process in started.look(GIVEN, first) if process.differs]


def known(first: int) -> list[bool]:
    return sorted(process.known for process in started.look(GIVEN, first) if process.airflow)


def found(first: int, given: Mapping[str, str] = GIVEN) -> Finding:
    finding = started.check(given, first)
    assert finding is not None
    return finding


@pytest.mark.parametrize("run", ["exec ", ""], ids=["by exec", "as a child"])
def test_what_a_start_command_exports_is_told(airflow: Path, run: str) -> None:
    with container(f"export {BACKEND}=x.Y; {run}{airflow} scheduler; true") as first:
        assert differences(first) == [{BACKEND: "x.Y"}]
        finding = found(first)
    assert finding.status == FAIL
    assert f"(airflow scheduler) was started with {BACKEND}=x.Y" in finding.observed


def test_what_a_sourced_file_exports_is_told(airflow: Path, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(f"export {BACKEND}=x.Y\n")
    with container(f"source {tmp_path}/config && exec {airflow} triggerer") as first:
        assert differences(first) == [{BACKEND: "x.Y"}]


def test_what_a_start_command_takes_away_is_told(airflow: Path) -> None:
    given = {**GIVEN, BACKEND: "x.Y"}
    with container(f"unset {BACKEND}; exec {airflow} scheduler", given) as first:
        finding = found(first, given)
    assert f"was started without {BACKEND}" in finding.observed


def test_another_airflow_cfg_is_told_and_another_name_of_the_same_is_not(
    airflow: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "airflow.cfg").touch()
    (tmp_path / "link").symlink_to(home)
    given = {**GIVEN, "AIRFLOW_HOME": str(home)}
    for export in (f"AIRFLOW_HOME={tmp_path}/link", f"AIRFLOW_CONFIG={home}/airflow.cfg"):
        with container(f"export {export}; exec {airflow} scheduler", given) as first:
            assert found(first, given).status == PASS
    with container(f"AIRFLOW_CONFIG=/other.cfg exec {airflow} scheduler", given) as first:
        finding = found(first, given)
    assert finding.status == FAIL
    assert "reads /other.cfg" in finding.observed
    assert f"{home}/airflow.cfg" in finding.observed


def test_another_path_of_modules_is_a_warning(airflow: Path) -> None:
    with container(f"export PYTHONPATH=/x; exec {airflow} scheduler") as first:
        finding = found(first)
    assert finding.status == WARN
    assert "PYTHONPATH=/x" in finding.observed


def test_other_variables_of_a_start_command_say_nothing(airflow: Path) -> None:
    with container(f"export AIRFLOW_CONN_A=b LANG=C; exec {airflow} scheduler") as first:
        finding = found(first)
    assert finding.status == PASS


def test_one_difference_that_children_inherit_is_told_once(airflow: Path) -> None:
    script = f"export {BACKEND}=x.Y; exec bash -c '{airflow} scheduler; true'"
    with container(script) as first:
        finding = found(first)
    assert finding.observed.count(BACKEND) == 1


@pytest.mark.parametrize("cleaned", ["env -i", "env -u AIRFLOW_HOME", f"env {BACKEND}=x.Y"])
def test_another_program_may_have_an_environment_of_its_own(airflow: Path, cleaned: str) -> None:
    """A cron, a helper, a child of a DAG file that is parsed: not Airflow, wherever it lies."""
    helper = airflow.parent / "opt" / "airflow" / "helper.py"
    helper.parent.mkdir(parents=True)
    helper.write_text("import time; time.sleep(30)")
    script = f"{cleaned} {sys.executable} {helper} & sleep 0.3; {airflow} scheduler; true"
    with container(script) as first:
        finding = found(first)
    assert (finding.status, finding.observed) == (PASS, "nothing else in 1 processes of Airflow")


def test_a_container_without_a_process_that_is_airflows_is_not_known() -> None:
    with container(f'export {BACKEND}=x.Y; exec {sys.executable} -c "{_AIRFLOW}"') as first:
        finding = found(first)
    assert finding.status == WARN
    assert "none of the processes is known to be Airflow's" in finding.observed


@pytest.mark.parametrize(
    ("title", "airflow"),
    [
        ("/venv/bin/python3.12 /venv/bin/airflow scheduler", True),
        ("/venv/bin/airflow scheduler", True),
        ("python -m airflow scheduler", True),
        ("python3 -u -W ignore -X dev -m airflow scheduler", True),
        ("python3 -Xfrom -Wc /venv/bin/airflow scheduler", True),
        ("python3 -um airflow.__main__ scheduler", True),
        ("python3 /lib/airflow/__main__.py scheduler", True),
        ("python /venv/bin/gunicorn airflow.www:app", True),
        ("python /venv/bin/celery --app airflow worker", True),
        ("python -m celery --app airflow worker", True),
        ("bash -c exec_airflow_scheduler", False),
        ("/usr/bin/dumb-init -- airflow scheduler", False),
        ("bash /opt/airflow/bin/start airflow", False),
        ("python /opt/airflow/helper.py", False),
        ("python -c airflow", False),
        ("python", False),
        ("python -m", False),
        ("/opt/airflow/bin/crond -f", False),
        ("git -C /opt/airflow/dags", False),
    ],
)
def test_which_commands_are_airflows(title: str, airflow: bool) -> None:
    assert started.is_airflow(title.split(" ")) is airflow


@pytest.mark.parametrize(
    "title",
    [
        "airflow scheduler -- DagFileProcessorManager",
        "gunicorn: master [airflow-webserver]",
        "[ready] gunicorn: worker [airflow-webserver]",
        "[celeryd: celery@worker-0:ForkPoolWorker-1]",
    ],
)
def test_a_title_of_its_own_is_airflows_too(title: str) -> None:
    assert started.is_airflow([title, "", ""])


# What setproctitle leaves of it: the room of the first environment, blank.
_BLANK = (
    "import ctypes; stat = open('/proc/self/stat').read().rpartition(')')[2].split(); "
    "start, end = int(stat[47]), int(stat[48]); ctypes.memset(start, 0, end - start)"
)


def test_one_that_can_be_read_says_nothing_of_another_that_cannot(airflow: Path) -> None:
    airflow.write_text(f"#!{sys.executable}\nimport sys\nif 'api-server' in sys.argv:\n")
    with airflow.open("a") as file:
        file.write(f"    {_BLANK}\n{_AIRFLOW}\n")
    with container(f"{airflow} scheduler & {airflow} api-server; true") as first:
        # The line that says `up` is either's.
        wait_for(lambda: known(first) == [False, True])
        finding = found(first)
    assert finding.status == WARN
    assert "(airflow api-server) cannot be read; 1 of 2 processes" in finding.observed


def test_a_child_that_cannot_be_read_was_started_by_its_parent(airflow: Path) -> None:
    airflow.write_text(f"#!{sys.executable}\nimport os\nif not os.fork():\n    {_BLANK}\n")
    with airflow.open("a") as file:
        file.write("    import time; print('up', flush=True); time.sleep(30)\nos.wait()\n")
    with container(f"exec {airflow} scheduler") as first:
        finding = found(first)
    assert finding.status == PASS
    assert "1 of 2 processes of Airflow were read" in finding.observed


def test_an_environment_that_was_overwritten_is_not_known_rather_than_not_set(
    airflow: Path,
) -> None:
    airflow.write_text(f"#!{sys.executable}\n{_BLANK}\n{_AIRFLOW}\n")
    with container(f"export {BACKEND}=x.Y; exec {airflow} api-server") as first:
        finding = found(first)
    assert finding.status == WARN
    assert "not known" in finding.observed


def test_a_look_from_the_first_processs_own_child_says_nothing() -> None:
    assert started.check(os.environ, os.getpid()) is None
    assert started.check(os.environ, os.getppid()) is None


def world(*stats: Stat) -> dict[int, Stat]:
    return {stat.pid: stat for stat in stats}


def test_the_first_process_of_a_container_is_the_one_with_the_first_number() -> None:
    every = world(Stat(1, 0, 5, "a"), Stat(7, 1, 6, "a"), Stat(30, 0, 90, "a"))
    assert started.first_process(every, 30) == 1


def test_in_a_pod_that_shares_its_processes_it_is_the_oldest_of_the_control_group() -> None:
    pause, sidecar = Stat(1, 0, 1, "p"), Stat(6, 0, 3, "s")
    own = (Stat(9, 0, 4, "a"), Stat(12, 9, 5, "a"), Stat(3, 0, 99, "a"))
    assert started.first_process(world(pause, sidecar, *own), 3) == 9
    assert started.first_process(world(pause, sidecar, *own), 44) is None


@given(st.binary(max_size=80))
def test_only_a_whole_environment_counts_as_one(data: bytes) -> None:
    read = started.parsed(data)
    if read is not None:
        assert read
        assert all(b"=" in part for part in data.rstrip(b"\0").split(b"\0"))


@pytest.mark.parametrize("data", [b"", b"\0" * 40, b"airflow scheduler\0\0\0", b"A=1\0\0\0B=2\0"])
def test_a_blank_or_torn_environment_is_not_known(data: bytes) -> None:
    assert started.parsed(data) is None


def test_an_environment_is_read_with_what_its_values_hold() -> None:
    assert started.parsed(b"A=1\0B=x=y\nz\0C=\0") == {"A": "1", "B": "x=y\nz", "C": ""}
