"""Whether airflow.cfg was changed in its place after the container's processes had started."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from xcom_probe import mounted
from xcom_probe.model import FAIL, PASS, Finding


class Volume:
    """A ConfigMap's volume as the kubelet writes it: a new folder, then the link `..data` to it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.serial = folder, 0
        folder.mkdir()
        self.write("[core]\n")
        (folder / "airflow.cfg").symlink_to("..data/airflow.cfg")

    def write(self, content: str) -> None:
        self.serial += 1
        name = f"..2026_11_28_06_24_34.{self.serial}"
        (self.folder / name).mkdir()
        (self.folder / name / "airflow.cfg").write_text(content)
        new = self.folder / "..data_tmp"
        new.symlink_to(name)
        new.rename(self.folder / "..data")

    @property
    def environ(self) -> dict[str, str]:
        return {"AIRFLOW_CONFIG": str(self.folder / "airflow.cfg")}


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path / "config")


@pytest.fixture
def process() -> Iterator[int]:
    """Return a container's first process, begun some tenths of a second after what is there."""
    time.sleep(0.3)
    running = subprocess.Popen(["sleep", "30"])
    time.sleep(0.05)
    yield running.pid
    running.kill()
    running.wait()


def found(environ: dict[str, str], first: int) -> Finding:
    finding = mounted.check(environ, first)
    assert finding is not None
    return finding


def test_a_file_that_was_there_before_the_process_is_what_it_read(
    volume: Volume, process: int
) -> None:
    assert found(volume.environ, process).status == PASS


def test_a_file_that_the_kubelet_changed_after_the_process_had_begun_is_told(
    volume: Volume, process: int
) -> None:
    volume.write("[core]\nxcom_backend = x.Y\n")
    finding = found(volume.environ, process)
    assert finding.status == FAIL
    assert "airflow.cfg was changed" in finding.observed
    assert f"after process {process} had started" in finding.observed
    assert "subPath" in str(finding.remedy)


def test_a_change_just_before_the_process_counts_as_one_after_it(volume: Volume) -> None:
    volume.write("[core]\nxcom_backend = x.Y\n")
    running = subprocess.Popen(["sleep", "30"])
    try:
        assert found(volume.environ, running.pid).status == FAIL
    finally:
        running.kill()
        running.wait()


def test_a_link_into_such_a_folder_is_followed(
    volume: Volume, tmp_path: Path, process: int
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "airflow.cfg").symlink_to(volume.folder / "airflow.cfg")
    volume.write("[core]\n")
    assert found({"AIRFLOW_HOME": str(home)}, process).status == FAIL


def test_a_file_that_nothing_changes_in_its_place_needs_no_look(
    tmp_path: Path, process: int
) -> None:
    # By subPath, or of the image; or Airflow itself has written it at its start.
    (tmp_path / "airflow.cfg").write_text("[core]\n")
    assert mounted.check({"AIRFLOW_HOME": str(tmp_path)}, process) is None
    assert mounted.check({"AIRFLOW_HOME": str(tmp_path / "none")}, process) is None


def test_a_process_of_the_container_itself_has_read_what_is_there(volume: Volume) -> None:
    assert mounted.check(volume.environ, os.getpid()) is None


def test_where_the_first_process_cannot_be_seen_nothing_is_taken_for_granted(
    volume: Volume,
) -> None:
    finding = found(volume.environ, 2**30)
    assert finding.status == FAIL
    assert "not known" in finding.observed
