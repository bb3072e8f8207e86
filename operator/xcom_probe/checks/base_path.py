"""Checks of the base path: is it a URL, is it as the backend needs it, is it the expected one?"""

from __future__ import annotations

import re

from xcom_probe import options, redact
from xcom_probe.checks import Check, Outcome, Skip, failed, passed, settings, warned
from xcom_probe.checks.loaded import Loaded
from xcom_probe.checks.location import Location

_QUOTES = "\"'`"
_EXAMPLE = "scheme://connection@bucket/prefix, as in s3://aws_default@bucket/xcom"
# $(NAME) is what Kubernetes leaves of a variable that it does not know, $NAME what Airflow leaves.
_UNEXPANDED = re.compile(r"\$\(?\{?\w+\}?\)?")


def path_scheme(loaded: Loaded) -> Outcome:
    """Is the path a URL with a scheme and a place?"""
    option = loaded.options[options.PATH]
    if not option.value:
        if loaded.expected.path:
            raise Skip("no path is set: see option-path")
        return failed(str(option), _EXAMPLE)
    if option.value.strip()[:1] in _QUOTES:
        return failed(
            f"{option} starts with a quote",
            _EXAMPLE,
            "Remove the quotes inside the value: YAML and Helm values need only one pair.",
        )
    location = Location.parse(option.value)
    if not location.scheme:
        return failed(str(option), _EXAMPLE)
    if location.scheme == "file":
        return warned(
            str(option),
            _EXAMPLE,
            "Use an object store, unless this folder is one volume that every Airflow pod mounts.",
        )
    if not location.bucket:
        return failed(f"{option} names no bucket", _EXAMPLE)
    return passed(str(option), _EXAMPLE)


def path_form(loaded: Loaded) -> Outcome:
    """Is the path written so that all its readers understand it alike?"""
    option = loaded.options[options.PATH]
    value = loaded.path()
    if not value:
        raise Skip("no path is set")
    expected = (
        "no surrounding spaces, no //, no . or .., no ?, no #, no password, nothing unexpanded"
    )
    problems = strange(value)
    if problems:
        return failed("{}: {}".format(option, "; ".join(problems)), expected)
    written = loaded.written(options.PATH)
    if written is not None and written != value:
        return warned(
            f"{option} was written as {written!r}",
            expected,
            "Write the path out, unless the variables in it are the same in every Airflow pod.",
        )
    return passed(str(option), expected)


def strange(value: str) -> list[str]:
    """What in a path its readers would understand differently."""
    problems = []
    if value != value.strip() or any(ord(character) < ord(" ") for character in value):
        problems.append("it contains or is surrounded by spaces or line feeds")
    scheme, _, rest = value.strip().partition("://")
    if scheme != scheme.lower():
        problems.append(f"{scheme!r} is upper case: the backend cannot join it with its own paths")
    netloc, _, prefix = rest.partition("/")
    user = netloc.rpartition("@")[0]
    if ":" in user:
        redact.secret(user.partition(":")[2])
        problems.append("it contains a password where the name of a connection belongs")
    segments = prefix.strip("/").split("/")
    if prefix.startswith("/") or prefix.endswith("//") or "" in segments[1:]:
        problems.append("an empty folder name (//)")
    if "." in segments or ".." in segments:
        problems.append("a folder . or .., which S3 does not resolve")
    problems += [
        f"{character!r} truncates the path after it" for character in "?#" if character in rest
    ]
    left = _UNEXPANDED.search(value)
    if left:
        problems.append(f"{left.group()} was not expanded")
    return problems


def option_path(loaded: Loaded) -> Outcome:
    """Is the effective path the expected one?"""
    value = loaded.path()
    if value and not Location.parse(value).scheme:
        raise Skip("path-scheme did not pass")
    wanted = loaded.expected.path
    if not value and wanted is None:
        raise Skip("no path is set")
    # Airflow drops a slash at the end: the rows hold the same paths.
    if wanted is not None and value.rstrip("/") == wanted.rstrip("/"):
        return passed(str(loaded.options[options.PATH]), repr(wanted))
    return settings.compare(loaded, options.PATH, wanted)


TABLE: tuple[Check, ...] = (
    Check(
        "path-scheme",
        path_scheme,
        "Without a scheme the backend writes to the pod's local disk, and other pods read the "
        "text of the path instead of the value, without an error.",
        "Use the full URL: s3://CONNECTION@BUCKET/PREFIX.",
    ),
    Check(
        "path-form",
        path_form,
        "The backend, the store, lifecycle rules and the census would interpret such a path "
        "differently, and a value that is not found is read as the text of its path.",
        "Use the plain URL: s3://CONNECTION@BUCKET/PREFIX.",
        needs=("path-scheme",),
    ),
    Check(
        "option-path",
        option_path,
        settings.OPTION_WHY,
        "Set AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH.",
    ),
)
