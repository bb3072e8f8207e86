"""`[tool.xcom-lint]` of the nearest pyproject.toml."""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

TABLE = "tool.xcom-lint"


class ConfigError(ValueError):
    """A setting is wrong; the message names the file, the key, the value and what is allowed."""


class Settings(BaseModel):
    """How to lint.

    Attributes:
        levels: by rule, in place of its own level.
        exclude: glob patterns of files to leave out, relative to the configuration's folder.
        banner_helpers, event_helpers, tag_helpers: names of functions that do what
            `dag_version_banner`, `dag_loaded_event` and `make_tags` do.
        large_literal_bytes: from which size on a literal in XCom is too large.
        baseline: file of accepted findings, relative to the configuration's folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    levels: dict[str, Literal["off", "warn", "block"]] = Field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    banner_helpers: tuple[str, ...] = ("dag_version_banner",)
    event_helpers: tuple[str, ...] = ("dag_loaded_event",)
    tag_helpers: tuple[str, ...] = ("make_tags",)
    large_literal_bytes: int = Field(default=32768, ge=1)
    baseline: str | None = None


class Configuration(BaseModel):
    """Settings, and the folder that their paths are relative to."""

    model_config = ConfigDict(frozen=True)

    settings: Settings
    folder: Path


def find(start: Path) -> Configuration:
    """The settings of the nearest pyproject.toml with such a table, above `start`; else defaults.

    Raises:
        ConfigError: the file is no TOML, or a setting is wrong.
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
        ConfigError: the file cannot be read or is no TOML, or a setting is wrong.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("xcom-lint")
    except (OSError, ValueError) as problem:
        raise ConfigError(f"{path}: {problem}") from problem
    if table is None:
        return None
    unknown = sorted(set(table) - set(_KEYS))
    if unknown:
        raise ConfigError(
            f"{path}: [{TABLE}] {unknown[0]} is unknown; there are {', '.join(sorted(_KEYS))}"
        )
    try:
        return Settings.model_validate({_KEYS[key]: value for key, value in table.items()})
    except ValidationError as problem:
        raise ConfigError("; ".join(_said(path, error) for error in problem.errors())) from problem


# Dashes, as is usual in TOML.
_KEYS = {name.replace("_", "-"): name for name in Settings.model_fields}


def _said(path: Path, error: object) -> str:
    assert isinstance(error, dict)  # noqa: S101  pydantic's own type is a TypedDict
    key = ".".join(str(part).replace("_", "-") for part in error["loc"])
    return f"{path}: [{TABLE}] {key} = {error['input']!r}: {error['msg']}"
