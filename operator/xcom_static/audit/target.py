"""Which Airflow to judge for: the installed one, or one that the user names."""

from __future__ import annotations

from importlib import metadata

from xcom_static.audit.effects import SERIES, Target, version
from xcom_static.errors import InvalidArgumentError, UnavailableError
from xcom_static.source.files import GLOB, REGEXP, SYNTAXES

AUTO = "auto"


def target(airflow: str | None, common_io: str | None = None) -> Target:
    """The target for the arguments `--airflow` and `--common-io`.

    Args:
        airflow: a version such as `2.11`, `auto` for the installed one, None for all versions.
        common_io: a version such as `1.7.2`, None if it is not known.

    Raises:
        InvalidArgumentError: a version is invalid, or older than what was measured.
        UnavailableError: `auto`, and no Airflow is installed.
    """
    if airflow == AUTO:
        return _installed()
    series = None if airflow is None else _series(airflow)
    return Target(series, None if common_io is None else _numbers("--common-io", common_io))


def ignore_syntax(given: str | None, where: Target) -> str | None:
    """How `.airflowignore` is written: as given, else as that Airflow reads it by default.

    Raises:
        InvalidArgumentError: there is no such syntax.
    """
    if given:
        if given not in SYNTAXES:
            raise InvalidArgumentError(
                f"dag_ignore_file_syntax {given!r} is unknown; use {' or '.join(SYNTAXES)}"
            )
        return given
    if where.airflow is None:
        return None
    return GLOB if where.airflow >= (3, 0) else REGEXP


def _installed() -> Target:
    found = _distribution("apache-airflow") or _distribution("apache-airflow-core")
    if found is None:
        raise UnavailableError("Airflow is not installed here; give a version: --airflow 2.11")
    common_io = _distribution("apache-airflow-providers-common-io")
    pandas = _distribution("pandas")
    return Target(
        _series(found),
        None if common_io is None else version(common_io),
        None if pandas is None else version(pandas),
        _distribution("pyarrow") is not None,
        frames_known=True,
    )


def _distribution(name: str) -> str | None:
    """The version of an installed distribution, None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _series(text: str) -> tuple[int, int]:
    numbers = _numbers("--airflow", text)
    if len(numbers) < 2 or numbers < SERIES[0]:
        oldest = ".".join(str(part) for part in SERIES[0])
        raise InvalidArgumentError(
            f"--airflow {text!r}: use {oldest} or newer, such as 2.11, or {AUTO}"
        )
    return numbers[0], numbers[1]


def _numbers(option: str, text: str) -> tuple[int, ...]:
    numbers = version(text)
    if not numbers:
        raise InvalidArgumentError(
            f"{option} {text!r} is not a version; use one such as 2.11 or 1.7.2"
        )
    return numbers
