"""The object store through Airflow's own path object."""

from __future__ import annotations

import importlib
from typing import Any, Iterator

from xcom_probe.airflow.versions import airflow_series


def storage_path(url: str) -> Any:
    """Airflow's own path object, the one that the backend uses."""
    module = "airflow.io.path" if airflow_series() < (3, 0) else "airflow.sdk"
    return importlib.import_module(module).ObjectStoragePath(url)


def find_objects(url: str) -> Iterator[str]:
    """Full URLs of the objects below `url`, asked of the store and not of a cache."""
    folder = storage_path(url)
    folder.fs.invalidate_cache()
    prefix = url.split("://", 1)[0] + "://"
    for name in folder.fs.find(folder.path):
        yield prefix + name if "://" not in name else name


def remove_object(url: str, base: str) -> None:
    """Remove one object that `find_objects` named, through the file system of `base`."""
    storage_path(base).fs.rm_file(url.split("://", 1)[1])
