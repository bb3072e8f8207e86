"""Checks of the options of the object storage backend and of their sources. No network."""

from __future__ import annotations

import importlib

from xcom_probe import options
from xcom_probe.checks import Check, Outcome, Skip, failed, passed, warned
from xcom_probe.checks.loaded import Loaded
from xcom_probe.checks.location import Location
from xcom_probe.options import Misspelt


def env_misspelt(loaded: Loaded) -> Outcome:
    """Is there a variable that somebody meant for one of the options and that Airflow ignores?"""
    return _misspelt(loaded.misspelt_env, "no look-alike of the variables that Airflow reads", True)


def file_misspelt(loaded: Loaded) -> Outcome:
    """Is there such an option in airflow.cfg?"""
    if loaded.file.problem:
        return warned(f"{loaded.file.path}: {loaded.file.problem}", "a file that can be read")
    return _misspelt(loaded.misspelt_file, "no look-alike of the options in airflow.cfg", False)


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
    return failed(
        "; ".join(seen),
        expected,
        "Write {}, or remove it. Airflow reads neither another spelling nor _CMD or _SECRET for "
        "these options.".format(", ".join(names)),
    )


def path_scheme(loaded: Loaded) -> Outcome:
    """Is the path a URL with a scheme and a place?"""
    option = loaded.options[options.PATH]
    expected = "scheme://connection@bucket/prefix, as in s3://aws_default@bucket/xcom"
    if not option.value:
        if loaded.expected.path:
            raise Skip("no path is set: option-path says more")
        return failed(str(option), expected)
    location = Location.parse(option.value)
    if not location.scheme:
        return failed(str(option), expected)
    if location.scheme == "file":
        return warned(
            str(option),
            expected,
            "Use an object store, unless this folder is one volume that every Airflow pod mounts.",
        )
    if not location.bucket:
        return failed(str(option) + " names no bucket", expected)
    return passed(str(option), expected)


def option_path(loaded: Loaded) -> Outcome:
    """Is the effective path the expected one?"""
    value = loaded.path()
    if value and not Location.parse(value).scheme:
        raise Skip("path-scheme did not pass")
    return _compare(loaded, options.PATH, loaded.expected.path)


def threshold_integer(loaded: Loaded) -> Outcome:
    """Is the threshold a number as Airflow reads it?"""
    option = loaded.options[options.THRESHOLD]
    expected = "a whole number of bytes, as in 1048576"
    try:
        int(option.value or "")
    except ValueError:
        return failed(str(option), expected)
    return passed(str(option), expected)


def option_threshold(loaded: Loaded) -> Outcome:
    """Is the effective threshold the expected one?"""
    wanted = loaded.expected.threshold
    option = loaded.options[options.THRESHOLD]
    if wanted is not None and option.value is not None and int(option.value) == wanted:
        return passed(str(option), str(wanted))
    return _compare(loaded, options.THRESHOLD, None if wanted is None else str(wanted))


def option_compression(loaded: Loaded) -> Outcome:
    """Is the effective compression one that works, and the expected one?"""
    option = loaded.options[options.COMPRESSION]
    if option.value:
        known = sorted(
            str(name) for name in importlib.import_module("fsspec.utils").compressions.values()
        )
        if option.value not in known:
            return failed(
                str(option),
                "none or one of {}".format(", ".join(sorted(set(known)))),
                "Write the name of the codec (gzip, not gz) and have its package in the image.",
            )
    if loaded.expected.compression is None:
        return passed(str(option) if option.value else "none", "none, or a codec that is here")
    return _compare(loaded, options.COMPRESSION, loaded.expected.compression)


def _compare(loaded: Loaded, name: tuple[str, str], wanted: str | None) -> Outcome:
    option = loaded.options[name]
    if wanted is None:
        raise Skip("nothing is expected of it")
    if option.value == wanted:
        return passed(str(option), repr(wanted))
    loaded.skip_if_meant(name)
    return failed(
        str(option),
        repr(wanted),
        "Set {}={} in this pod{}.".format(
            options.env_name(*name),
            wanted,
            "" if option.source == options.DEFAULT else f", where {option.source} wins now",
        ),
    )


_OPTION_WHY = "The pod would write to another place, or at another size, than the other pods."


TABLE: tuple[Check, ...] = (
    Check(
        "env-misspelt",
        env_misspelt,
        "Airflow ignores such a variable without a word, and the default stays in force.",
        "Correct the name.",
    ),
    Check(
        "file-misspelt",
        file_misspelt,
        "Airflow ignores such an option without a word, and the default stays in force.",
        "Correct airflow.cfg.",
    ),
    Check(
        "path-scheme",
        path_scheme,
        "Without a scheme the backend writes to the pod's local disk, and other pods read the "
        "text of the path instead of the value, with no error.",
        "Write the whole URL: s3://CONNECTION@BUCKET/PREFIX.",
    ),
    Check(
        "option-path",
        option_path,
        _OPTION_WHY,
        "Set AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH.",
    ),
    Check(
        "threshold-integer",
        threshold_integer,
        "Airflow fails on such a threshold at every push. Helm renders a large unquoted number as "
        "1.048576e+06.",
        'Write the number of bytes with digits only, and quote it in Helm values: "1048576".',
    ),
    Check(
        "option-threshold",
        option_threshold,
        _OPTION_WHY,
        "Set AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD.",
        needs=("threshold-integer",),
    ),
    Check(
        "option-compression",
        option_compression,
        "A codec that is not here makes every push fail, small values too.",
        "Set AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION.",
        needs=("provider-installed",),
    ),
)
