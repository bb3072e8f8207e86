"""The chart values that a flip owns, and their meaning."""

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class BackendSettings:
    """Values of the options that a flip owns; None where the chart values do not set one."""

    backend: str | None = None
    path: str | None = None
    threshold: str | None = None
    compression: str | None = None

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


def object_storage(path: str, threshold: str, compression: str | None) -> BackendSettings:
    """Return the settings of the object storage backend at `threshold` bytes (a string)."""
    return BackendSettings(OBJECT_STORAGE_CLASS, path, threshold, compression)


def read_settings(values: Mapping[str, Any]) -> BackendSettings:
    """Return the owned settings found in the chart values of a release.

    A number is rendered the way the chart does it (`toString` of a YAML number of 1e6 and more
    gives `1.048576e+06`), so that a value written without quotes is seen as Airflow sees it.
    """
    config = values.get("config")
    found: list[str | None] = []
    for section, option in _OWNED:
        options = config.get(section) if isinstance(config, Mapping) else None
        value = options.get(option) if isinstance(options, Mapping) else None
        found.append(None if value is None or value == "" else _to_string(value))
    return BackendSettings(*found)


def write_settings(values: Mapping[str, Any], settings: BackendSettings) -> dict[str, Any]:
    """Return chart values with the owned settings replaced and everything else as it was.

    A setting of None removes its key; a section that becomes empty that way, and the `config`
    that becomes empty, are removed too, so that writing what `read_settings` gave restores the
    values that were there.
    """
    result = dict(values)
    config = {
        name: dict(section) if isinstance(section, Mapping) else section
        for name, section in dict(result.get("config") or {}).items()
    }
    new = (settings.backend, settings.path, settings.threshold, settings.compression)
    for (section, option), value in zip(_OWNED, new, strict=True):
        options = config.get(section)
        if value is not None:
            options = config.setdefault(section, {}) if options is None else options
            options[option] = value
        elif options is not None and option in options:
            del options[option]
            if not options:
                del config[section]
    if config:
        result["config"] = config
    else:
        result.pop("config", None)
    return result


def _to_string(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 1_000_000:
        # Helm holds YAML numbers as float64; Go's %v of one is %g with the shortest exponent.
        mantissa, _, exponent = f"{value:.17e}".partition("e")
        digits = repr(float(mantissa)).removesuffix(".0")
        return f"{digits}e+{int(exponent):02d}"
    return str(value)
