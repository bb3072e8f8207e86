"""The base path taken apart. No Airflow here."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

S3_SCHEMES = ("s3", "s3a", "s3n")
GCS_SCHEMES = ("gs", "gcs")
AZURE_SCHEMES = ("abfs", "abfss", "adl")

_AMAZON = "apache-airflow-providers-amazon"
_GOOGLE = "apache-airflow-providers-google"
_AZURE = "apache-airflow-providers-microsoft-azure"
INSTALL = {
    _AMAZON: f"{_AMAZON}[s3fs]",
    "s3fs": f"{_AMAZON}[s3fs]",
    "gcsfs": _GOOGLE,
    "adlfs": _AZURE,
}
"""What to install for a package; any other by its own name."""


def packages(scheme: str) -> tuple[str, ...]:
    """What Airflow needs for paths of a scheme; nothing for schemes that are not known here."""
    if scheme in S3_SCHEMES:
        return (_AMAZON, "s3fs")
    if scheme in GCS_SCHEMES:
        return (_GOOGLE, "gcsfs")
    if scheme in AZURE_SCHEMES:
        return (_AZURE, "adlfs")
    return ()


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
