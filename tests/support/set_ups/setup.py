"""One set-up as its TOML file defines it. docs/probe.md shows how to add one."""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from probe_world import PATH, THRESHOLD


@dataclass(frozen=True)
class Expect:
    """What the rollout wants, as arguments of the probe."""

    path: str = PATH
    threshold: int = THRESHOLD
    compression: str = ""

    def arguments(self) -> tuple[str, ...]:
        """The same on the command line."""
        given = ("--expect-path", self.path, "--expect-threshold", str(self.threshold))
        return (*given, *(("--expect-compression", self.compression) if self.compression else ()))


@dataclass(frozen=True)
class SetUp:
    """A pod that differs from the right one in what its file names.

    In `env`, `cfg`, `files` and `connection` the words `{endpoint}`, `{folder}`, `{ca}` and
    `{closed}` stand for what the world made of them.

    Attributes:
        name: of the file.
        title: what it is about, in one line.
        check: the one check that must report something; empty if none may.
        seen: part of what it must report as observed.
        status: of that check.
        airflow: prefixes of the versions that it is about.
        env: variables to set.
        unset: variables to remove.
        cfg: airflow.cfg.
        connection: what differs in the connection of the path; a table goes into a table, and an
            empty text in `extra` removes what is there.
        files: name and content of files to put into `{folder}`.
        expect: what the rollout wants.
        server: kind and settings of the server that the connection's endpoint names.
        identity: policy statements of the identity that the connection has.
        image: what differs in the packages: `without` (module, distribution) and `add` (pins).
        bucket: name, and `versioning`, of one more bucket.
        faketime: how libfaketime changes the clock, as in `+20m`.
    """

    name: str
    title: str
    check: str = ""
    seen: str = ""
    status: str = "fail"
    airflow: tuple[str, ...] = ("2.11",)
    env: dict[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    cfg: str = ""
    connection: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    expect: Expect = field(default_factory=Expect)
    server: dict[str, Any] = field(default_factory=dict)
    identity: tuple[dict[str, Any], ...] = ()
    image: dict[str, Any] = field(default_factory=dict)
    bucket: dict[str, Any] = field(default_factory=dict)
    faketime: str = ""

    def __str__(self) -> str:
        return self.name

    def is_about(self, version: str) -> bool:
        """Whether it is one for this version of Airflow."""
        return any(f"{version}.".startswith(f"{prefix}.") for prefix in self.airflow)


def read(file: Path) -> SetUp:
    """Read one file.

    Raises:
        ValueError: it has a key that no set-up has, or misses one.
    """
    values: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    values["name"] = file.stem
    known = {item.name: item for item in fields(SetUp)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"{file.name}: unknown {', '.join(unknown)}; known: {', '.join(known)}")
    for name, item in known.items():
        if item.default is MISSING and item.default_factory is MISSING and name not in values:
            raise ValueError(f"{file.name}: {name} is missing")
    for name in ("airflow", "unset", "identity"):
        if name in values:
            values[name] = tuple(values[name])
    values["expect"] = Expect(**values.get("expect", {}))
    return SetUp(**values)
