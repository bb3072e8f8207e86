"""The chart values that a flip owns, and what they mean."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
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

ABSENT: Final = ""
"""Marks a setting that was absent from the values, where others are JSON."""

_CONFIG: Final = "config"
_NAMES: Final = tuple(dict.fromkeys(section for section, _ in _OWNED))


@dataclass(frozen=True)
class BackendSettings:
    """Values of the options that a flip owns; None where one is not set."""

    backend: str | None = None
    path: str | None = None
    threshold: str | None = None
    compression: str | None = None
    hollow: dict[str, str] = field(default_factory=dict, compare=False)
    """Empty sections where these settings were read, by their place (`config.core`): an empty map,
    or null, as JSON. They are written again together with the settings."""
    as_written: dict[str, tuple[str | None, str]] = field(default_factory=dict, compare=False)
    """Settings that had another form there (a number, null, a template), or were absent, by their
    place (`config.core.xcom_backend`): the setting that Airflow has, and the original, as JSON or
    `ABSENT`."""

    @property
    def by_option(self) -> dict[str, str | None]:
        """The settings by `section.option`."""
        new = (self.backend, self.path, self.threshold, self.compression)
        return {
            f"{section}.{option}": value
            for (section, option), value in zip(_OWNED, new, strict=True)
        }

    @property
    def is_database(self) -> bool:
        """Whether these settings mean Airflow's own database backend."""
        return self.backend is None or self.backend in DATABASE_CLASSES

    @property
    def reads_offloaded(self) -> bool:
        return self.backend == OBJECT_STORAGE_CLASS

    @property
    def offloads(self) -> bool:
        """Whether a process with these settings may write an offloaded value.

        The provider offloads nothing below 0, and takes -1 where no threshold is set (2.9 to 3.3).
        """
        try:
            return self.reads_offloaded and int(self.threshold or NEVER_OFFLOAD) >= 0
        except ValueError:
            return True  # a template, or a text at which Airflow fails: it is not known

    def serves_as(self, expected: "BackendSettings") -> bool:
        """Whether a process that loads these does as one with `expected` would.

        With the database backend the other options mean nothing.
        """
        return self.is_database if expected.is_database else self == expected

    def stops(self, target: "BackendSettings") -> bool:
        """Whether these are `target` with a threshold at which nothing is offloaded."""
        return not self.offloads and replace(self, threshold=target.threshold) == target

    def unlike(self, expected: "BackendSettings") -> str:
        """Return the options that differ from `expected`, with both values; empty for none."""
        wanted = expected.by_option
        return ", ".join(
            f"{option} is {value or 'not set'}, not {wanted[option] or 'unset'}"
            for option, value in self.by_option.items()
            if value != wanted[option]
        )

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


def place_of(option: str, path: Sequence[str] = ()) -> str:
    """Return the place of `section.option` in the values: `airflow.config.core.xcom_backend`."""
    return ".".join((*path, _CONFIG, option))


def astray(settings: BackendSettings, rendered: Mapping[str, str]) -> tuple[str, ...]:
    """Return the options, as `section.option`, that the chart rendered to another value."""
    asked = settings.by_option
    return tuple(option for option, value in asked.items() if rendered.get(option) != value)


def read_settings(
    values: Mapping[str, Any],
    rendered: Mapping[str, str] | None = None,
    path: Sequence[str] = (),
) -> BackendSettings:
    """Return the owned settings of a release, and their form in its chart values.

    Args:
        rendered: the options of airflow.cfg, by `section.option`: what Airflow really runs,
            whatever the values say. None where no such file is known; then the values are used
            instead. There a number is read the way the chart renders it (`toString` of a YAML
            number of 1e6 and more gives `1.048576e+06`), and a text without the space around it,
            as configparser does.
        path: keys below which the values hold those of Airflow's chart.
    """
    found: list[str | None] = []
    hollow: dict[str, str] = {}
    as_written: dict[str, tuple[str | None, str]] = {}

    def section_of(outer: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
        if name in outer and not outer[name] and not isinstance(outer[name], (str, int)):
            hollow[where] = json.dumps(outer[name])
        return _section(outer, name)

    config, names = values, (*path, _CONFIG)
    for depth, name in enumerate(names, start=1):
        config = section_of(config, name, ".".join(names[:depth]))
    sections = {name: section_of(config, name, place_of(name, path)) for name in _NAMES}
    for section, option in _OWNED:
        key, options = f"{section}.{option}", sections[section]
        if rendered is None:
            value = options.get(option)
            text = None if value is None else _to_string(value).strip() or None
        else:
            text = rendered.get(key)
        if option in options and (text is None or options[option] != text):
            as_written[place_of(key, path)] = (text, json.dumps(options[option]))
        elif option not in options:
            as_written[place_of(key, path)] = (text, ABSENT)
        found.append(text)
    backend, path_found, threshold, compression = found
    return BackendSettings(backend, path_found, threshold, compression, hollow, as_written)


def write_settings(
    values: Mapping[str, Any],
    settings: BackendSettings,
    defaults: Mapping[str, Collection[str]] = MappingProxyType({}),
    path: Sequence[str] = (),
) -> dict[str, Any]:
    """Return chart values with the owned settings replaced and everything else unchanged.

    A setting of None removes its key, or disables the chart's own default. A section that becomes
    empty that way is removed, or left empty as it was where `settings` were read: writing what
    `read_settings` returned restores the original values.

    Args:
        defaults: names of the options that the chart itself sets, by section. Helm takes null for
            "without these", so they are taken out one by one where a null section gets a setting.
        path: keys below which the values hold those of Airflow's chart.

    Raises:
        ValuesError: `config`, or a section of it, is not a map. Nothing in it is lost.
    """
    return _write_below(values, settings, defaults, tuple(path), ())


def _write_below(
    values: Mapping[str, Any],
    settings: BackendSettings,
    defaults: Mapping[str, Collection[str]],
    path: tuple[str, ...],
    above: tuple[str, ...],
) -> dict[str, Any]:
    if not path:
        return _write_here(values, settings, defaults, above)
    name, here = path[0], (*above, path[0])
    where = ".".join(here)
    given = _writable(values, name, where)
    inner = _write_below(given or {}, settings, defaults, path[1:], here)
    if inner and given is None and name in values:
        raise ValuesError(
            f"{where} is null in the values of the release, which removes the defaults of the "
            "parent chart: set a map, or remove it"
        )
    result = dict(values)
    _put(result, name, inner, where, settings)
    return result


def _write_here(
    values: Mapping[str, Any],
    settings: BackendSettings,
    defaults: Mapping[str, Collection[str]],
    path: tuple[str, ...],
) -> dict[str, Any]:
    top = ".".join((*path, _CONFIG))
    whole = _writable(values, _CONFIG, top)
    bare = dict.fromkeys(defaults)
    config = dict(bare if whole is None and _CONFIG in values else whole or {})
    was_null = settings.hollow.get(top) == "null"
    asked = settings.by_option
    left = {}
    for name in _NAMES:
        where, own = place_of(name, path), defaults.get(name, ())
        given = _writable(config, name, where)
        without: dict[str, Any] = dict.fromkeys(own)
        options = dict(without if given is None and name in config else given or {})
        for section, option in _OWNED:
            if section != name:
                continue
            value = asked[f"{section}.{option}"]
            meant, stood = settings.as_written.get(f"{where}.{option}", (None, None))
            as_it_stood = stood is not None and meant == value
            if as_it_stood and stood:
                options[option] = json.loads(stood)
            elif not as_it_stood and value is not None:
                options[option] = value
            elif not as_it_stood and option in own:
                options[option] = None
            else:
                options.pop(option, None)
        emptied = _all_bare(options, without) and settings.hollow.get(where) == "null"
        _put(config, name, {} if emptied else options, where, settings)
        left[name] = without
    if was_null and all(
        section is None or _all_bare(section, left.get(name, {}))
        for name, section in config.items()
    ):
        config = {}
    result = dict(values)
    _put(result, _CONFIG, config, top, settings)
    return result


def _put(
    outer: dict[str, Any], name: str, inner: dict[str, Any], where: str, settings: BackendSettings
) -> None:
    """Put a section back in its place; an empty one in its original form."""
    if inner:
        outer[name] = inner
    elif where in settings.hollow:
        outer[name] = json.loads(settings.hollow[where])
    else:
        outer.pop(name, None)


def _all_bare(options: object, without: Mapping[str, Any]) -> bool:
    """Whether a section holds only defaults that are taken out."""
    return isinstance(options, Mapping) and all(
        value is None and option in without for option, value in options.items()
    )


def _section(outer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = outer.get(name)
    return found if isinstance(found, Mapping) else {}


def _writable(outer: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any] | None:
    found = outer.get(name)
    if found is None or isinstance(found, Mapping):
        return found
    kind = {list: "a list", str: "a text", bool: "true or false"}.get(type(found), "a number")
    raise ValuesError(
        f"{where} is {kind} in the values of the release, but Airflow's chart requires a map: use "
        "option: value, or remove it"
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
