"""The four options that decide the XCom backend, and where each value comes from. No Airflow here.

`AIRFLOW__<SECTION>__<OPTION>` (a dot in the section becomes an underscore) beats airflow.cfg, which
beats the provider's default. Airflow silently ignores every other spelling, `_CMD` and `_SECRET`
included: those work for options that Airflow lists as sensitive, and these are not.
"""

from __future__ import annotations

import configparser
import difflib
import os
import re
from typing import Mapping, NamedTuple

BACKEND = ("core", "xcom_backend")
PATH = ("common.io", "xcom_objectstorage_path")
THRESHOLD = ("common.io", "xcom_objectstorage_threshold")
COMPRESSION = ("common.io", "xcom_objectstorage_compression")
OPTIONS: tuple[tuple[str, str], ...] = (BACKEND, PATH, THRESHOLD, COMPRESSION)

DEFAULT = "default"
ABSENT = "absent"

_PREFIX = "AIRFLOW"
# Connections and variables have free names; Kubernetes adds addresses of services; the official
# chart repeats each variable in the sections that KubernetesExecutor of Airflow 1 had.
_FREE_NAMES = re.compile(
    r"^AIRFLOW_(CONN|VAR)_|^AIRFLOW__KUBERNETES_(ENVIRONMENT_VARIABLES|SECRETS)__|_SERVICE_HOST$|_SERVICE_PORT(_.*)?$|_PORT(_\d+_(TCP|UDP).*)?$",
    re.IGNORECASE,
)
_INDIRECT = ("CMD", "SECRET")
_ALIKE = 0.9
# common-io 1.11.0 has `state_store_objectstorage_*` in the same section; Airflow 3.3 writes them
# into the airflow.cfg that it makes.
_ANOTHER = "STATESTORE"


class Option(NamedTuple):
    """An effective value and its source: `env:NAME`, `file:PATH`, `default` or `absent`."""

    value: str | None
    source: str

    def __str__(self) -> str:
        if self.value is None:
            return self.source
        return f"{self.value!r} (from {self.source})"


class Misspelt(NamedTuple):
    """A setting that Airflow ignores although it was meant for one of `OPTIONS`.

    `where` is the environment variable or `[section] option`; `value` is None where it may be a
    secret or a command. Without Airflow's prefix it is not `certain`: it may be a variable of the
    user's own.
    """

    where: str
    intended: tuple[str, str]
    value: str | None
    certain: bool = True


class ConfigFile(NamedTuple):
    """airflow.cfg as far as it can be read: path and the options of each section, as written."""

    path: str
    sections: dict[str, dict[str, str]]
    problem: str = ""


class _AirflowLikeParser(configparser.RawConfigParser):
    """Options keep their case, as in Airflow: `XCOM_OBJECTSTORAGE_PATH` in the file is ignored."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def env_name(section: str, option: str) -> str:
    """The one environment variable that Airflow reads for an option."""
    return "AIRFLOW__{}__{}".format(section.replace(".", "_").upper(), option.upper())


def config_path(environ: Mapping[str, str]) -> str:
    """The path of airflow.cfg, by the rule of `airflow.configuration.get_airflow_config`."""
    given = environ.get("AIRFLOW_CONFIG")
    if given is not None:
        return expand(given)
    return os.path.join(expand(environ.get("AIRFLOW_HOME", "~/airflow")), "airflow.cfg")


def expand(value: str) -> str:
    """Expand `~` and `$NAME` until nothing changes, as Airflow does with every value."""
    while True:
        expanded = os.path.expanduser(os.path.expandvars(value))
        if expanded == value:
            return value
        value = expanded


def read_config(environ: Mapping[str, str]) -> ConfigFile:
    """Read airflow.cfg. A file that is missing or broken has no sections and says so."""
    path = config_path(environ)
    parser = _AirflowLikeParser(strict=False, allow_no_value=True)
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except FileNotFoundError:
        return ConfigFile(path, {})
    except (OSError, UnicodeDecodeError, configparser.Error) as problem:
        return ConfigFile(path, {}, f"{type(problem).__name__}: {problem}")
    return ConfigFile(
        path,
        {section: _own(parser, section) for section in parser.sections()},
    )


def _own(parser: configparser.RawConfigParser, section: str) -> dict[str, str]:
    return {option: value or "" for option, value in parser.items(section)}


def setting(option: tuple[str, str], environ: Mapping[str, str], cfg: ConfigFile) -> str | None:
    """An option as it is written for Airflow, None where it is not set."""
    section, name = option
    found = environ.get(env_name(section, name))
    return cfg.sections.get(section, {}).get(name) if found is None else found


def source(
    section: str, option: str, effective: str | None, environ: Mapping[str, str], cfg: ConfigFile
) -> Option:
    """Pair the effective value (None: Airflow knows none) with where it comes from."""
    if effective is None:
        return Option(None, ABSENT)
    name = env_name(section, option)
    if name in environ:
        return Option(effective, f"env:{name}")
    if option in cfg.sections.get(section, {}):
        return Option(effective, f"file:{cfg.path}")
    return Option(effective, DEFAULT)


def misspelt_env(environ: Mapping[str, str], cfg: ConfigFile | None = None) -> list[Misspelt]:
    """Environment variables that look like one of `OPTIONS` and that Airflow ignores.

    One without Airflow's prefix that the right setting is made of does not count.
    """
    valid = {env_name(*option) for option in OPTIONS}
    found = []
    for name in sorted(environ):
        if name in valid or _FREE_NAMES.search(name):
            continue
        if _squeeze(name).startswith(_PREFIX):
            match = _intended(name)
            if match:
                intended, indirect = match
                found.append(Misspelt(name, intended, None if indirect else environ[name]))
        elif "XCOM" in name.upper():
            match = _intended(f"{_PREFIX}__{name}")
            if match and not _is_used(name, environ, cfg):
                found.append(Misspelt(name, match[0], None, certain=False))
    return found


def _is_used(name: str, environ: Mapping[str, str], cfg: ConfigFile | None) -> bool:
    """Whether one of the options has this variable's value, or refers to it."""
    reference = re.compile(r"\$(\{{{0}\}}|{0}(?!\w))".format(re.escape(name)))
    file = cfg or ConfigFile("", {})
    given = [setting(option, environ, file) for option in OPTIONS]
    return any(
        value == environ[name] or reference.search(value) for value in given if value is not None
    )


def misspelt_file(cfg: ConfigFile) -> list[Misspelt]:
    """Options in airflow.cfg that look like one of `OPTIONS` and that Airflow ignores."""
    found = []
    for section in sorted(cfg.sections):
        for option, value in sorted(cfg.sections[section].items()):
            name = f"{_PREFIX}__{section}__{option}"
            if (section, option) in OPTIONS or _FREE_NAMES.search(name):
                continue
            match = _intended(name)
            if match:
                intended, indirect = match
                where = f"[{section}] {option} in {cfg.path}"
                found.append(Misspelt(where, intended, None if indirect else value))
    return found


def _intended(name: str) -> tuple[tuple[str, str], bool] | None:
    """The option meant by a name that is not right, and whether it is a `_CMD` or `_SECRET`."""
    squeezed = _squeeze(name)
    if _ANOTHER in squeezed:
        return None
    indirect = False
    for suffix in _INDIRECT:
        if squeezed.endswith(suffix):
            squeezed, indirect = squeezed[: -len(suffix)], True
    ranked = sorted(
        (difflib.SequenceMatcher(None, squeezed, _squeeze(env_name(*option))).ratio(), option)
        for option in OPTIONS
    )
    likeness, best = ranked[-1]
    # Section common.io has no other options but those left out above, and no other section has
    # options of this name.
    certain = squeezed.startswith("AIRFLOWCOMMONIO") or "XCOMOBJECTSTOR" in squeezed
    alike = likeness >= _ALIKE and (best != BACKEND or "XCOM" in squeezed)
    return (best, indirect) if certain or alike else None


def _squeeze(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", name.upper())
