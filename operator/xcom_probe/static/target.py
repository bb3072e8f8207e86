"""Which Airflow is asked about: the installed one, or one that somebody names."""

from __future__ import annotations

from xcom_probe import place
from xcom_probe.model import CannotLook, UsageError
from xcom_probe.static.effects import SERIES, Target, version
from xcom_probe.static.files import GLOB, REGEXP, SYNTAXES

AUTO = "auto"


def target(airflow: str | None, common_io: str | None = None) -> Target:
    """The target for the arguments `--airflow` and `--common-io`.

    Args:
        airflow: a version such as `2.11`, `auto` for the installed one, None for all versions.
        common_io: a version such as `1.7.2`, None if it is not known.

    Raises:
        UsageError: a version is none, or older than what was measured.
        CannotLook: `auto`, and no Airflow is installed.
    """
    if airflow == AUTO:
        return _installed()
    series = None if airflow is None else _series(airflow)
    return Target(series, None if common_io is None else _numbers("--common-io", common_io))


def ignore_syntax(given: str | None, where: Target) -> str | None:
    """How `.airflowignore` is written: as given, else as that Airflow reads it by default.

    Raises:
        UsageError: it is no such syntax.
    """
    if given:
        if given not in SYNTAXES:
            raise UsageError(
                f"dag_ignore_file_syntax {given!r} is unknown; write {' or '.join(SYNTAXES)}"
            )
        return given
    if where.airflow is None:
        return None
    return GLOB if where.airflow >= (3, 0) else REGEXP


def _installed() -> Target:
    found = place.airflow_version()
    if found is None:
        raise CannotLook("no Airflow is installed here; name a version: --airflow 2.11")
    common_io = place.version("apache-airflow-providers-common-io")
    pandas = place.version("pandas")
    return Target(
        _series(found),
        None if common_io is None else version(common_io),
        None if pandas is None else version(pandas),
        place.version("pyarrow") is not None,
        frames_known=True,
    )


def _series(text: str) -> tuple[int, int]:
    numbers = _numbers("--airflow", text)
    if len(numbers) < 2 or numbers < SERIES[0]:
        oldest = ".".join(str(part) for part in SERIES[0])
        raise UsageError(f"--airflow {text!r}: give {oldest} or newer, such as 2.11, or {AUTO}")
    return numbers[0], numbers[1]


def _numbers(option: str, text: str) -> tuple[int, ...]:
    numbers = version(text)
    if not numbers:
        raise UsageError(f"{option} {text!r} is no version; write one such as 2.11 or 1.7.2")
    return numbers
