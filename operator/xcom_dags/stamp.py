"""Writes `.dag_build_info.json`: what `xbr stamp` does, for a workflow that syncs DAGs."""

from __future__ import annotations

import json
import os
import re
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from xcom_dags.provenance import SHA_FIELD, STAMP, SYNCED_FIELD

_SHA = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\Z")
_FIELD = re.compile(r"[a-z][a-z0-9_]*\Z")
_SHORT = 7


def write_stamp(
    dags_folder: Path, sha: str, field: str = SHA_FIELD, now: datetime | None = None
) -> Path:
    """Write the stamp; a reader meanwhile sees the old one or the new one, complete.

    Args:
        dags_folder: an existing folder.
        sha: the whole commit: 40 hexadecimal digits (64 with SHA-256 repositories), lower case.
        field: the name of the commit's field.
        now: the moment of the sync, with a time zone; else the clock.

    Returns:
        The path of the stamp.

    Raises:
        ValueError: the commit, the field or the moment is not of that form.
        OSError: the folder is not there or cannot be written.
    """
    if not _SHA.match(sha):
        raise ValueError(
            f"commit {sha!r}: write the whole SHA, 40 lower-case hexadecimal digits "
            "(git rev-parse HEAD)"
        )
    if not _FIELD.match(field):
        raise ValueError(f"field {field!r}: write lower-case letters, digits and underscores")
    if SYNCED_FIELD in (field, field + "_short"):
        raise ValueError(f"field {field!r} is taken: the stamp has the moment of the sync there")
    moment = datetime.now(timezone.utc) if now is None else now
    if moment.tzinfo is None:
        raise ValueError(f"moment {moment.isoformat()} has no time zone")
    content = {
        field: sha,
        field + "_short": sha[:_SHORT],
        SYNCED_FIELD: moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    path = dags_folder / STAMP
    handle, temporary = tempfile.mkstemp(prefix=STAMP + ".", dir=str(dags_folder))
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        # mkstemp gives 0600; git-sync and Airflow read it as other users.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path
