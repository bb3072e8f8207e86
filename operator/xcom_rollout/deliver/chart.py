"""The chart of a release: its content, as Helm's record holds it, and an archive made from that.

Helm stores with each revision the chart that it was made of: metadata, templates, values, schema
and files, but not the charts that it depends on. Disabled ones are left out of the record, so a
release without dependencies is complete, and its chart needs no repository.
"""

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from typing import Any, Final

from xcom_rollout.clients.errors import Malformed
from xcom_rollout.clients.kube import Json

_DEPENDENCY_FILES: Final = ("requirements.yaml", "requirements.lock", "Chart.lock", "charts/")
"""Files that name dependencies: without any, Helm must not look for them."""


def dependencies(chart: Json) -> tuple[str, ...]:
    """Return the names of the enabled charts that this one depends on."""
    listed = (chart.get("metadata") or {}).get("dependencies") or []
    return tuple(sorted(str(item.get("name")) for item in listed))


def content_digest(chart: Json) -> str:
    """Return the sha256 in hex of what a chart is made of, as Helm shows it.

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


def archive_of(chart: Json) -> bytes:
    """Return a chart without dependencies as the archive that Helm takes; equal for equal charts.

    JSON is YAML: Chart.yaml and values.yaml are written as JSON, so that every value keeps its
    type.

    Raises:
        Malformed: the record holds no such chart.
    """
    try:
        metadata = {k: v for k, v in chart["metadata"].items() if k != "dependencies"}
        members = [("Chart.yaml", json.dumps(metadata).encode())]
        if chart.get("values"):
            members.append(("values.yaml", json.dumps(chart["values"]).encode()))
        if chart.get("schema"):
            members.append(("values.schema.json", base64.b64decode(chart["schema"])))
        members += [
            (str(file["name"]), base64.b64decode(file.get("data") or ""))
            for file in (*(chart.get("templates") or ()), *(chart.get("files") or ()))
            if not str(file["name"]).startswith(_DEPENDENCY_FILES)
        ]
        return _packed(str(metadata["name"]), members)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Malformed(
            f"Helm's record of the release holds no chart ({type(error).__name__}: {error})"
        ) from error


def _named(files: Iterable[Json] | None) -> list[list[Any]]:
    return sorted([str(file.get("name")), file.get("data") or ""] for file in files or ())


def _packed(name: str, members: Iterable[tuple[str, bytes]]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path, content in sorted(members):
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)
