"""Checks of what this process has loaded and is configured with. No network."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Mapping, NamedTuple

from xcom_probe import options, place
from xcom_probe.airflow import backend, versions
from xcom_probe.checks import Check, Outcome, Skip, failed, passed, warned
from xcom_probe.checks.storage import S3_SCHEMES, Location
from xcom_probe.options import ConfigFile, Misspelt, Option


class Expectation(NamedTuple):
    """What the pod should have; None where nothing is expected."""

    backend: str | None = None
    path: str | None = None
    threshold: int | None = None
    compression: str | None = None


class Loaded:
    """This process: the XCom class that Airflow loaded, and the effective options.

    Attributes:
        xcom: the class, None if the import failed.
        problem: why the import failed, empty if it did not.
        options: effective value and source by (section, option).
    """

    def __init__(self, environ: Mapping[str, str], expected: Expectation) -> None:
        """Import Airflow and its XCom class.

        Raises:
            ImportFailed: Airflow itself cannot be imported.
        """
        self.expected = expected
        self.xcom: Any = None
        self.problem = ""
        try:
            self.xcom = backend.load_xcom()
        except backend.ImportFailed as problem:
            self.problem = str(problem)
        self.conf = backend.configuration()
        self.file: ConfigFile = options.read_config(environ)
        self.misspelt_env: list[Misspelt] = options.misspelt_env(environ)
        self.misspelt_file: list[Misspelt] = options.misspelt_file(self.file)
        self.options: dict[tuple[str, str], Option] = {
            option: options.source(
                option[0], option[1], backend.effective(self.conf, option), environ, self.file
            )
            for option in options.OPTIONS
        }

    def facts(self) -> dict[str, Any]:
        """Facts of the result document that need Airflow."""
        return {
            "executor": str(self.conf.get("core", "executor", fallback="")),
            "backendClass": backend.qualified_name(self.xcom) if self.xcom else None,
            "xcomBackend": self.options[options.BACKEND]._asdict(),
            "objectStorage": {
                "path": self.options[options.PATH]._asdict(),
                "threshold": self.options[options.THRESHOLD]._asdict(),
                "compression": self.options[options.COMPRESSION]._asdict(),
            },
        }

    def path(self) -> str:
        """The effective base path, empty if there is none."""
        return self.options[options.PATH].value or ""

    def skip_if_meant(self, option: tuple[str, str]) -> None:
        """Raise Skip if a misspelt setting meant this option: that check says it better."""
        for check, found in (
            ("env-misspelt", self.misspelt_env),
            ("file-misspelt", self.misspelt_file),
        ):
            for misspelt in found:
                if misspelt.intended == option:
                    raise Skip(f"{check} found {misspelt.where}, which is ignored")


def provider_installed(loaded: Loaded) -> Outcome:
    """Are the packages here that the backend and the scheme of the path need?"""
    missing = []
    wanted = ["common.io"]
    path = loaded.expected.path or loaded.path()
    if Location.parse(path).scheme in S3_SCHEMES:
        wanted += ["amazon", "s3fs"]
    seen = []
    for name in wanted:
        package = place.PROVIDERS[name]
        version = place.version(package)
        seen.append("{} {}".format(package, version or "not installed"))
        if version is None:
            missing.append(package)
    if not missing and not _findable("airflow.providers.common.io.xcom"):
        missing.append(place.PROVIDERS["common.io"])
        seen.append("its module airflow.providers.common.io.xcom is not there")
    observed = ", ".join(seen)
    if not missing:
        return passed(observed, "all installed")
    packages = [
        "apache-airflow-providers-amazon[s3fs]" if name in ("s3fs",) else name for name in missing
    ]
    return failed(
        observed,
        "{} installed".format(", ".join(missing)),
        "Add {} to the Airflow image.".format(" and ".join(sorted(set(packages)))),
    )


def _findable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def provider_version(_: Loaded) -> Outcome:
    """Is this common-io one that is known to work with this Airflow?"""
    version = place.version(place.PROVIDERS["common.io"]) or ""
    airflow = place.airflow_version() or "unknown"
    observed = f"common-io {version} with Airflow {airflow}"
    expected = "common-io {} or newer, and no combination known to be broken".format(
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
    changed = [
        f"{sample!r} comes back as {read!r}"
        for sample in samples
        for read in [backend.read_inline(loaded.xcom, sample)]
        if type(read) is not str or read != sample
    ]
    expected = "strings come back as strings"
    if changed:
        return warned("; ".join(changed), expected)
    return passed(expected, expected)


_OPTION_WHY = "The pod would write to another place, or at another size, than the other pods."

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
        "backend-loaded",
        backend_loaded,
        "A process that runs another backend writes values where the others do not look, and "
        "reads an offloaded value as the text of its path, with no error.",
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
    Check(
        "pickling-off",
        pickling_off,
        "Paths would be pickled: the census cannot find them, so a kill-switch would miss runs.",
        "Set AIRFLOW__CORE__ENABLE_XCOM_PICKLING=False, and let runs with pickled values end "
        "first.",
    ),
    Check(
        "provider-json-strings",
        json_strings,
        "With this provider a task that pulls such a string gets another type, at every "
        "threshold, and for rows written before the change too.",
        versions.JSON_STRINGS_REMEDY,
        needs=("provider-installed", "path-scheme"),
    ),
)
