"""Objects of round trips: this one's are removed at its end, those of a killed one by the next.

Every run of the probe has a folder of its own, `<base>/xcom_probe/<run id>/`, and the run id says
when it began. Nothing else is ever looked at or removed.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timedelta, timezone
from typing import Callable

from xcom_probe import redact
from xcom_probe.airflow import storage
from xcom_probe.airflow.throwaway import ThrowAwayRun
from xcom_probe.model import ERROR, PASS, WARN, Finding
from xcom_probe.values.sample import SIZED_TASK_ID

ABANDONED_AFTER = timedelta(hours=1)
"""No round trip takes as long; clocks of pods may differ by some minutes."""

_TIME = "%Y-%m-%dT%H:%M:%S.%f+00:00"
# A time with colons and a plus, as in the run ids of schedules.
_RUN_ID = re.compile(
    r"xcom_probe__(?P<began>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00)_[0-9a-f]{32}\Z"
)
_WHY = "An object without a row stays in the bucket permanently."


def new_run_id(now: datetime) -> str:
    """A run id that is nobody else's."""
    return f"xcom_probe__{now.astimezone(timezone.utc).strftime(_TIME)}_{uuid.uuid4().hex}"


def abandoned(run_id: str, now: datetime) -> bool:
    """Whether this is the run id of a round trip that cannot be running any more."""
    match = _RUN_ID.match(run_id)
    if match is None:
        return False
    try:
        began = datetime.strptime(match.group("began"), _TIME).replace(tzinfo=timezone.utc)
    except ValueError:
        return False
    return now - began > ABANDONED_AFTER


def named_object(base: str, run_id: str) -> str:
    """The path of the one object that this round trip makes without a row."""
    return f"{base}/{ThrowAwayRun.DAG_ID}/{run_id}/named_by_a_string"


def sweep(base: str, now: datetime) -> Finding:
    """Remove what round trips left that were killed."""
    folder = f"{base}/{ThrowAwayRun.DAG_ID}"

    def removed() -> list[str]:
        names = [name for name in storage.folders(folder) if abandoned(name, now)]
        return [url for name in names for url in _remove(f"{folder}/{name}", base)]

    return _finding(
        "roundtrip-leftovers",
        removed,
        f"no leftovers of a killed probe below {folder}",
        "Remove the objects there that are older than an hour.",
        "a killed probe left {} objects, now removed: {}",
    )


def clean(base: str, run_id: str) -> Finding:
    """Remove what the store holds of this run, and see that it holds nothing any more.

    Objects of sized values the backend should have removed itself.
    """
    folder = f"{base}/{ThrowAwayRun.DAG_ID}/{run_id}"

    def removed() -> list[str]:
        not_purged = [url for url in _remove(folder, base) if f"/{SIZED_TASK_ID}/" in url]
        return not_purged + [f"{url} (still there)" for url in storage.find_objects(folder)]

    return _finding(
        "roundtrip-clean",
        removed,
        f"no object below {folder}",
        "Allow the identity of the connection to list and delete there (on S3: s3:ListBucket and "
        "s3:DeleteObject).",
        "the backend did not remove {} objects: {}",
    )


def _remove(folder: str, base: str) -> list[str]:
    found = list(storage.find_objects(folder))
    storage.remove_objects(found, base)
    return found


def _finding(
    name: str, removed: Callable[[], list[str]], expected: str, remedy: str, seen: str
) -> Finding:
    try:
        urls = removed()
    except Exception as problem:  # noqa: BLE001 - whatever it is, somebody has to look
        return Finding(
            name, ERROR, f"could not be checked: {redact.error(problem)}", expected, _WHY, remedy
        )
    if urls:
        observed = seen.format(len(urls), ", ".join(urls[:5]))
        return Finding(name, WARN, observed, expected, _WHY, remedy)
    return Finding(name, PASS, expected, expected, _WHY)
