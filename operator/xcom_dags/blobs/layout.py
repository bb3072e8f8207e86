"""Where a blob is kept: `<prefix>/<run_id>/<key>.<suffix>`, so that no run sees another's blobs."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, urlsplit

_SEGMENT = re.compile(r"[A-Za-z0-9_=+@-][A-Za-z0-9._=+@-]*\Z")
# S3: an object key has at most 1024 bytes.
_LONGEST_KEY = 1024


class BucketLocation(NamedTuple):
    """A base URL taken apart: `s3://connection@bucket/prefix`.

    Attributes:
        conn_id: the Airflow connection, None for the credentials of the environment.
        prefix: without slashes at its ends; may be empty.
    """

    conn_id: str | None
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, url: str) -> BucketLocation:
        """Take a URL apart.

        Raises:
            ValueError: it is not of that form.
        """
        parts = urlsplit(url)
        conn_id, _, bucket = parts.netloc.rpartition("@")
        prefix = parts.path.strip("/")
        if parts.scheme not in ("s3", ""):
            raise ValueError(
                f"base {url!r}: blobs and their policy are for S3 only; write "
                "s3://connection@bucket/prefix"
            )
        if parts.scheme != "s3" or not bucket or parts.query or parts.fragment:
            raise ValueError(f"base {url!r}: write s3://connection@bucket/prefix")
        if any(part in ("", ".", "..") for part in prefix.split("/") if prefix):
            raise ValueError(f"base {url!r}: the prefix has an empty, '.' or '..' part")
        return cls(conn_id or None, bucket, prefix)


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an object's `s3://bucket/key`."""
    bucket, key = uri.split("/", 3)[2:]
    return bucket, key


def run_folder(prefix: str, run_id: str) -> str:
    """The folder of a run. Characters such as `:` and `+` are percent-encoded, reversibly.

    >>> run_folder("p", "manual__2026-01-01T00:00:00+00:00")
    'p/manual__2026-01-01T00%3A00%3A00%2B00%3A00'

    Raises:
        ValueError: the run ID is empty or only dots.
    """
    if not run_id.strip("."):
        raise ValueError(f"run_id {run_id!r}: pass the DAG run's ID, as in context['run_id']")
    return "/".join(part for part in (prefix, quote(run_id, safe="")) if part)


def object_key(prefix: str, run_id: str, key: str, map_index: int, suffix: str) -> str:
    """The object's key; a mapped task's index (0 and more) becomes a part of its own.

    Raises:
        ValueError: the key is not one or more parts of letters, digits and `._=+@-` between
            slashes, a part begins with a dot, or the whole is longer than S3 allows.
    """
    parts = key.split("/")
    for part in parts:
        if not _SEGMENT.match(part):
            raise ValueError(
                f"key {key!r}: part {part!r} is not allowed; write letters, digits and ._=+@- "
                "between single slashes, with no dot first"
            )
    if map_index >= 0:
        parts.append(f"map_index={map_index}")
    whole = "{}/{}.{}".format(run_folder(prefix, run_id), "/".join(parts), suffix)
    if len(whole.encode("utf-8")) > _LONGEST_KEY:
        raise ValueError(f"key {key!r}: the object's key would have more than {_LONGEST_KEY} bytes")
    return whole
