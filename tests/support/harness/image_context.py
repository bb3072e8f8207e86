"""What an image is made of: its folder, its base, and the declared extra context.

`images/<name>/context.toml` (optional) declares what the folder alone does not hold:

    base = "base"                   # image given to the Containerfile as the build argument BASE
    paths = ["operator/xcom_probe"] # of this repository; lie at repo/<path> in the context
    tools = ["helm"]                # Go programs; lie at bin/<name> in the context
    containerfile = "Dockerfile"    # of this repository, in place of the folder's own Containerfile
    arguments = {SOURCE = "repo"}   # further build arguments

`base = "debian"` is the bare Debian file system, which has no folder.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import tools
from harness.paths import REPO, content_hash, files_of
from harness.shell import HarnessError

# The root of all images; its Python is 3.11, which Airflow 2.11 and the operator both support.
DEBIAN_SUITE = "bookworm"
DEBIAN = "debian"
_KEYS = {"arguments", "base", "containerfile", "paths", "tools"}


@dataclass(frozen=True)
class ImageContext:
    """One image folder, with its declaration read and checked."""

    name: str
    folder: Path
    base: str | None
    paths: tuple[str, ...]
    tools: tuple[str, ...]
    containerfile: Path
    arguments: Mapping[str, str]

    def files(self) -> list[Path]:
        """The repository's files that the image is made of."""
        sources = (self.folder, self.containerfile, *(REPO / path for path in self.paths))
        return list(dict.fromkeys(file for source in sources for file in files_of(source)))

    def write(self, target: Path) -> None:
        """Fill an empty folder with all that the Containerfile may copy from."""
        _copy(self.folder, self.folder, target)
        shutil.copy2(self.containerfile, target / "Containerfile")
        for path in self.paths:
            _copy(REPO / path, REPO, target / "repo")
        if self.tools:
            (target / "bin").mkdir(exist_ok=True)
        for name, program in tools.ensure(self.tools).items():
            shutil.copy2(program, target / "bin" / name)


def _copy(source: Path, root: Path, target: Path) -> None:
    for file in files_of(source):
        copy = target / file.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy)


def read_context(name: str, images: Path) -> ImageContext:
    """Read the declaration of one image.

    Raises:
        HarnessError: there is no such image, or its context.toml is wrong; the message names the
            key, its value and what it must be.
    """
    folder = images / name
    declaration = folder / "context.toml"
    table: dict[str, object] = {}
    if declaration.exists():
        try:
            table = tomllib.loads(declaration.read_text())
        except tomllib.TOMLDecodeError as error:
            raise HarnessError(f"{declaration}: {error}") from error
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        known = ", ".join(sorted(_KEYS))
        raise HarnessError(f"{declaration}: unknown key {unknown[0]!r}: use {known}")
    containerfile = folder / "Containerfile"
    if "containerfile" in table:
        containerfile = REPO / str(table["containerfile"])
    if not containerfile.is_file():
        images_known = ", ".join(image_names(images))
        raise HarnessError(
            f"unknown image {name!r}: there is no {containerfile}; known: {images_known}"
        )
    arguments = table.get("arguments", {})
    if not isinstance(arguments, dict) or not all(isinstance(v, str) for v in arguments.values()):
        raise HarnessError(f"{declaration}: arguments is {arguments!r}: it must be texts by name")
    base = table.get("base")
    if base is not None and not isinstance(base, str):
        raise HarnessError(f"{declaration}: base is {base!r}: it must be the name of an image")
    paths = _strings(declaration, "paths", table.get("paths", []))
    for path in paths:
        if not (REPO / path).resolve().is_relative_to(REPO) or not (REPO / path).exists():
            raise HarnessError(f"{declaration}: paths holds {path!r}, which the repository has not")
    names = _strings(declaration, "tools", table.get("tools", []))
    for tool in names:
        if tool not in tools.TOOLS:
            known = ", ".join(sorted(tools.TOOLS))
            raise HarnessError(f"{declaration}: tools holds {tool!r}: use some of {known}")
    return ImageContext(name, folder, base, paths, names, containerfile, arguments)


def image_names(images: Path) -> list[str]:
    """The images that are declared in a folder."""
    declared = (*images.glob("*/Containerfile"), *images.glob("*/context.toml"))
    return sorted({path.parent.name for path in declared})


def _strings(declaration: Path, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise HarnessError(f"{declaration}: {key} is {value!r}: it must be a list of strings")
    return tuple(value)


def image_key(name: str, images: Path, builder: str) -> str:
    """The hash that names an image: its files, its tools, its base's hash and the builder.

    Raises:
        HarnessError: a wrong declaration, or bases that form a ring.
    """
    return _key(name, images, builder, ())


def _key(name: str, images: Path, builder: str, seen: tuple[str, ...]) -> str:
    if name == DEBIAN:
        return content_hash([], [DEBIAN, DEBIAN_SUITE, builder])
    if name in seen:
        raise HarnessError(f"images are each other's base: {' -> '.join([*seen, name])}")
    context = read_context(name, images)
    base = _key(context.base, images, builder, (*seen, name)) if context.base else "scratch"
    keys = [tools.tool_key(tool) for tool in context.tools]
    given = [f"{name}={value}" for name, value in sorted(context.arguments.items())]
    root = REPO if images.is_relative_to(REPO) else Path("/")
    return content_hash(context.files(), [builder, base, *keys, *given], relative_to=root)
