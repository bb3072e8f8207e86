"""Checks of the options of the object storage backend and of their sources. No network."""

from __future__ import annotations

import importlib
import re

from xcom_probe import options, runtime
from xcom_probe.checks import Check, Outcome, failed, passed, warned
from xcom_probe.checks.loaded import Loaded
from xcom_probe.options import Misspelt

_PLAIN_NUMBER = re.compile(r"-?[0-9]+")
# Codecs that fsspec registers only where their package is installed.
_CODEC_PACKAGES = {"snappy": "python-snappy", "lz4": "lz4", "zstd": "zstandard"}
OPTION_WHY = "The pod would write to another place, or with another threshold, than the other pods."


def env_misspelt(loaded: Loaded) -> Outcome:
    """Is there a variable that was meant for one of the options and that Airflow ignores?"""
    return _misspelt(
        loaded.misspelt_env, "no misspelling of the variables that Airflow reads", True
    )


def file_misspelt(loaded: Loaded) -> Outcome:
    """Is there such an option in airflow.cfg?"""
    if loaded.file.problem:
        return warned(f"{loaded.file.path}: {loaded.file.problem}", "a file that can be read")
    return _misspelt(loaded.misspelt_file, "no misspelling of the options in airflow.cfg", False)


def _misspelt(found: list[Misspelt], expected: str, in_env: bool) -> Outcome:
    if not found:
        return passed("none", expected)
    seen = [item.where if item.value is None else f"{item.where}={item.value!r}" for item in found]
    names = [
        "{} (instead of {})".format(
            options.env_name(*item.intended) if in_env else "[{}] {}".format(*item.intended),
            item.where,
        )
        for item in found
    ]
    if not any(item.certain for item in found):
        return warned(
            "; ".join(seen),
            expected,
            "Use {} if you mean the option: Airflow reads no name without its prefix. A variable "
            "of your own can stay.".format(", ".join(names)),
        )
    return failed(
        "; ".join(seen),
        expected,
        "Use {}, or remove it. Airflow reads neither another spelling nor _CMD or _SECRET for "
        "these options.".format(", ".join(names)),
    )


def env_over_file(loaded: Loaded) -> Outcome:
    """Does a variable hide another value in airflow.cfg?"""
    expected = "each option in one place, or the same value in both"
    hidden, same = [], []
    for option in options.OPTIONS:
        name = options.env_name(*option)
        in_file = loaded.file.sections.get(option[0], {}).get(option[1])
        if name not in loaded.environ or in_file is None:
            continue
        if options.expand(in_file) == options.expand(loaded.environ[name]):
            same.append(name)
        else:
            hidden.append(
                f"{name}={loaded.environ[name]!r} hides {in_file!r} in {loaded.file.path}"
            )
    if hidden:
        return warned("; ".join(hidden), expected)
    if same:
        return passed("{} in both, with the same value".format(", ".join(same)), expected)
    return passed("no option is in both", expected)


def threshold_integer(loaded: Loaded) -> Outcome:
    """Is the threshold a number as Airflow reads it, and as people do?"""
    option = loaded.options[options.THRESHOLD]
    expected = "a whole number of bytes, such as 1048576; -1 for never"
    number = loaded.threshold()
    if number is None:
        return failed(str(option), expected)
    if not _PLAIN_NUMBER.fullmatch(option.value or ""):
        return warned(f"{option}, which this Airflow reads as {number}", expected)
    if number < -1:
        return warned(f"{option}, which works like -1", expected)
    return passed(str(option), expected)


def option_threshold(loaded: Loaded) -> Outcome:
    """Is the effective threshold the expected one?"""
    wanted = loaded.expected.threshold
    number = loaded.threshold()
    # Every negative number means never.
    if wanted is not None and number is not None and max(number, -1) == max(wanted, -1):
        return passed(str(loaded.options[options.THRESHOLD]), str(wanted))
    return compare(loaded, options.THRESHOLD, None if wanted is None else str(wanted))


def option_compression(loaded: Loaded) -> Outcome:
    """Is the effective compression one that works, and the expected one?"""
    option = loaded.options[options.COMPRESSION]
    if option.value:
        known = {
            str(name) for name in importlib.import_module("fsspec.utils").compressions.values()
        }
        if option.value not in known:
            return _no_codec(option, known)
    if loaded.expected.compression is None:
        return passed(str(option) if option.value else "none", "none, or an installed codec")
    return compare(loaded, options.COMPRESSION, loaded.expected.compression)


def _no_codec(option: options.Option, known: set[str]) -> Outcome:
    expected = "none or one of {}".format(", ".join(sorted(known)))
    package = _CODEC_PACKAGES.get(option.value or "")
    if package and runtime.version(package) is None:
        return failed(
            f"{option}: package {package} is not installed",
            expected,
            f"Install {package} in the Airflow image, or choose gzip.",
        )
    return failed(
        f"{option}: no such codec",
        expected,
        "Use the name of the codec, not a file extension: gzip, not gz.",
    )


def compare(loaded: Loaded, name: tuple[str, str], wanted: str | None) -> Outcome:
    """Is the effective value `wanted`? None: whatever it is will do.

    Raises:
        Skip: the check of misspelt settings says it better.
    """
    option = loaded.options[name]
    if wanted is None:
        return passed(str(option), "no value is expected: for information only")
    if option.value == wanted:
        return passed(str(option), repr(wanted))
    loaded.skip_if_meant(name)
    variable = options.env_name(*name)
    if option.source in (options.DEFAULT, options.ABSENT):
        return failed(
            "{}: set neither in {} nor as [{}] {} in {}".format(
                option, variable, *name, loaded.file.path
            ),
            repr(wanted),
            f"Set {variable}={wanted} in this pod.",
        )
    return failed(
        str(option),
        repr(wanted),
        f"Set {variable}={wanted} in this pod, where {option.source} currently takes precedence.",
    )


TABLE: tuple[Check, ...] = (
    Check(
        "env-misspelt",
        env_misspelt,
        "Airflow ignores such a variable without a warning, and the default applies.",
        "Correct the name.",
    ),
    Check(
        "file-misspelt",
        file_misspelt,
        "Airflow ignores such an option without a warning, and the default applies.",
        "Correct airflow.cfg.",
    ),
    Check(
        "env-over-file",
        env_over_file,
        "The variable takes precedence. A change of airflow.cfg has no effect, and a pod without "
        "the variable has another value.",
        "Remove the option from airflow.cfg, or set both to the same value.",
    ),
    Check(
        "threshold-integer",
        threshold_integer,
        "Airflow fails on such a threshold at every push. Helm renders a large unquoted number as "
        "1.048576e+06.",
        'Set the number of bytes with digits only, and quote it in Helm values: "1048576".',
    ),
    Check(
        "option-threshold",
        option_threshold,
        OPTION_WHY,
        "Set AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD.",
        needs=("threshold-integer",),
    ),
    Check(
        "option-compression",
        option_compression,
        "With a codec that is not installed every push fails, also of small values.",
        "Set AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION.",
        needs=("provider-installed",),
    ),
)
