"""What goes through XCom in place of a blob: a small JSON object that describes it completely."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Mapping

from xcom_dags.blobs.checksum import fits
from xcom_dags.blobs.errors import BlobMalformed

NPZ = "npz"
PARQUET = "parquet"
FORMATS = (NPZ, PARQUET)


@dataclass(frozen=True)
class BlobReference:
    """A blob, described.

    Attributes:
        uri: `s3://bucket/key`, without a connection: each reader uses its own.
        key: as the producer gave it.
        format: `npz` or `parquet`.
        schema: name of what the arrays mean, agreed between producer and consumer.
        version: version of that schema.
        arrays: by name, `{"shape": [rows, ...], "dtype": "<f8"}`; a table's columns have the shape
            `[rows]` and Arrow's name of their type.
        bytes: size of the object.
        checksum_sha256: of the object, as S3 reports it: see `checksum`.
        part_size: in bytes; the checksum of a larger object is put together from such parts.
    """

    uri: str
    key: str
    format: str
    schema: str
    version: int
    arrays: dict[str, dict[str, Any]]
    bytes: int
    checksum_sha256: str
    part_size: int

    def as_json(self) -> dict[str, Any]:
        """As it goes into XCom: only strings, integers, lists and dictionaries."""
        return asdict(self)

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> BlobReference:
        """Read what came out of XCom.

        Raises:
            BlobMalformed: a field is missing, too much, or of another type. A plain string most
                likely is the path of an offloaded value that nobody resolved.
        """
        if not isinstance(value, Mapping):
            raise BlobMalformed(
                f"reference {value!r:.200}: expected a dictionary as returned by BlobStore.put"
            )
        wanted = {
            "uri": str,
            "key": str,
            "format": str,
            "schema": str,
            "version": int,
            "arrays": dict,
            "bytes": int,
            "checksum_sha256": str,
            "part_size": int,
        }
        name = value.get("key", "?")
        for field in sorted(set(wanted) ^ set(value)):
            trouble = "is missing" if field in wanted else "is unknown"
            raise BlobMalformed(f"reference of {name!r}: field {field!r} {trouble}")
        for field, kind in wanted.items():
            if not isinstance(value[field], kind) or isinstance(value[field], bool):
                raise BlobMalformed(
                    f"reference of {name!r}: {field} is {value[field]!r:.80}, no {kind.__name__}"
                )
        if value["format"] not in FORMATS:
            raise BlobMalformed(f"reference of {name!r}: format {value['format']!r} is unknown")
        if not fits(value["checksum_sha256"], value["bytes"], value["part_size"]):
            raise BlobMalformed(
                f"reference of {name!r}: checksum_sha256 {value['checksum_sha256']!r:.80} is not "
                f"that of {value['bytes']} bytes in parts of {value['part_size']}"
            )
        return cls(**value)


def describe(shape: Any, dtype: str) -> dict[str, Any]:
    """One entry of `arrays`."""
    return {"shape": [int(size) for size in shape], "dtype": dtype}


def difference(expected: dict[str, dict[str, Any]], seen: dict[str, dict[str, Any]]) -> str:
    """How two descriptions of arrays differ, in words; empty if they do not."""
    for name in expected:
        if name not in seen:
            return f"array {name!r} is missing"
        for part in ("shape", "dtype"):
            if seen[name][part] != expected[name].get(part):
                return (
                    f"array {name!r} has {part} {seen[name][part]}, not {expected[name].get(part)}"
                )
    extra = sorted(set(seen) - set(expected))
    return f"array {extra[0]!r} is too much" if extra else ""
