"""`[tool.xcom-lint]` of the nearest pyproject.toml.

By hand and not with pydantic: importing that takes longer than everything else that `xbr lint` does
with one file, and an editor runs it on each save.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

TABLE = "tool.xcom-lint"
LEVELS = ("off", "warn", "block")


class ConfigError(ValueError):
    """A setting is wrong; the message names the file, the key, the value and what is allowed."""


@dataclass(frozen=True)
class Settings:
    """How to lint.

    Attributes:
        levels: by rule, in place of its own level.
        exclude: glob patterns of files to leave out, relative to the configuration's folder.
        banner_helpers, event_helpers, tag_helpers: names of functions that do what
            `dag_version_banner`, `dag_loaded_event` and `make_tags` do.
        large_literal_bytes: from which size on a literal in XCom is too large.
        baseline: file of accepted findings, relative to the configuration's folder.
    """

    levels: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    banner_helpers: tuple[str, ...] = ("dag_version_banner",)
    event_helpers: tuple[str, ...] = ("dag_loaded_event",)
    tag_helpers: tuple[str, ...] = ("make_tags",)
    large_literal_bytes: int = 32768
    baseline: str | None = None


@dataclass(frozen=True)
class Configuration:
    """Settings, and the folder that their paths are relative to."""

    settings: Settings
    folder: Path


def find(start: Path) -> Configuration:
    """The settings of the nearest pyproject.toml with such a table, above `start`; else defaults.

    Raises:
        ConfigError: the file is not TOML, or a setting is wrong.
    """
    folder = start if start.is_dir() else start.parent
    for candidate in (folder.resolve(), *folder.resolve().parents):
        path = candidate / "pyproject.toml"
        if path.is_file():
            settings = read(path)
            if settings is not None:
                return Configuration(settings=settings, folder=candidate)
    return Configuration(settings=Settings(), folder=folder.resolve())


def read(path: Path) -> Settings | None:
    """The settings of one file, None if it has no such table.

    Raises:
        ConfigError: the file cannot be read or is not TOML, or a setting is wrong.
    """
    try:
        tools = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError) as problem:
        raise ConfigError(f"{path}: {problem}") from problem
    table = tools.get("xcom-lint") if isinstance(tools, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {TABLE} = {table!r}: use a table, [{TABLE}]")
    given: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _KEYS:
            raise ConfigError(
                f"{path}: [{TABLE}] {key} is unknown; the keys are {', '.join(sorted(_KEYS))}"
            )
        try:
            given[_KEYS[key]] = _READERS[_KEYS[key]](value)
        except _WrongError as problem:
            raise ConfigError(f"{path}: [{TABLE}] {key}{problem}") from problem
    return Settings(**given)


class _WrongError(ValueError):
    """Continues the key in a message: what is wrong with its value, and what to write."""


def _levels(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _WrongError(f" = {value!r}: use a table of rules and levels, [{TABLE}.levels]")
    for code, level in value.items():
        if level not in LEVELS:
            raise _WrongError(f".{code} = {level!r}: use one of {', '.join(LEVELS)}")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _WrongError(f' = {value!r}: use a list of strings, such as ["one", "other"]')
    return tuple(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _WrongError(f" = {value!r}: use a string")
    return value


def _size(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _WrongError(f" = {value!r}: use a whole number of bytes, at least 1")
    return value


_READERS: Mapping[str, Callable[[object], Any]] = {
    "levels": _levels,
    "exclude": _texts,
    "banner_helpers": _texts,
    "event_helpers": _texts,
    "tag_helpers": _texts,
    "large_literal_bytes": _size,
    "baseline": _text,
}
# Dashes, as is usual in TOML.
_KEYS = {setting.name.replace("_", "-"): setting.name for setting in fields(Settings)}
