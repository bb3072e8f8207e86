"""The base path taken apart. No Airflow here."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

S3_SCHEMES = ("s3", "s3a", "s3n")


class Location(NamedTuple):
    """A base path taken apart: `scheme://conn_id@bucket/prefix`."""

    scheme: str
    conn_id: str | None
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, path: str) -> Location:
        """Take a path apart as `ObjectStoragePath` does; a missing scheme gives an empty one."""
        parts = urlsplit(path)
        userinfo, _, host = parts.netloc.rpartition("@")
        return cls(parts.scheme, userinfo or None, host, parts.path.strip("/"))
