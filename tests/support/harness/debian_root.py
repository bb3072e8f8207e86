"""Debian root file systems of other releases than this machine's, made by debootstrap.

A release brings what this machine's does not have: another Python, a MySQL. Programs run there by
chroot with this machine's folders, processes and network; see in_root.sh.
"""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from harness import debian
from harness.paths import cache_dir, content_hash
from harness.say import step
from harness.shell import HarnessError, locked, run

_IN_ROOT = Path(__file__).with_name("in_root.sh")
_SECONDS = 30.0


def debian_root(suite: str, packages: Sequence[str]) -> Path:
    """The folder of a root with these packages; made once per suite and list of packages.

    Args:
        suite: `bullseye`, `trixie`, `sid`.
        packages: what it holds on top of a minimal Debian.

    Raises:
        HarnessError: not root on Debian, or no mirror has the suite.
    """
    key = content_hash([], [suite, *packages])
    folder = cache_dir() / "debian" / f"{suite}-{key}"
    with locked(f"debian-{folder.name}"):
        if not folder.exists():
            _make(folder, suite, packages)
    return folder


def _make(folder: Path, suite: str, packages: Sequence[str]) -> None:
    if not debian.is_root_on_debian():
        raise HarnessError(f"a root file system of Debian {suite} is made by root, on Debian")
    debian.install(["debootstrap"])
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with step(f"debootstrap {suite} with {', '.join(packages)}"):
        include = f"--include={','.join(packages)}"
        # Mounts of its own, so that one that is killed leaves none behind.
        unshare = ("unshare", "--mount", "--")
        run(*unshare, "debootstrap", "--variant=minbase", include, suite, partial, _mirror(suite))
        for package in (partial / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()
    partial.rename(folder)


def _mirror(suite: str) -> str:
    """Where this machine's own mirror has the suite: beside its own one, or in the archive."""
    own = debian.sources()[0].uri
    places = [own, f"{own.removesuffix('/debian')}/debian-archive/debian"]
    seen = []
    for place in places:
        try:
            # The scheme is the one of this machine's own apt.
            with urllib.request.urlopen(  # noqa: S310
                f"{place}/dists/{suite}/Release", timeout=_SECONDS
            ):
                return place
        except (urllib.error.URLError, OSError) as error:
            seen.append(f"{place}: {error}")
    raise HarnessError(f"no mirror of this machine has Debian {suite}: {'; '.join(seen)}")


def in_root(root: Path, *words: str | Path) -> tuple[str | Path, ...]:
    """The command that runs a program of the root; its current folder is `/`."""
    return (_IN_ROOT, root, *words)


def write_program(path: Path, root: Path, program: str | Path) -> None:
    """Write a program of this machine that runs one of the root, with the arguments it is given.

    A copy of in_root.sh lies beside it, so that it outlives this working tree.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    enter = path.parent / _IN_ROOT.name
    shutil.copy2(_IN_ROOT, enter)
    path.write_text(f'#!/bin/sh\nexec "{enter}" "{root}" "{program}" "$@"\n')
    path.chmod(0o755)


def identity() -> list[Path]:
    """The files that what `write_program` writes depends on, for a content hash."""
    return [_IN_ROOT]


def release() -> str:
    """The codename of the release that this machine runs, `bookworm`, or "" when unknown."""
    file = Path("/etc/os-release")
    if not file.exists():
        return ""
    for line in file.read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip().strip('"')
    return ""
