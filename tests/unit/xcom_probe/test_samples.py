"""Samples of users: files as a ConfigMap mounts them, Python in its sandbox."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from harness.waiting import wait_for
from xcom_probe.model import ERROR, PASS, Finding, UsageError
from xcom_probe.samples import folder as folder_module
from xcom_probe.samples.folder import SampleFolder

SECONDS = 60.0


def read(path: Path, seconds: float = SECONDS) -> tuple[dict[str, Any], Finding]:
    """The values by name, and the check."""
    given = SampleFolder(str(path), seconds)
    values = {sample.name: sample.make() for sample in given.samples()}
    return values, given.finding()


def python(path: Path, code: str, seconds: float = SECONDS) -> tuple[dict[str, Any], Finding]:
    """The same of a folder with one Python file."""
    (path / "mine.py").write_text(code)
    return read(path, seconds)


def test_files_of_both_kinds_give_samples_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text('{"rows": [1, 2.0, null]}')
    (tmp_path / "a.py").write_text(
        "SAMPLES = {'pair': (1, 2), 'when': __import__('datetime').date.min}"
    )
    values, finding = read(tmp_path)
    assert list(values) == ["samples-a.pair", "samples-a.when", "samples-b"]
    assert values["samples-a.pair"] == (1, 2)
    assert values["samples-b"] == {"rows": [1, 2.0, None]}
    assert finding.status == PASS
    assert finding.observed.startswith("3 samples of 2 files")


def test_a_mounted_config_map_is_read_once(tmp_path: Path) -> None:
    """Kubernetes mounts files as links into a hidden folder with the content."""
    data = tmp_path / "..2024_02_29"
    data.mkdir()
    (data / "a.json").write_text("1")
    (tmp_path / "..data").symlink_to(data.name)
    (tmp_path / "a.json").symlink_to("..data/a.json")
    values, finding = read(tmp_path)
    assert values == {"samples-a": 1}
    assert finding.status == PASS


def test_a_function_gives_samples_too(tmp_path: Path) -> None:
    values, _ = python(tmp_path, "def samples():\n    return {'a': {1, 2}}\n")
    assert values == {"samples-mine.a": {1, 2}}


@pytest.mark.parametrize(
    ("name", "content", "seen"),
    [
        ("a.json", "{'single': 1}", "a.json: is not JSON: Expecting property name"),
        ("a.json", b"\xff", "a.json: is not JSON: 'utf-8' codec"),
        ("a.json", "[" * 100_000, "a.json: cannot be read: maximum recursion"),
        ("notes.txt", "", "notes.txt: is neither NAME.json nor NAME.py"),
        ("white space.json", "1", "white space.json: its name may have letters"),
        ("a.py", "x = (\n", "a.py, line 1: SyntaxError"),
        ("a.py", "\n\n1 / 0\n", "a.py, line 3: ZeroDivisionError: division by zero"),
        ("a.py", "def samples():\n    raise KeyError('k')\n", "a.py, line 2: KeyError: 'k'"),
        ("a.py", "import nobody_wrote_this\n", "a.py, line 1: ModuleNotFoundError"),
        ("a.py", "x = 1\n", "a.py: ValueError: define SAMPLES = {name: value}"),
        ("a.py", "SAMPLES = [1]\n", "a.py: TypeError: SAMPLES is list, expected a dict"),
        ("a.py", "SAMPLES = {1: 2}\n", "a.py, sample '1': its name is int, expected str"),
        ("a.py", "SAMPLES = {'a/b': 2}\n", "a.py, sample 'a/b': its name may have letters"),
        ("a.py", "SAMPLES = {'a': object()}\n", "a.py, sample 'a': the type builtins.object"),
        ("a.py", "raise SystemExit(0)\n", "a.py, line 1: SystemExit: 0"),
        ("a.py", "import os; os._exit(7)\n", "a.py: its process ended with exit code 7"),
        ("a.py", "import os; os.kill(os.getpid(), 9)\n", "a.py: its process was killed by SIGKILL"),
        ("a.py", "SAMPLES = {str(n): n for n in range(1001)}", "1001 samples; the limit"),
        ("a.py", "SAMPLES = {'a': 'x' * (32 * 1024 * 1024)}", "'a': it is larger than 33554432"),
    ],
)
def test_what_cannot_be_read_is_named_with_file_and_line(
    tmp_path: Path, name: str, content: str | bytes, seen: str
) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(data)
    (tmp_path / "z.json").write_text("7")
    values, finding = read(tmp_path)
    assert values == {"samples-z": 7}, "the other files are read all the same"
    assert finding.status == ERROR
    assert seen in finding.observed


def test_a_large_json_file_is_refused_by_its_size(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(32 * 1024 * 1024 + 1)
    _, finding = read(tmp_path)
    assert "a.json: has 33554433 bytes; the limit is 33554432" in finding.observed


def test_samples_beyond_the_limit_of_all_files_are_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "MOST", 2)
    for name in "abc":
        (tmp_path / f"{name}.json").write_text("1")
    values, finding = read(tmp_path)
    assert list(values) == ["samples-a", "samples-b"]
    assert "c.json: there are more than 2 samples" in finding.observed


def test_an_empty_folder_and_a_missing_one_are_told(tmp_path: Path) -> None:
    _, finding = read(tmp_path)
    assert finding.status == ERROR
    assert "contains no sample" in finding.observed
    with pytest.raises(UsageError, match="--samples"):
        SampleFolder(str(tmp_path / "nobody-made-this"), SECONDS)


class TestSandbox:
    """What the code of a Python file can and cannot do."""

    @pytest.mark.parametrize(
        "code",
        ["while True:\n    pass\n", "import time\ntime.sleep(3600)\n"],
        ids=["busy", "idle"],
    )
    def test_code_without_an_end_is_ended(self, tmp_path: Path, code: str) -> None:
        _, finding = python(tmp_path, code, seconds=1.0)
        assert "--samples-timeout" in finding.observed

    def test_nothing_that_it_started_lives_on(self, tmp_path: Path) -> None:
        code = (
            "import subprocess, time\n"
            "started = subprocess.Popen(['sleep', '3600'])\n"
            "SAMPLES = {'pid': started.pid}\n"
        )
        values, _ = python(tmp_path, code)
        status = Path(f"/proc/{values['samples-mine.pid']}/stat")

        def ended() -> bool:
            try:
                # A zombie was killed, and is not yet waited for by whoever inherits it.
                return status.read_text().rsplit(")", 1)[1].split()[0] == "Z"
            except OSError:
                return True

        assert wait_for("what the file started is gone", ended, 30)

    def test_memory_is_limited(self, tmp_path: Path) -> None:
        _, finding = python(tmp_path, "x = bytearray(8 * 1024 ** 3)\n")
        assert "line 1: MemoryError" in finding.observed

    def test_no_variable_of_the_pod_is_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AWS_SECRET_ACCESS_KEY", "MY_TOKEN"):
            monkeypatch.setenv(name, "certainly-a-secret")
        values, _ = python(tmp_path, "import os\nSAMPLES = {'env': dict(os.environ)}\n")
        env = values["samples-mine.env"]
        assert "PATH" in env
        assert "certainly-a-secret" not in json.dumps(env)
        assert not [name for name in env if name.startswith(("AIRFLOW", "AWS", "KUBE"))]

    def test_files_cannot_be_written(self, tmp_path: Path) -> None:
        target = tmp_path / "written"
        _, finding = python(
            tmp_path, f"with open({str(target)!r}, 'w') as f:\n    f.write('data')\n"
        )
        assert "File too large" in finding.observed
        assert target.read_bytes() == b""

    def test_what_it_prints_goes_nowhere(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        code = (
            "import os, sys\n"
            "print('printed'); print('printed', file=sys.stderr); os.write(1, b'printed')\n"
            "SAMPLES = {'a': 1}\n"
        )
        values, _ = python(tmp_path, code)
        assert values == {"samples-mine.a": 1}
        assert capfd.readouterr() == ("", "")

    def test_the_network_is_cut_or_the_check_says_that_it_is_not(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            code = (
                "import socket\n"
                f"reached = socket.socket().connect_ex(('127.0.0.1', {port})) == 0\n"
                "SAMPLES = {'reached': reached}\n"
            )
            values, finding = python(tmp_path, code)
        said = "with a network" in finding.observed
        assert values["samples-mine.reached"] == said
        assert said or "without a network" in finding.observed

    def test_the_folder_that_it_starts_in_is_empty_and_gone_afterwards(
        self, tmp_path: Path
    ) -> None:
        code = "import os\nSAMPLES = {'here': os.getcwd(), 'files': os.listdir()}\n"
        values, _ = python(tmp_path, code)
        assert values["samples-mine.files"] == []
        assert not os.path.exists(values["samples-mine.here"])

    def test_numpy_can_be_used(self, tmp_path: Path) -> None:
        code = "import numpy as np\nSAMPLES = {'a': np.arange(3)}\n"
        values, finding = python(tmp_path, code)
        assert finding.status == PASS, finding.observed
        assert values["samples-mine.a"].tolist() == [0, 1, 2]
