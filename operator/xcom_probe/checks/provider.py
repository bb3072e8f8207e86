"""Checks of the packages and of the class that they provide. No network."""

from __future__ import annotations

import importlib.util
import re
import shlex

from xcom_probe import options, runtime
from xcom_probe.airflow import backend, versions
from xcom_probe.checks import Check, Outcome, Skip, failed, passed, warned
from xcom_probe.checks.loaded import Loaded
from xcom_probe.checks.location import INSTALL, Location, packages

# The entrypoint of Airflow's own image installs these before it starts anything.
_AT_START = "_PIP_ADDITIONAL_REQUIREMENTS"
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(\[|\s|[<>=!~;@]|$)")


def provider_installed(loaded: Loaded) -> Outcome:
    """Are the packages here that the backend and the scheme of the path need?"""
    missing = []
    path = loaded.expected.path or loaded.path()
    seen = []
    for package in (runtime.PROVIDERS["common.io"], *packages(Location.parse(path).scheme)):
        version = runtime.version(package)
        seen.append("{} {}".format(package, version or "not installed"))
        if version is None:
            missing.append(package)
    # For an older one the next check reports that it does not have the module.
    common_io = versions.version_numbers(runtime.version(runtime.PROVIDERS["common.io"]) or "")
    old = common_io < versions.FIRST_COMMON_IO
    if not missing and not old and not _findable("airflow.providers.common.io.xcom"):
        missing.append(runtime.PROVIDERS["common.io"])
        seen.append("its module airflow.providers.common.io.xcom is missing")
    observed = ", ".join(seen)
    if not missing:
        return passed(observed, "all installed")
    add = sorted({INSTALL.get(name, name) for name in missing})
    # `airflow config get-value` prints them all the same, so it proves nothing.
    still = [
        str(option)
        for name, option in loaded.options.items()
        if name != options.BACKEND and option.source not in (options.DEFAULT, options.ABSENT)
    ]
    if still:
        observed += "; the configuration still returns {}".format(", ".join(still))
    at_start = loaded.environ.get(_AT_START)
    if at_start:
        observed += (
            f"; this pod installs {_names(at_start)} at startup ({_AT_START}), which the proof "
            "does not run"
        )
    return failed(
        observed,
        "{} installed".format(", ".join(missing)),
        "Add {} to the Airflow image. Packages installed at pod startup do not count: each task "
        "pod would install them again, and a proof runs neither the entrypoint nor a pip install "
        "in a start command or an init container.".format(" and ".join(add)),
    )


def _names(requirements: str) -> str:
    """The packages in a list for pip by name only: an address in it may hold a password."""
    try:
        words = shlex.split(requirements)
    except ValueError:
        return "packages"
    found = []
    value_of_option = False
    for word in words:
        if not (word.startswith("-") or value_of_option):
            match = _REQUIREMENT.match(word)
            if match:
                found.append(match.group(1))
        # `--index-url URL`; `--index-url=URL` is one word.
        value_of_option = word.startswith("-") and "=" not in word
    return ", ".join(found) or "packages"


def _findable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def provider_version(_: Loaded) -> Outcome:
    """Is this common-io one that is known to work with this Airflow?"""
    version = runtime.version(runtime.PROVIDERS["common.io"]) or ""
    airflow = runtime.airflow_version() or "unknown"
    observed = f"common-io {version} with Airflow {airflow}"
    expected = "common-io {} or newer, and not a combination known to be broken".format(
        ".".join(str(number) for number in versions.FIRST_COMMON_IO)
    )
    series = ".".join(str(number) for number in versions.airflow_series())
    if versions.version_numbers(version) < versions.FIRST_COMMON_IO:
        return failed(observed, expected)
    if (series, version) in versions.BROKEN_PAIRS:
        return failed(observed + ": cannot be imported (circular)", expected)
    return passed(observed, expected)


def backend_loaded(loaded: Loaded) -> Outcome:
    """Is the class that Airflow loads the expected one?"""
    wanted = versions.BACKEND_CLASSES[loaded.expected.backend or versions.OBJECT_STORAGE]
    expected = wanted[0]
    configured = loaded.options[options.BACKEND]
    if loaded.xcom is None:
        return failed(f"nothing: {loaded.problem}; [core] xcom_backend is {configured}", expected)
    observed = backend.qualified_name(loaded.xcom)
    if observed in wanted:
        return passed(observed, expected)
    loaded.skip_if_meant(options.BACKEND)
    return failed(f"{observed}; [core] xcom_backend is {configured}", expected)


def backend_source(loaded: Loaded) -> Outcome:
    """Is the configured class the loaded one, and where is it configured?"""
    if loaded.xcom is None:
        raise Skip("no class is loaded")
    configured = loaded.options[options.BACKEND]
    expected = "[core] xcom_backend names the class that is loaded"
    cls = backend.configured_class(loaded.conf)
    if cls is loaded.xcom or configured.source == options.ABSENT:
        return passed(str(configured), expected)
    return failed(
        f"{configured} is configured, {backend.qualified_name(loaded.xcom)} is loaded",
        expected,
    )


def pickling_off(loaded: Loaded) -> Outcome:
    """Are values written as JSON?"""
    on, text = backend.pickling(loaded.conf)
    if on:
        return failed(f"enable_xcom_pickling = {text}", "False")
    return passed(text, "False")


def json_strings(loaded: Loaded) -> Outcome:
    """Does a string that looks like JSON come back as a string?"""
    if loaded.xcom is None:
        raise Skip("no class is loaded")
    samples = ("123", "null", "true", '{"a": 1}')
    try:
        changed = [
            f"{sample!r} comes back as {read!r}"
            for sample in samples
            for read in [backend.read_inline(loaded.xcom, sample)]
            if type(read) is not str or read != sample
        ]
    except ImportError as problem:
        # The class is loaded, so that is the store's file system, which another check reports.
        raise Skip(f"no value can be read: {problem}") from problem
    expected = "strings come back as strings"
    if changed:
        return warned("; ".join(changed), expected)
    return passed(expected, expected)


TABLE: tuple[Check, ...] = (
    Check(
        "provider-installed",
        provider_installed,
        "Airflow's processes crash at start when the class of xcom_backend cannot be imported.",
        "Add the packages to the Airflow image.",
    ),
    Check(
        "provider-version",
        provider_version,
        "Some versions have no such backend, or cannot be imported with this Airflow.",
        "Install another version of apache-airflow-providers-common-io in the Airflow image: 1.5.3 "
        "is known to work with Airflow 2.11.",
        needs=("provider-installed",),
    ),
    Check(
        "backend-loaded",
        backend_loaded,
        "A process that runs another backend writes values where the others do not look, and "
        "reads an offloaded value as the text of its path, without an error.",
        "Set AIRFLOW__CORE__XCOM_BACKEND to the expected class in this pod and restart it.",
        needs=("provider-installed", "provider-version"),
    ),
    Check(
        "backend-source",
        backend_source,
        "If something other than the configuration decides the class, a changed configuration "
        "does not change it back.",
        "Look for an airflow_local_settings or sitecustomize module that replaces the class.",
        needs=("provider-installed",),
    ),
    Check(
        "pickling-off",
        pickling_off,
        "Paths would be pickled: the census cannot find them, so a kill-switch would miss runs.",
        "Set AIRFLOW__CORE__ENABLE_XCOM_PICKLING=False after runs with pickled values have ended.",
    ),
)


AFTER_PATH: tuple[Check, ...] = (
    Check(
        "provider-json-strings",
        json_strings,
        "With this provider a task that pulls such a string gets another type, at every "
        "threshold, and for rows written before the change too.",
        versions.JSON_STRINGS_REMEDY,
        # Reading makes the file system, and the provider would log a password in the path.
        needs=("provider-installed", "path-form"),
    ),
)
