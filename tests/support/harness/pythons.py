"""The Pythons that Airflow images use: each is the one of a Debian release.

As root on Debian they come from there: this machine's own, or one in a root made by debootstrap.
Elsewhere a Python of that version on PATH or among pyenv's is taken. `XCOM_ROLLOUT_PYTHONS` is
`debian` or `machine` and overrides that choice.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import debian
from harness.debian_root import debian_root, in_root, release
from harness.shell import HarnessError

# Which release's Python is which.
SUITES = {"3.9": "bullseye", "3.11": "bookworm", "3.13": "trixie"}
# mysqlclient has no wheels; Airflow 3.3 does not start on a MySQL without it.
_PACKAGES = ("python3", "python3-venv", "python3-mysqldb")
_DEBIAN_MODULES = Path("/usr/lib/python3/dist-packages")


@dataclass(frozen=True)
class Python:
    """An interpreter.

    Attributes:
        version: `3.9`.
        program: its path, inside `root` if there is one.
        root: the Debian root that it is part of; None: this machine.
        modules: what Debian has compiled for it, to be linked into a virtual environment.
    """

    version: str
    program: Path
    root: Path | None
    modules: tuple[Path, ...] = ()

    def command(self, *words: str | Path) -> tuple[str | Path, ...]:
        """How to run a program where this Python is."""
        return words if self.root is None else in_root(self.root, *words)

    def __str__(self) -> str:
        """Its description for a person."""
        place = "of this machine" if self.root is None else f"in {self.root}"
        return f"Python {self.version}, {self.program} {place}"


def python(version: str) -> Python:
    """The Python of a version; a Debian root is made if need be.

    Args:
        version: one of `SUITES`.

    Raises:
        HarnessError: none is available, or `XCOM_ROLLOUT_PYTHONS` holds another word.
    """
    if version not in SUITES:
        raise HarnessError(f"Python {version!r} is not known: use one of {', '.join(SUITES)}")
    if not _from_debian():
        return Python(version, _of_machine(version), None)
    program = Path(f"/usr/bin/python{version}")
    if release() == SUITES[version]:
        debian.install(_PACKAGES)
        return Python(version, program, None, _modules(Path("/")))
    root = debian_root(SUITES[version], _PACKAGES)
    return Python(version, program, root, _modules(root))


def _modules(root: Path) -> tuple[Path, ...]:
    """MySQLdb and its metadata, as paths inside the root."""
    folder = root / _DEBIAN_MODULES.relative_to("/")
    names = sorted(path.name for path in [*folder.glob("MySQLdb"), *folder.glob("mysqlclient-*")])
    return tuple(_DEBIAN_MODULES / name for name in names)


def _from_debian() -> bool:
    asked = os.environ.get("XCOM_ROLLOUT_PYTHONS", "")
    if asked not in ("", "debian", "machine"):
        raise HarnessError(f"XCOM_ROLLOUT_PYTHONS is {asked!r}: use debian or machine")
    return asked == "debian" or (asked == "" and debian.is_root_on_debian())


def _of_machine(version: str) -> Path:
    seen = []
    for candidate in _candidates(version):
        seen.append(str(candidate))
        question = "import sys; print('%d.%d' % sys.version_info[:2])"
        try:
            answer = subprocess.run(
                [candidate, "-I", "-c", question], capture_output=True, text=True, check=False
            )
        except OSError:
            continue
        # pyenv's shims answer with an error unless that version is switched on.
        if answer.returncode == 0 and answer.stdout.strip() == version:
            return candidate
    raise HarnessError(
        f"no usable python{version} on this machine (tried: {', '.join(seen) or 'nothing'}): "
        "put it on PATH, or run as root on Debian, where debootstrap gets it"
    )


def _candidates(version: str) -> Iterator[Path]:
    on_path = shutil.which(f"python{version}")
    if on_path is not None:
        yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python"))
