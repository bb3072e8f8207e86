"""Virtual environments with the Airflows that the probe is tested on.

Each is made from pinned requirements (tests/airflows; 2.11.2 has those of the Airflow image) on the
Python that images of that Airflow use, and is kept in the cache.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.debian_root import identity, write_program
from harness.paths import IMAGES, REPO, cache_dir, content_hash
from harness.pythons import Python, python
from harness.say import step
from harness.shell import CommandError, HarnessError, locked, run

# Version of Airflow: version of Python.
AIRFLOWS = {
    "2.9.3": "3.9",
    "2.10.5": "3.9",
    "2.11.2": "3.11",
    "3.0.6": "3.11",
    "3.1.8": "3.13",
    "3.3.2": "3.13",
}
# Tests that are not about versions run on this one.
DEFAULT_AIRFLOW = "2.11.2"
# Debian's is taken where the Python is Debian's.
_MYSQLCLIENT = "mysqlclient==2.2.7"
_FOLDER = REPO / "tests" / "airflows"
_CELERY = _FOLDER / "celery.txt"
_STORES = _FOLDER / "stores"


def select(asked: str) -> list[str]:
    """Versions named by a list such as `2.9,2.11.2,3.3`, in the order of `AIRFLOWS`; or `all`.

    Raises:
        HarnessError: a name that no version has.
    """
    if asked == "all":
        return list(AIRFLOWS)
    chosen = set()
    for name in (part.strip() for part in asked.split(",")):
        found = [version for version in AIRFLOWS if version == name or _minor(version) == name]
        if not found:
            raise HarnessError(f"Airflow {name!r}: use all, or some of {', '.join(AIRFLOWS)}")
        chosen.update(found)
    return [version for version in AIRFLOWS if version in chosen]


def _minor(version: str) -> str:
    return version.rpartition(".")[0]


@dataclass(frozen=True)
class Environment:
    """An Airflow with its interpreter.

    Attributes:
        version: of Airflow.
        folder: `bin/python` and `bin/airflow` in it run on this machine.
        venv: the virtual environment; the folder itself, unless its Python is in a Debian root.
        interpreter: the Python it was made with.
    """

    version: str
    folder: Path
    venv: Path
    interpreter: Python

    @property
    def python(self) -> Path:
        """The interpreter, as an Airflow container has it on PATH."""
        return self.folder / "bin" / "python"

    @property
    def airflow(self) -> Path:
        """Airflow's command."""
        return self.folder / "bin" / "airflow"

    @property
    def is_3(self) -> bool:
        """Whether this is Airflow 3."""
        return self.version.startswith("3.")


def airflow_environment(
    version: str = DEFAULT_AIRFLOW, *, celery: bool = False, stores: bool = False
) -> Environment:
    """The environment of a version of Airflow, made once per requirements and Python.

    Args:
        celery: whether with what CeleryExecutor needs.
        stores: whether with the providers of gs:// and abfs://, which are heavy.

    Raises:
        HarnessError: its Python is not available, or a package cannot be installed.
    """
    requirements = _FOLDER / f"{version}.txt"
    more = [_CELERY] if celery else []
    # Afterwards, because it may downgrade a version of the first.
    more += [_STORES / f"{version}.txt"] if stores else []
    files = [requirements, *more, *identity()]
    if version == DEFAULT_AIRFLOW:
        # Its file refers to this one.
        files.append(IMAGES / "airflow" / "requirements.txt")
    interpreter = python(AIRFLOWS[version])
    key = content_hash(files, [str(interpreter), *map(str, interpreter.modules)])
    name = "-".join([version, *["celery"] * celery, *["stores"] * stores])
    folder = cache_dir() / "airflows" / f"{name}-{key}"
    venv = folder if interpreter.root is None else folder / "venv"
    environment = Environment(version, folder, venv, interpreter)
    ready = folder / ".complete"
    with locked(f"airflow-{name}"):
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            with step(f"Airflow {name} on {interpreter}"):
                _install(environment, [requirements, *more])
            ready.touch()
    return environment


def _install(environment: Environment, requirements: list[Path]) -> None:
    interpreter, venv = environment.interpreter, environment.venv
    uv = Path(sys.executable).with_name("uv")
    venv.parent.mkdir(parents=True, exist_ok=True)
    make = (uv, "venv", "--quiet", "--no-python-downloads", "--python", interpreter.program, venv)
    run(*interpreter.command(*make))
    # Copies, because hard links do not cross the mounts of a Debian root.
    install = (
        *(uv, "pip", "install", "--quiet", "--compile-bytecode", "--link-mode=copy"),
        *("--python", venv / "bin" / "python"),
    )
    for file in requirements:
        run(*interpreter.command(*install, "-r", file))
    if interpreter.modules:
        (site_packages,) = (venv / "lib").glob("python*/site-packages")
        for module in interpreter.modules:
            (site_packages / module.name).symlink_to(module)
    else:
        try:
            run(*interpreter.command(*install, _MYSQLCLIENT))
        except CommandError as error:
            raise HarnessError(
                f"{_MYSQLCLIENT} has no wheels; compiling it needs a C compiler, pkg-config and "
                f"MySQL's headers (libmysqlclient-dev or libmariadb-dev): {error}"
            ) from error
    if interpreter.root is not None:
        _write_programs(environment.folder, venv, interpreter.root)


def _write_programs(folder: Path, venv: Path, root: Path) -> None:
    for name in ("python", "airflow"):
        write_program(folder / "bin" / name, root, venv / "bin" / name)


def without_package(
    environment: Environment, folder: Path, package: str, distribution: str
) -> Path:
    """A copy of a virtual environment in which one package is not installed; its interpreter.

    The copy is made of symbolic links, down to the one folder and the one `.dist-info` that are
    left out, so Python finds exactly what it would find had the package never been installed.

    Args:
        package: dotted name, `airflow.providers.common.io`.
        distribution: name as in its `.dist-info` folder.
    """
    root = environment.interpreter.root
    venv = folder if root is None else folder / "venv"
    (source,) = (environment.venv / "lib").glob("python*/site-packages")
    target = venv / "lib" / source.parent.name / source.name
    target.mkdir(parents=True)
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to(environment.interpreter.program)
    shutil.copy(environment.venv / "pyvenv.cfg", venv / "pyvenv.cfg")
    _link(source, target, package.split("."), f"{distribution}-")
    if root is not None:
        _write_programs(folder, venv, root)
    return folder / "bin" / "python"


def _link(source: Path, target: Path, leave_out: list[str], no_prefix: str) -> None:
    for entry in source.iterdir():
        if no_prefix and entry.name.startswith(no_prefix) and entry.name.endswith(".dist-info"):
            continue
        if leave_out and entry.name == leave_out[0]:
            if len(leave_out) > 1:
                (target / entry.name).mkdir()
                _link(entry, target / entry.name, leave_out[1:], "")
            continue
        (target / entry.name).symlink_to(entry)


def installed(version: str, distribution: str) -> str:
    """The pinned version of a package in the requirements of an Airflow.

    Raises:
        HarnessError: that Airflow's requirements do not have it.
    """
    for file in (_FOLDER / f"{version}.txt", IMAGES / "airflow" / "requirements.txt"):
        for line in file.read_text().splitlines():
            name, _, pinned = line.partition("==")
            if name == distribution:
                return pinned
        if version != DEFAULT_AIRFLOW:
            break
    raise HarnessError(f"{distribution} is not in the requirements of Airflow {version}")
