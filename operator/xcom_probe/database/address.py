"""Where the metadata database is, found without Airflow."""

from __future__ import annotations

import os
from typing import Mapping, NamedTuple

from xcom_probe import options
from xcom_probe.options import ConfigFile

_SECTION, _OPTION = "database", "sql_alchemy_conn"
# Settings that change how Airflow connects. With one of them only Airflow itself is right.
_OTHERS = ("sql_alchemy_connect_args", "sql_alchemy_session_maker")
# Before 2.3 the options were in [core]; Airflow still looks there.
_LEGACY_SECTION = "core"
_SCHEMES = ("postgresql", "mysql")
_SCHEMA_OPTION = "sql_alchemy_schema"


class Address(NamedTuple):
    """A database URL and its source (`env:NAME` or `file:PATH`)."""

    url: str
    source: str


def address(environ: Mapping[str, str], cfg: ConfigFile) -> Address | None:
    """The database's URL where it can be found without Airflow, else None."""
    for section in (_SECTION, _LEGACY_SECTION):
        for option in _OTHERS:
            if options.env_name(section, option) in environ:
                return None
            if option in cfg.sections.get(section, {}):
                return None
    if _local_settings_connect(cfg):
        return None
    name = options.env_name(_SECTION, _OPTION)
    if name in environ:
        return _certain(environ[name], f"env:{name}")
    # A command, a secret or the old name would win over the file.
    for section in (_SECTION, _LEGACY_SECTION):
        prefix = options.env_name(section, _OPTION)
        if any(variable.startswith(prefix) for variable in environ):
            return None
    value = cfg.sections.get(_SECTION, {}).get(_OPTION, "")
    # A percent sign is interpolated in the file.
    if not value or "%" in value:
        return None
    return _certain(value, f"file:{cfg.path}")


def schema(environ: Mapping[str, str], cfg: ConfigFile) -> str | None:
    """The schema of Airflow's tables (PostgreSQL), None where the search path decides."""
    for section in (_SECTION, _LEGACY_SECTION):
        name = options.env_name(section, _SCHEMA_OPTION)
        value = environ.get(name, cfg.sections.get(section, {}).get(_SCHEMA_OPTION, ""))
        if value:
            return value
    return None


def _certain(value: str, source: str) -> Address | None:
    url = options.expand(value)
    # Airflow rewrites older forms of the scheme.
    return Address(url, source) if url.startswith(_SCHEMES) else None


def _local_settings_connect(cfg: ConfigFile) -> bool:
    """Whether airflow_local_settings, which may connect in its own way, speaks of an engine."""
    path = os.path.join(os.path.dirname(cfg.path), "config", "airflow_local_settings.py")
    try:
        with open(path, encoding="utf-8") as file:
            return "engine" in file.read()
    except (OSError, UnicodeDecodeError):
        return False
