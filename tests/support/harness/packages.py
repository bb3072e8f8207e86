"""The files of packages from the registry, unpacked and not installed; downloaded once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from harness.paths import cache_dir
from harness.shell import HarnessError


def fetch(requirement: str, *, wheel: bool = False) -> Path:
    """The folder with what the sdist (or the wheel) of `NAME==VERSION` holds.

    Raises:
        HarnessError: the registry does not give it.
    """
    name, _, version = requirement.partition("==")
    folder = cache_dir() / "packages" / f"{name}-{version}-{'wheel' if wheel else 'sdist'}"
    if folder.exists():
        return folder
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    form = ["--only-binary", ":all:"] if wheel else ["--no-binary", name]
    words = ["-m", "pip", "download", "--quiet", "--no-deps", *form, "-d", str(partial)]
    done = subprocess.run(
        [sys.executable, *words, requirement], capture_output=True, text=True, check=False
    )
    archives = [path for path in partial.iterdir() if path.is_file()]
    if done.returncode or len(archives) != 1:
        raise HarnessError(f"pip download {requirement} failed:\n{done.stderr[-2000:]}")
    _unpack(archives[0], partial)
    archives[0].unlink()
    partial.rename(folder)
    return folder


def _unpack(archive: Path, folder: Path) -> None:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(folder)  # noqa: S202 - zipfile keeps members inside
    else:
        with tarfile.open(archive) as sdist:
            sdist.extractall(folder, filter="data")
