"""The entrypoint of the Airflow images, run by a real shell with programs that tell their words."""

import os
import subprocess
from pathlib import Path

import pytest

from harness.paths import E2E

ENTRYPOINT = E2E / "images" / "airflow" / "entrypoint"
TELLS = '#!/bin/sh\necho "$(basename "$0")|$PYTHONPATH" "$@"\n'


def said(folder: Path, *words: str, **environment: str) -> list[str]:
    """The lines that are said when a pod starts with these words."""
    for program in ("airflow", "python"):
        (folder / program).write_text(TELLS)
        (folder / program).chmod(0o755)
    done = subprocess.run(
        [str(ENTRYPOINT), *words],
        env={"PATH": f"{folder}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("scheduler",), "airflow| scheduler"),
        (("airflow", "tasks", "run", "a b"), "airflow| tasks run a b"),
        (("bash", "-c", "exec airflow scheduler"), "airflow| scheduler"),
        (("python", "-m", "airflow.sdk"), "python| -m airflow.sdk"),
        ((), "airflow|"),
    ],
)
def test_programs_are_run_and_other_words_are_commands_of_airflow(
    tmp_path: Path, words: tuple[str, ...], line: str
) -> None:
    assert said(tmp_path, *words) == [line]


def test_what_a_variable_names_is_installed_before_each_start(tmp_path: Path) -> None:
    install = "python| -m pip install --quiet --no-cache-dir --target /tmp/additional a==1 b"
    found = said(tmp_path, "triggerer", _PIP_ADDITIONAL_REQUIREMENTS="a==1 b")
    assert found == [install, "airflow|/tmp/additional triggerer"]
