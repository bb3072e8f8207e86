"""Which Python a test environment is made with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness import pythons
from harness.shell import HarnessError

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder on PATH, and one of pyenv, with no Python in either."""
    monkeypatch.setenv("XCOM_ROLLOUT_PYTHONS", "machine")
    monkeypatch.setattr(pythons, "SUITES", {HERE: "some-release"})
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return tmp_path


def test_the_machines_own_python_is_taken(machine: Path) -> None:
    found = program(machine / "bin" / f"python{HERE}", f'exec "{sys.executable}" "$@"')
    assert pythons.python(HERE) == pythons.Python(HERE, found, None)


def test_a_shim_that_does_not_work_is_passed_over(machine: Path) -> None:
    program(machine / "bin" / f"python{HERE}", "exit 127")
    path = machine / "pyenv" / "versions" / f"{HERE}.1" / "bin" / "python"
    found = program(path, f'exec "{sys.executable}" "$@"')
    assert pythons.python(HERE).program == found


def test_a_python_of_another_version_is_passed_over(machine: Path) -> None:
    program(machine / "bin" / f"python{HERE}", "echo 2.7")
    with pytest.raises(HarnessError, match=rf"no usable python{HERE}.*put it on PATH"):
        pythons.python(HERE)


def test_an_unknown_version_is_named() -> None:
    with pytest.raises(HarnessError, match=r"Python '2.7' is not known: use one of 3.9"):
        pythons.python("2.7")


def test_a_wrong_choice_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XCOM_ROLLOUT_PYTHONS", "conda")
    with pytest.raises(HarnessError, match=r"XCOM_ROLLOUT_PYTHONS is 'conda': use debian or mach"):
        pythons.python("3.9")
