"""The object store through Airflow's own path object."""

from __future__ import annotations

import importlib
import threading
from typing import Any, Iterator

from xcom_probe.airflow.versions import airflow_series


def storage_path(url: str) -> Any:
    """Airflow's own path object, the one that the backend uses."""
    module = "airflow.io.path" if airflow_series() < (3, 0) else "airflow.sdk"
    return importlib.import_module(module).ObjectStoragePath(url)


def find_objects(url: str) -> Iterator[str]:
    """Full URLs of the objects below `url`, from the store, not from a cache."""
    folder = storage_path(url)
    folder.fs.invalidate_cache()
    prefix = url.split("://", 1)[0] + "://"
    for name in folder.fs.find(folder.path):
        yield prefix + name if "://" not in name else name


def folders(url: str) -> Iterator[str]:
    """Names of the folders right below `url`, none if there is no such place."""
    folder = storage_path(url)
    folder.fs.invalidate_cache()
    try:
        found = folder.fs.ls(folder.path, detail=True)
    except FileNotFoundError:
        return
    for entry in found:
        if entry["type"] == "directory":
            yield entry["name"].rstrip("/").rsplit("/", 1)[-1]


def ask_bucket(url: str, seconds: float) -> None:
    """List the bucket of `url` once, through Airflow's file system.

    Some file systems try again for minutes when nobody answers (gcsfs six times, each time twice as
    long after), so it is given up here; the thread is left to end with the process.

    Raises:
        TimeoutError: no answer within `seconds`.
        Exception: whatever the file system says; FileNotFoundError: there is no such bucket.
    """
    folder = storage_path(url)
    bucket = str(folder.path).strip("/").split("/", 1)[0]
    said: list[BaseException] = []

    def ask() -> None:
        try:
            folder.fs.ls(bucket, detail=False)
        except BaseException as problem:  # noqa: BLE001 - raised again below
            said.append(problem)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"no answer about bucket {bucket!r} within {seconds:g} s")
    if said:
        raise said[0]


def remove_objects(urls: list[str], base: str) -> None:
    """Remove objects that `find_objects` named, through the file system of `base`."""
    if urls:
        storage_path(base).fs.rm([url.split("://", 1)[1] for url in urls])


def write_object(url: str, content: bytes) -> None:
    """Write one object."""
    with storage_path(url).open("wb") as file:
        file.write(content)
