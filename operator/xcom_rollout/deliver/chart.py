"""The chart of a release: its content, as in Helm's record, and an archive made from that.

Helm stores with each revision the chart that it was made of: metadata, templates, values, schema
and files, but not the charts that it depends on. Disabled ones are left out of the record, so a
release without dependencies is complete, and its chart needs no repository. Of enabled ones the
record has the entries of Chart.yaml and Chart.lock, the former with the alias instead of the name,
and their default values merged into those of the chart (seen with Helm 3.22).
"""

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from xcom_rollout.clients.errors import Malformed
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.yaml_text import parse_yaml

_ADDRESSES: Final = ("https://", "http://", "oci://")
_DEPENDENCY_FILES: Final = ("requirements.yaml", "requirements.lock", "Chart.lock", "charts/")
"""Files that list dependencies: without any, Helm must not search for them."""


def dependencies(chart: Json) -> tuple[str, ...]:
    """Return the names of the enabled charts that this one depends on."""
    listed = (chart.get("metadata") or {}).get("dependencies") or []
    return tuple(sorted(str(item.get("name")) for item in listed))


@dataclass(frozen=True)
class Dependency:
    """A chart that another one depends on."""

    key: str
    """Its name, or its alias, in that one."""
    name: str
    """Its name in its repository."""
    version: str
    repository: str
    entry: Json
    """Its entry in Chart.yaml."""


@dataclass(frozen=True)
class Packed:
    """A dependency with its archive."""

    dependency: Dependency
    archive: bytes


def dependency_sources(chart: Json) -> tuple[Dependency, ...]:
    """Return where the enabled dependencies of a chart came from.

    Raises:
        Malformed: the record does not contain it for one of them.
    """
    listed = (chart.get("metadata") or {}).get("dependencies") or []
    locked = (chart.get("lock") or {}).get("dependencies") or []
    plain = {item.get("name") for item in listed if not item.get("alias")}
    found = []
    for item in listed:
        key, alias = str(item.get("name")), item.get("alias")
        repository = str(item.get("repository") or "")
        if not repository.startswith(_ADDRESSES):
            raise Malformed(f"its dependency {key} comes from its own files, not from a repository")
        fitting = {
            (str(one.get("name")), str(one.get("version")))
            for one in locked
            if one.get("repository") == repository
            and (one.get("name") not in plain if alias else one.get("name") == key)
        }
        if not locked and not alias:
            fitting = {(key, str(item.get("version")))}
        if len(fitting) != 1:
            raise Malformed(f"its Chart.lock does not identify its dependency {key}")
        ((name, version),) = fitting
        entry = {word: value for word, value in item.items() if word != "enabled"}
        found.append(Dependency(key, name, version, repository, {**entry, "name": name}))
    return tuple(found)


def content_digest(chart: Json) -> str:
    """Return the sha256 in hex of a chart's content, as Helm shows it.

    Helm merges the values of dependencies into those of the chart, by rules that changed between
    its versions, so with dependencies the default values are left out.
    """
    metadata = dict(chart.get("metadata") or {})
    listed = metadata.pop("dependencies", None) or []
    content = {
        "metadata": {key: value for key, value in metadata.items() if value},
        "dependencies": sorted(
            [str(item.get(key) or "") for key in ("name", "version", "repository")]
            for item in listed
        ),
        "templates": _named(chart.get("templates")),
        "files": _named(chart.get("files")),
        "schema": chart.get("schema") or "",
        "values": None if listed else chart.get("values") or {},
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def archive_of(chart: Json, packed: Sequence[Packed] = ()) -> bytes:
    """Return a chart as an archive for Helm; equal for equal charts.

    JSON is YAML: Chart.yaml and values.yaml are written as JSON, so that every value keeps its
    type.

    Args:
        packed: its enabled dependencies. Their default values are removed from those of the chart:
            for Helm a null removes a default of the dependency, but not one of its parent.

    Raises:
        Malformed: the record contains no such chart.
    """
    try:
        metadata = {k: v for k, v in chart["metadata"].items() if k != "dependencies"}
        values = dict(chart.get("values") or {})
        members: dict[str, bytes] = {}
        for one in packed:
            metadata.setdefault("dependencies", []).append(one.dependency.entry)
            name, key = one.dependency.name, one.dependency.key
            members[f"charts/{name}-{one.dependency.version}.tgz"] = one.archive
            if isinstance(values.get(key), Mapping):
                values[key] = _without(values[key], _values_in(one.archive))
        members["Chart.yaml"] = json.dumps(metadata).encode()
        if values:
            members["values.yaml"] = json.dumps(values).encode()
        if chart.get("schema"):
            members["values.schema.json"] = base64.b64decode(chart["schema"])
        for file in (*(chart.get("templates") or ()), *(chart.get("files") or ())):
            if not str(file["name"]).startswith(_DEPENDENCY_FILES):
                members[str(file["name"])] = base64.b64decode(file.get("data") or "")
        return _pack(str(metadata["name"]), members)
    except (KeyError, TypeError, ValueError, AttributeError, tarfile.TarError) as error:
        raise Malformed(
            f"Helm's record of the release contains no chart ({type(error).__name__}: {error})"
        ) from error


def _named(files: Iterable[Json] | None) -> list[list[Any]]:
    return sorted([str(file.get("name")), file.get("data") or ""] for file in files or ())


def _values_in(archive: bytes) -> Mapping[str, Any]:
    """Return the default values of a packed chart."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        for member in opened:
            if member.name.count("/") == 1 and member.name.endswith("/values.yaml"):
                stream = opened.extractfile(member)
                found = parse_yaml(stream.read().decode()) if stream is not None else None
                return found if isinstance(found, Mapping) else {}
    return {}


def _without(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that differ from the defaults."""
    left = {}
    for key, value in values.items():
        default = defaults.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            if value != default and (inner := _without(value, default)):
                left[key] = inner
        elif key not in defaults or value != default or type(value) is not type(default):
            left[key] = value
    return left


def _pack(name: str, members: Mapping[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path, content in sorted(members.items()):
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)
