"""The chart values that a flip owns, and their meaning."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

OBJECT_STORAGE_CLASS: Final = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
DATABASE_CLASSES: Final = (
    "airflow.models.xcom.BaseXCom",
    "airflow.sdk.execution_time.xcom.BaseXCom",
    "airflow.sdk.bases.xcom.BaseXCom",
)
NEVER_OFFLOAD: Final = "-1"
"""Threshold at which the object backend reads offloaded values and writes none."""

_OWNED: Final = (
    ("core", "xcom_backend"),
    ("common.io", "xcom_objectstorage_path"),
    ("common.io", "xcom_objectstorage_threshold"),
    ("common.io", "xcom_objectstorage_compression"),
)

_CONFIG: Final = "config"
_NAMES: Final = tuple(dict.fromkeys(section for section, _ in _OWNED))


@dataclass(frozen=True)
class BackendSettings:
    """Values of the options that a flip owns; None where the chart values do not set one."""

    backend: str | None = None
    path: str | None = None
    threshold: str | None = None
    compression: str | None = None
    hollow: dict[str, str] = field(default_factory=dict, compare=False)
    """Sections without content where these settings were read, by their place (`config.core`): an
    empty map, or null, as JSON. Where the settings are written again, so are these."""
    as_written: dict[str, tuple[str | None, str]] = field(default_factory=dict, compare=False)
    """Settings that stood there in another form (a number, null, a template), by their place
    (`config.core.xcom_backend`): the setting, and what stood there, as JSON."""

    @property
    def is_database(self) -> bool:
        """Whether these settings mean Airflow's own database backend."""
        return self.backend is None or self.backend in DATABASE_CLASSES

    @property
    def reads_offloaded(self) -> bool:
        return self.backend == OBJECT_STORAGE_CLASS

    @property
    def offloads(self) -> bool:
        """Whether a process with these settings may write an offloaded value."""
        return self.reads_offloaded and (self.threshold or NEVER_OFFLOAD) != NEVER_OFFLOAD

    def describe(self) -> str:
        if self.is_database:
            return "database backend"
        if not self.reads_offloaded:
            return f"backend {self.backend}"
        threshold = self.threshold or NEVER_OFFLOAD
        return f"object storage backend at threshold {threshold}"


class ValuesError(ValueError):
    """The values of a release have a form in which the settings cannot be written."""


def object_storage(path: str, threshold: str, compression: str | None) -> BackendSettings:
    """Return the settings of the object storage backend at `threshold` bytes (a string)."""
    return BackendSettings(OBJECT_STORAGE_CLASS, path, threshold, compression)


def read_settings(
    values: Mapping[str, Any], rendered: Mapping[str, str] = MappingProxyType({})
) -> BackendSettings:
    """Return the owned settings found in the chart values of a release.

    A number is rendered the way the chart does it (`toString` of a YAML number of 1e6 and more
    gives `1.048576e+06`), so that a value written without quotes is seen as Airflow sees it.

    Args:
        rendered: what the chart made of a value that is a template (`tpl`), by its place.
    """
    config = _section(values, _CONFIG)
    found: list[str | None] = []
    hollow: dict[str, str] = {}
    as_written: dict[str, tuple[str | None, str]] = {}
    for outer, name, where in (
        (values, _CONFIG, _CONFIG),
        *((config, name, f"{_CONFIG}.{name}") for name in _NAMES),
    ):
        if name in outer and not outer[name] and not isinstance(outer[name], (str, int)):
            hollow[where] = json.dumps(outer[name])
    for section, option in _OWNED:
        where, options = f"{_CONFIG}.{section}.{option}", _section(config, section)
        value = rendered.get(where, options.get(option))
        text = None if value is None or value == "" else _to_string(value)
        if option in options and (text is None or options[option] != text):
            as_written[where] = (text, json.dumps(options[option]))
        found.append(text)
    backend, path, threshold, compression = found
    return BackendSettings(backend, path, threshold, compression, hollow, as_written)


def templated(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the places of owned settings that are templates: the chart makes their value."""
    config = _section(values, _CONFIG)
    return tuple(
        f"{_CONFIG}.{section}.{option}"
        for section, option in _OWNED
        if "{{" in str(_section(config, section).get(option, ""))
    )


def write_settings(
    values: Mapping[str, Any],
    settings: BackendSettings,
    defaults: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return chart values with the owned settings replaced and everything else as it was.

    A setting of None removes its key. A section that becomes empty that way is removed, or is as
    hollow as it was where `settings` were read: writing what `read_settings` gave restores the
    values that were there.

    Args:
        defaults: names of the options that the chart itself sets, by section. Helm takes null for
            "without these", so they are taken out one by one where a null section gets a setting.

    Raises:
        ValuesError: `config`, or a section of it, is no map. Nothing in it is lost.
    """
    whole = _writable(values, _CONFIG, _CONFIG)
    bare = dict.fromkeys(defaults)
    config = dict(bare if whole is None and _CONFIG in values else whole or {})
    was_null = settings.hollow.get(_CONFIG) == "null"
    new = (settings.backend, settings.path, settings.threshold, settings.compression)
    left = {}
    for name in _NAMES:
        where = f"{_CONFIG}.{name}"
        given = _writable(config, name, where)
        without: dict[str, Any] = dict.fromkeys(defaults.get(name, ()))
        options = dict(without if given is None and name in config else given or {})
        for (section, option), value in zip(_OWNED, new, strict=True):
            if section != name:
                continue
            meant, stood = settings.as_written.get(f"{where}.{option}", ("", ""))
            if meant == value:
                options[option] = json.loads(stood)
            elif value is not None:
                options[option] = value
            else:
                options.pop(option, None)
        emptied = options == without and settings.hollow.get(where) == "null"
        _put(config, name, {} if emptied else options, where, settings)
        left[name] = without
    if was_null and all(
        section is None or section == left.get(name) for name, section in config.items()
    ):
        config = {}
    result = dict(values)
    _put(result, _CONFIG, config, _CONFIG, settings)
    return result


def _put(
    outer: dict[str, Any], name: str, inner: dict[str, Any], where: str, settings: BackendSettings
) -> None:
    """Put a section where it was; an empty one as it was."""
    if inner:
        outer[name] = inner
    elif where in settings.hollow:
        outer[name] = json.loads(settings.hollow[where])
    else:
        outer.pop(name, None)


def _section(outer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = outer.get(name)
    return found if isinstance(found, Mapping) else {}


def _writable(outer: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any] | None:
    found = outer.get(name)
    if found is None or isinstance(found, Mapping):
        return found
    kind = {list: "a list", str: "a text", bool: "true or false"}.get(type(found), "a number")
    raise ValuesError(
        f"{where} is {kind} in the values of the release, and Airflow's chart takes a map there: "
        "write option: value, or take it out"
    )


def _to_string(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 1_000_000:
        # Helm holds YAML numbers as float64; Go's %v of one is %g with the shortest exponent.
        mantissa, _, exponent = f"{value:.17e}".partition("e")
        digits = repr(float(mantissa)).removesuffix(".0")
        return f"{digits}e+{int(exponent):02d}"
    return str(value)
